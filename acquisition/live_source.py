"""LiveSource: a transport's packets as a Source that accounts for every sample.

All of it happens in the thread that iterates; only `LiveSource.stop` may be called from another.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import numpy as np

from brainforge.acquisition.by_counter import CounterSequencer
from brainforge.acquisition.by_stamp import StampSequencer
from brainforge.acquisition.clock_fit import ClockFit
from brainforge.acquisition.counter_channel import CounterChannel
from brainforge.acquisition.driver import ConnectionLost, Driver, Ended, Packet
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.plausibility import Gate
from brainforge.acquisition.sequence import Item, Placed, Position, Sequencer
from brainforge.block import RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.recording import Event

__all__ = ["LiveSource", "Piece", "Position"]

#: longest wait inside a driver, so that a stop is never missed for long
WAIT_S: Final = 0.2
#: first and longest pause between two attempts to connect
FIRST_PAUSE_S: Final = 0.05
LONGEST_PAUSE_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples in their place.

    Parameters
    ----------
    block : RawBlock
        Its data may be a transposed view.
    counter : int
        The device's number of the first sample, unwrapped; -1 where it has none.
    arrival : float
        `time.monotonic` when they came.
    stamp : float
        `time.monotonic` at which the last sample was taken, by the source's clock; NaN where
        unknown.
    """

    block: RawBlock
    counter: int
    arrival: float
    stamp: float


