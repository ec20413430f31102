"""LiveSource: a transport's packets as a Source that accounts for every sample.

All of it happens in the thread that iterates; only `LiveSource.stop` may be called from another.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

from brainforge.acquisition.by_counter import CounterSequencer
from brainforge.acquisition.by_stamp import StampSequencer
from brainforge.acquisition.counter_channel import CounterChannel
from brainforge.acquisition.driver import ConnectionLost, Driver, Ended, Marker, Packet
from brainforge.acquisition.layout import Layout
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.piece import Piece, pieces
from brainforge.acquisition.plausibility import Gate
from brainforge.acquisition.sequence import Item, Placed, Position, Sequencer
from brainforge.acquisition.source_clock import SourceClock
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
#: triggers that may come before the first sample
EARLY: Final = 64


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
        self._driver, self._block_s = driver, block_s
        self._position = Position(0) if position is None else position
        self._resumes = position is not None
        self._channel_name, self._bits = counter_channel, counter_bits
        self._silent_s, self._retry_s, self._now = silent_s, retry_s, monotonic
        self._layout = None if info is None else Layout(driver.name, info)
        self._channel: CounterChannel | None = None
        #: beside a counter channel: the next sample by the numbers that the driver has of its own
        self._own_next: int | None = None
        self._sequencer: Sequencer | None = None
        self._gate: Gate | None = None
        self._clock: SourceClock | None = None
        self._early: list[Marker] = []
        self._stop = threading.Event()
        self._inside = self._connected = self._ended = self._said_silent = False
        self._lost_since: float | None = None
        self._absent: ConnectionLost | None = None
        self._pause = self._heard = 0.0

    @property
    def name(self) -> str:
        """The source as the user would write it."""
        return self._driver.name

    @property
    def info(self) -> Info:
        """Info of the blocks; known once it is entered."""
        if self._layout is None:
            raise _closed()
        return self._layout.info

    @property
    def exact(self) -> bool:
        """Whether places rest on a counter."""
        return self._sequencer.exact if self._sequencer else self._channel_name is not None

    def __enter__(self) -> Self:
        began = self._now()
        while not self._connected:
            try:
                self._open()
            except ConnectionLost as error:
                if self._layout is not None:
                    self._absent = error
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
        stream = self.stream()
        return (item.block for item in stream if isinstance(item, Piece))

    def stop(self) -> None:
        """Let the stream end after what has come; from any thread."""
        self._stop.set()
        self._driver.wake()

    def clock(self) -> dict[str, Any]:
        """Return what is known of the source's clock, as `SourceClock.report` says it."""
        return (self._clock or SourceClock(1.0)).report()

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
            raise _closed()

    def _run(self) -> Iterator[Piece | Notice | Event]:
        try:
            if self._absent is not None:
                error, self._absent = self._absent, None
                yield from self._lost(error)
            while not self._stop.is_set() and not self._ended:
                if self._connected:
                    yield from self._receive(self._timeout())
                else:
                    self._reconnect()
            if self._connected and not self._ended:
                yield from self._receive(0.0)
        except InputError as error:
            yield self._moment(What.REFUSED, str(error))
            raise
        if self._sequencer is not None:
            yield from self._pieces(self._sequencer.finish())

    # the connection

    def _open(self) -> None:
        wanted = self._position.counter if self._position.counter >= 0 else None
        wanted = wanted if self._sequencer is None else self._sequencer.wanted
        info = self._driver.open(self._own_next if self._channel_name else wanted)
        self._connected = True
        self._heard, self._said_silent = self._now(), False
        if self._layout is None:
            self._layout = Layout(self.name, info)
        self._layout.check_info(info)
        if self._clock is not None:
            return
        self._clock, self._gate = SourceClock(self.info.sfreq), Gate(self.info)
        if self._channel_name is not None:
            self._channel = CounterChannel(self.info, self._channel_name)

    def _reconnect(self) -> None:
        if self._stop.wait(self._pause):
            return
        self._pause = min(max(2 * self._pause, FIRST_PAUSE_S), LONGEST_PAUSE_S)
        try:
            self._open()
        except ConnectionLost:
            self._driver.close()

    def _lost(self, error: ConnectionLost) -> Iterator[Piece | Notice | Event]:
        self._driver.close()
        self._connected = False
        if self._sequencer is not None:
            yield from self._pieces(self._sequencer.interrupted("connection lost"))
        if self._lost_since is None:
            self._lost_since, self._pause = self._now(), 0.0
            yield self._moment(What.LOST, str(error) or "connection lost")

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
        now, wait = self._now(), WAIT_S
        if not self._said_silent:
            wait = min(wait, self._heard + self._silent_s - now)
        if self._sequencer is not None:
            wait = min(wait, self._sequencer.due() - now)
        return max(wait, 0.0)

    def _moment(self, what: What, cause: str, **detail: Any) -> Notice:
        sample = self._sequencer.sample if self._sequencer else self._position.sample
        return Notice(what, sample, sample, cause, detail=detail)

    # packets

    def _take(self, packet: Packet, *, last: bool) -> list[Item]:
        """Return what has found its place by a packet."""
        if not len(packet.data):
            if self._sequencer is not None:
                return self._sequencer.push(packet)
            self._early = [*self._early, *packet.markers][-EARLY:]
            return []
        packet = self._checked(packet)
        items: list[Item] = []
        if self._channel is not None:
            if packet.counters is not None:
                self._own_next = int(packet.counters[-1]) + 1
            counters = self._channel.read(packet.data)
            packet = replace(packet, counters=counters, anew=False)
            for cause, detail in self._channel.troubles():
                items.append(self._moment(What.COUNTER, cause, **detail))
        if self._sequencer is None:
            self._sequencer = self._make_sequencer(packet)
            packet = replace(packet, markers=(*self._early, *packet.markers))
        self._heard, self._said_silent = self._now(), False
        if self._lost_since is not None:
            away, self._lost_since = self._heard - self._lost_since, None
            items.append(self._moment(What.RECONNECTED, "samples come again", seconds=away))
        items += self._sequencer.push(packet)
        if last and items and isinstance(items[-1], Placed) and self._clock is not None:
            items += self._clock.note(items[-1], tell_steps=self._sequencer.exact)
        return items

    def _checked(self, packet: Packet) -> Packet:
        assert self._layout is not None
        self._layout.check(packet)
        if self._gate is not None:
            self._gate.look(packet.data, self.name)
            self._gate = None if self._gate.passed() else self._gate
        return packet

    def _make_sequencer(self, packet: Packet) -> Sequencer:
        position = self._position if self._resumes else None
        if packet.counters is None:
            return StampSequencer(self.info.sfreq, position)
        bits = self._bits if self._channel else self._driver.counter_bits
        if bits is None and self._channel is not None:
            bits = self._channel.bits(packet.data.dtype)
        return CounterSequencer(self.info.sfreq, bits, position)

    def _pieces(self, items: list[Item]) -> Iterator[Piece | Notice | Event]:
        return pieces(items, self.info, max(round(self._block_s * self.info.sfreq), 1))


def _closed() -> InputError:
    return InputError(
        where="source", expected="an open source", got="a closed one", fix="use it inside `with`"
    )