class LiveSource:
    """A `brainforge.flow.Source` over a `Driver`.

    Parameters
    ----------
    driver : Driver
    block_s : float
        Longest piece in seconds.
    counter_channel : str | None
        Name of the channel in which the device counts its samples.
    position : Position | None
        Where the stream was left, for a recorder that takes over; else it begins at sample 0.
    info : Info | None
        What the stream was when it was left: with it the source need not answer at once, and
        anything else is refused.
    silent_s : float
        Seconds without data that are reported.
    retry_s : float
        Seconds that the first connection is tried for, where ``info`` is not given.
    counter_bits : int | None
        Width after which the counter of ``counter_channel`` wraps; found where not given.
    monotonic : callable
        What tells the time in seconds; for tests.

    Attributes
    ----------
    exact : bool
        Whether places rest on a counter. Known when the first samples have come.

    Raises
    ------
    InputError
        When entered: nobody answers, or what answers is not what was asked for. From the stream:
        the layout changed, or the samples cannot be what they claim.
    """

    def __init__(
        self,
        driver: Driver,
        *,
        block_s: float = 0.05,
        counter_channel: str | None = None,
        position: Position | None = None,
        info: Info | None = None,
        silent_s: float = 1.0,
        retry_s: float = 5.0,
        counter_bits: int | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not block_s > 0:
            raise InputError(where="block_s", expected="seconds above 0", got=str(block_s))
        self._driver, self._block_s, self._position = driver, block_s, position
        self._channel_name, self._bits = counter_channel, counter_bits
        self._silent_s, self._retry_s, self._now = silent_s, retry_s, monotonic
        self._info, self._dtype = info, None
        self._channel: CounterChannel | None = None
        self._sequencer: Sequencer | None = None
        self._gate: Gate | None = None
        self._clock = ClockFit(jitter_s=5e-3)
        self._stamp_clock = ClockFit(jitter_s=5e-3)
        self._stop = threading.Event()
        self._inside = self._connected = self._ended = False
        self._lost_since: float | None = None
        self._pause = 0.0
        self._heard = math.inf
        self._said_silent = False

    @property
    def name(self) -> str:
        """The source as the user would write it."""
        return self._driver.name

    @property
    def info(self) -> Info:
        """Info of the blocks; known once it is entered."""
        if self._info is None:
            raise InputError(
                where="source", expected="an open source", got="a closed one",
                fix="use it inside `with`",
            )  # fmt: skip
        return self._info

    @property
    def exact(self) -> bool:
        """Whether places rest on a counter."""
        return self._sequencer.exact if self._sequencer else self._channel is not None

    def __enter__(self) -> Self:
        began = self._now()
        while not self._connected:
            try:
                self._open(None if self._position is None else self._wanted())
            except ConnectionLost as error:
                if self._info is not None:
                    self._lost_since = self._now()
                    break
                if self._now() - began >= self._retry_s or self._stop.wait(FIRST_PAUSE_S):
                    raise InputError(
                        where=self.name, expected="a source that answers", got=str(error),
                        fix="check that it is running, or see `brainforge live --list`",
                    ) from error  # fmt: skip
        self._inside = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._inside = self._connected = False
        self._driver.close()

    def __iter__(self) -> Iterator[RawBlock]:
        return (item.block for item in self.stream() if isinstance(item, Piece))

    def stop(self) -> None:
        """Let the stream end after what has come; from any thread."""
        self._stop.set()
        self._driver.wake()

    def clock(self) -> dict[str, Any]:
        """Return what is known of the source's clock, JSON-ready.

        ``drift_ppm`` is how much faster than its nominal rate the source samples, by our clock;
        ``offset_s`` how long after their stamps samples arrive (by how much they have fallen
        behind their nominal rate, where they have no stamps); ``residual_ms`` the jitter of
        arrival; ``steps`` how often the source's clock stepped.
        """
        fit, stamps = self._clock, self._stamp_clock
        steps = fit.steps + stamps.steps
        offset = stamps.offset if stamps.n else fit.offset
        return {
            "offset_s": offset, "drift_ppm": -1e6 * fit.drift / (1 + fit.drift), "n": fit.n,
            "residual_ms": 1e3 * fit.jitter, "steps": steps,
        }  # fmt: skip

    def stream(self) -> Iterator[Piece | Notice | Event]:
        """Yield pieces, notices and events in order, until the source ends or is stopped."""
        self._check_inside()
        return self._guarded()

    def _guarded(self) -> Iterator[Piece | Notice | Event]:
        for item in self._run():
            yield item
            self._check_inside()

    def _check_inside(self) -> None:
        if not self._inside:
            raise InputError(
                where="source", expected="an open source", got="a closed one",
                fix="iterate it inside `with`",
            )  # fmt: skip

    # the connection

    def _wanted(self) -> int | None:
        if self._sequencer is not None:
            return self._sequencer.wanted
        if self._position is None or self._position.counter < 0:
            return None
        return self._position.counter

    def _open(self, resume: int | None) -> None:
        info = self._driver.open(resume)
        self._connected = True
        self._heard = self._now()
        self._said_silent = False
        if self._info is not None:
            changed = _difference(self._info, info)
            if changed:
                raise self._changed(*changed)
        else:
            self._info = info
        if self._channel is None and self._channel_name is not None:
            self._channel = CounterChannel(self._info, self._channel_name)
        if self._gate is None:
            self._gate = Gate(self._info)

    def _changed(self, expected: str, got: str) -> InputError:
        return InputError(
            where=self.name, expected=expected, got=got, fix="record it as a recording of its own"
        )

    def _run(self) -> Iterator[Piece | Notice | Event]:
        try:
            while not self._stop.is_set() and not self._ended:
                if not self._connected:
                    yield from self._reconnect()
                    continue
                yield from self._receive(self._timeout())
            if self._connected and not self._ended:
                yield from self._receive(0.0)
        except InputError as error:
            sample = self._sequencer.sample if self._sequencer else 0
            yield Notice(What.REFUSED, sample, sample, str(error))
            raise
        if self._sequencer is not None:
            yield from self._pieces(self._sequencer.finish())

    def _receive(self, timeout: float) -> Iterator[Piece | Notice | Event]:
        try:
            packets = self._driver.receive(timeout)
        except ConnectionLost as error:
            yield from self._lost(error)
            return
        except Ended:
            self._ended = True
            return
        items: list[Item] = []
        for packet in packets:
            items += self._take(packet, last=packet is packets[-1])
        now = self._now()
        if self._sequencer is not None and now >= self._sequencer.due():
            items += self._sequencer.tick(now)
        yield from self._pieces(items)
        if not packets and not self._said_silent and now - self._heard >= self._silent_s:
            self._said_silent = True
            cause = f"connected, but nothing has come for {self._silent_s:g} s"
            yield self._moment(What.SILENT, cause)

    def _timeout(self) -> float:
        now = self._now()
        wait = WAIT_S
        if not self._said_silent:
            wait = min(wait, self._heard + self._silent_s - now)
        if self._sequencer is not None:
            wait = min(wait, self._sequencer.due() - now)
        return max(wait, 0.0)

    def _lost(self, error: ConnectionLost) -> Iterator[Piece | Notice | Event]:
        self._driver.close()
        self._connected = False
        if self._sequencer is not None:
            yield from self._pieces(self._sequencer.interrupted("connection lost"))
        if self._lost_since is None:
            self._lost_since, self._pause = self._now(), 0.0
            yield self._moment(What.LOST, str(error) or "connection lost")

    def _reconnect(self) -> Iterator[Piece | Notice | Event]:
        if self._stop.wait(self._pause):
            return
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        try:
            self._open(self._wanted())
        except ConnectionLost:
            self._driver.close()
        yield from ()

    def _moment(self, what: What, cause: str, **detail: Any) -> Notice:
        sample = self._sequencer.sample if self._sequencer else self._first_sample
        return Notice(what, sample, sample, cause, detail=detail)

    @property
    def _first_sample(self) -> int:
        return 0 if self._position is None else self._position.sample

    # packets

    def _take(self, packet: Packet, *, last: bool) -> list[Item]:
        data = packet.data
        if len(data):
            self._check_layout(data)
            if self._gate is not None:
                self._gate.look(data, self.name)
                self._gate = None if self._gate.passed() else self._gate
        if self._channel is not None and len(data):
            packet = Packet(
                data, packet.arrival, self._channel.read(data), packet.stamps, packet.markers
            )
        if self._sequencer is None:
            if not len(data):
                return []
            self._sequencer = self._make_sequencer(packet)
        items: list[Item] = []
        if len(data):
            if self._lost_since is not None:
                away = self._now() - self._lost_since
                self._lost_since = None
                items.append(self._moment(What.RECONNECTED, "", seconds=round(away, 3)))
            self._heard, self._said_silent = self._now(), False
        items += self._sequencer.push(packet)
        if last and items and isinstance(items[-1], Placed):
            self._time(items[-1])
        return items

    def _check_layout(self, data: Any) -> None:
        if self._dtype is None:
            self._dtype = data.dtype
        expected = f"{self.info.n_channels} channels of {self._dtype}"
        if data.ndim != 2 or data.shape[1] != self.info.n_channels or data.dtype != self._dtype:
            raise self._changed(expected, f"{data.shape[-1]} channels of {data.dtype}")

    def _make_sequencer(self, packet: Packet) -> Sequencer:
        sfreq = self.info.sfreq
        if packet.counters is None:
            return StampSequencer(sfreq, self._position)
        bits = self._bits if self._channel else self._driver.counter_bits
        if bits is None and self._channel is not None:
            bits = self._channel.bits(packet.data.dtype)
        return CounterSequencer(sfreq, bits, self._position)

    def _time(self, placed: Placed) -> None:
        at = (placed.stop - 1) / self.info.sfreq
        self._clock.update(at, placed.arrival)
        if placed.stamps is not None:
            self._stamp_clock.update(float(placed.stamps[-1]), placed.arrival)

    # pieces

    def _pieces(self, items: list[Item]) -> Iterator[Piece | Notice | Event]:
        most = max(round(self._block_s * self.info.sfreq), 1)
        waiting: list[Placed] = []
        n = 0
        for item in items:
            if isinstance(item, Placed):
                follows = waiting and item.start == waiting[-1].stop
                if waiting and (not follows or n + len(item.data) > most):
                    yield from self._cut(waiting, most)
                    waiting, n = [], 0
                waiting.append(item)
                n += len(item.data)
                continue
            if waiting:
                yield from self._cut(waiting, most)
                waiting, n = [], 0
            yield item
        if waiting:
            yield from self._cut(waiting, most)

    def _cut(self, parts: list[Placed], most: int) -> Iterator[Piece]:
        first, last = parts[0], parts[-1]
        data = first.data if len(parts) == 1 else np.concatenate([p.data for p in parts])
        for a in range(0, len(data), most):
            b = min(a + most, len(data))
            block = RawBlock(data[a:b].T, self.info, first.start + a)
            counter = first.counter + a if first.counter >= 0 else -1
            stamp = math.nan
            if last.stamps is not None:
                behind = (len(data) - b) / self.info.sfreq
                stamp = float(last.stamps[-1]) - behind
            yield Piece(block, counter, last.arrival, stamp)


def _difference(before: Info, now: Info) -> tuple[str, str] | None:
    """Return what the layout was and is now, in words; None where it has not changed."""
    if before.sfreq != now.sfreq:
        return f"{before.sfreq:g} Hz", f"{now.sfreq:g} Hz"
    if before.n_channels != now.n_channels:
        return f"{before.n_channels} channels", f"{now.n_channels} channels"
    for i, (old, new) in enumerate(zip(before.channels, now.channels, strict=True)):
        if old.name != new.name:
            return f"channel {i} to be {old.name}", new.name
        if (old.kind, old.cal, old.offset) != (new.kind, new.cal, new.offset):
            return (
                f"{old.name}: {old.kind} with factor {old.cal:g}",
                f"{new.kind} with factor {new.cal:g}",
            )
    return None
