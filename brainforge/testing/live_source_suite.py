"""What every live source has to keep to, as tests to inherit.

Write a class named ``Test...`` that inherits `LiveSourceSuite` and gives it `device`: a device
under the test's control, of which little is asked (see `Device`). What a transport cannot do is
declared: ``restarts``, ``relays_layout``. All tests run in real time and take a second or so each.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import Driver
from brainforge.acquisition.live_source import LiveSource, Piece
from brainforge.acquisition.notice import Notice, What
from brainforge.errors import InputError
from brainforge.flow import Source
from brainforge.info import Info
from brainforge.recording import Event

F32 = npt.NDArray[np.float32]
#: seconds that anything here may take at most
PATIENCE_S = 10.0


class Device(Protocol):
    """A sender under the test's control, in another thread or process.

    It streams float32 at `LiveSourceSuite.sfreq` with the channels of `LiveSourceSuite.names`; the
    last channel is called ``COUNTER``.
    """

    def driver(self) -> Driver:
        """Return a fresh driver that connects to it."""

    def send(self, samples: F32, counter: int) -> None:
        """Send samples, axes (sample, channel); ``counter`` is the device's number of the first.

        Transports without counters of their own leave it away; the last channel has it too.
        """

    def cut(self) -> None:
        """Break the connection, as a pulled cable or a killed sender does."""

    def restart(self, names: tuple[str, ...] | None = None, dtype: str = "float32") -> None:
        """Accept connections again after `cut`, with other channels or another type if asked."""


class Heard:
    """Iterates a source in a thread and keeps what it gave."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.items: list[Piece | Notice | Event] = []
        self.error: BaseException | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            with self.source:
                for item in self.source.stream():
                    self._keep(item)
        except BaseException as error:
            self.error = error
        with self._changed:
            self._changed.notify_all()

    def _keep(self, item: Piece | Notice | Event) -> None:
        with self._changed:
            self.items.append(item)
            self._changed.notify_all()

    def wait(self, condition: Callable[[], bool], seconds: float = PATIENCE_S) -> bool:
        """Wait until a condition holds; return whether it does."""
        with self._changed:
            ended = self._changed.wait_for(lambda: condition() or not self.alive, seconds)
        return ended and condition()

    @property
    def alive(self) -> bool:
        """Whether the stream goes on."""
        return self._thread.is_alive()

    def end(self) -> float:
        """Stop the source from this thread; return how many seconds it took to end."""
        began = time.monotonic()
        self.source.stop()
        self._thread.join(PATIENCE_S)
        assert not self._thread.is_alive(), "stop() did not end the stream"
        return time.monotonic() - began

    @property
    def pieces(self) -> list[Piece]:
        """The pieces so far."""
        return [item for item in self.items if isinstance(item, Piece)]

    @property
    def n(self) -> int:
        """How many samples have come."""
        return sum(piece.block.data.shape[1] for piece in self.pieces)

    def notices(self, *kinds: What) -> list[Notice]:
        """Return the notices of some kinds."""
        return [i for i in self.items if isinstance(i, Notice) and i.what in kinds]

    def samples(self) -> dict[int, npt.NDArray[Any]]:
        """Return every sample by its absolute index."""
        found: dict[int, npt.NDArray[Any]] = {}
        for piece in self.pieces:
            for k, row in enumerate(piece.block.data.T):
                index = piece.block.start + k
                assert index not in found, f"sample {index} came twice"
                found[index] = row
        return found


class LiveSourceSuite:
    """Tests that a live source inherits. All methods may be called by pytest without fixtures."""

    sfreq: ClassVar[float] = 1000.0
    names: ClassVar[tuple[str, ...]] = (*(f"M{i}" for i in range(7)), "COUNTER")
    #: options of the LiveSource; ``{"counter_channel": "COUNTER"}`` where samples carry no number
    options: ClassVar[dict[str, Any]] = {}
    #: whether gaps are exact
    exact: ClassVar[bool] = True
    #: whether the sender can be told other channel names and types
    relays_layout: ClassVar[bool] = True
    #: seconds within which a source that is back is read again
    reconnect_s: ClassVar[float] = 2.0

    def device(self) -> AbstractContextManager[Device]:
        """Return a device that is ready to be connected to."""
        raise NotImplementedError("a suite needs its device")

    # helpers

    @contextmanager
    def listening(self, **options: Any) -> Iterator[tuple[Device, Heard]]:
        """Run a device and a source that listens to it."""
        with self.device() as device:
            heard = Heard(LiveSource(device.driver(), **{**self.options, **options}))
            try:
                yield device, heard
            finally:
                heard.end()

    def made(self, first: int, n: int) -> F32:
        """Return samples ``first`` on: small field values, and the index in the last channel."""
        rng = np.random.default_rng(first)
        data = (1e-13 * rng.standard_normal((n, len(self.names)))).astype(np.float32)
        data[:, -1] = np.arange(first, first + n)
        return data

    def play(
        self, device: Device, first: int, n: int, change: Callable[[F32], None] | None = None
    ) -> F32:
        """Send samples as they are taken, 50 ms at a time; return them."""
        sent = self.made(first, n)
        if change is not None:
            change(sent)
        step = max(round(0.05 * self.sfreq), 1)
        began = time.monotonic()
        for a in range(0, n, step):
            b = min(a + step, n)
            wait = began + b / self.sfreq - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            device.send(sent[a:b], first + a)
        return sent

    def begun(self, device: Device, heard: Heard, n: int = 200) -> int:
        """Play until samples come; return the next counter. What came before is not judged."""
        at = 0
        until = time.monotonic() + PATIENCE_S
        while not heard.n:
            assert time.monotonic() < until, f"nothing came: {heard.items} {heard.error!r}"
            self.play(device, at, n)
            at += n
            heard.wait(lambda: heard.n > 0, 0.1)
        return at

    def first(self, heard: Heard) -> int:
        """Return the device's number of absolute sample 0."""
        piece = heard.pieces[0]
        return int(piece.block.data[-1, 0]) - piece.block.start

    # tests

    def test_is_a_source(self) -> None:
        """It has what the protocol asks for, and its Info once it is entered."""
        with self.device() as device, LiveSource(device.driver(), **self.options) as source:
            assert isinstance(source, Source)
            assert isinstance(source.info, Info)
            assert source.info.names == self.names
            assert source.info.sfreq == self.sfreq

    def test_every_sample_comes_once_in_order_with_its_bits(self) -> None:
        """What is sent comes, bit for bit, at its place, in pieces that nobody can change."""
        with self.listening(block_s=0.03) as (device, heard):
            at = self.begun(device, heard)
            sent = self.play(device, at, 500)
            first = self.first(heard)
            last = at + 500 - first - 1
            assert heard.wait(lambda: last in heard.samples()), heard.notices(*What)
            got = heard.samples()
            rows = np.array([got[at - first + k] for k in range(500)])
            assert np.array_equal(rows.view(np.uint32), sent.view(np.uint32))
            ends = 0
            for piece in heard.pieces:
                assert piece.block.start >= ends
                ends = piece.block.stop
                assert 0 < piece.block.data.shape[1] <= 30
                assert not piece.block.data.flags.writeable
                assert abs(piece.arrival - time.monotonic()) < PATIENCE_S
            assert heard.source.exact is self.exact
            assert not heard.notices(What.GAP, What.DUPLICATE, What.REORDERED, What.LATE)

    def test_a_loss_is_a_gap(self) -> None:
        """Samples that are never sent are one gap, before the samples behind it."""
        with self.listening() as (device, heard):
            at = self.begun(device, heard, 400)
            self.play(device, at, 200)
            time.sleep(0.3)
            self.play(device, at + 500, 400)
            first = self.first(heard)
            # an estimate may be a little off: then the last sample has another place
            slack = 0 if self.exact else 20
            assert heard.wait(lambda: max(heard.samples()) >= at + 899 - first - slack)
            gaps = heard.notices(What.GAP)
            # a sender held up by a busy machine may look like another small loss by its stamps
            gap = max(gaps, key=lambda notice: notice.stop - notice.start)
            assert len(gaps) == 1 or not self.exact, gaps
            assert gap.exact is self.exact
            assert abs(gap.start - (at + 200 - first)) <= slack
            assert abs(sum(g.stop - g.start for g in gaps) - 300) <= slack
            before = heard.items[: heard.items.index(gap)]
            stored = [item.block.stop for item in before if isinstance(item, Piece)]
            assert max(stored) == gap.start

    def test_a_cut_is_reported_and_mended(self) -> None:
        """A cut is told within a second; the source is read again, and what was lost is a gap."""
        with self.listening() as (device, heard):
            at = self.begun(device, heard)
            first = self.first(heard)
            device.cut()
            told = heard.wait(lambda: bool(heard.notices(What.LOST, What.SILENT)), 2.5)
            assert told, "nothing was said of the cut"
            device.restart()
            back = time.monotonic()
            at += 5000
            while not heard.notices(What.RECONNECTED):
                assert time.monotonic() < back + PATIENCE_S, heard.notices(*What)
                self.play(device, at, 100)
                at += 100
            assert time.monotonic() - back < self.reconnect_s
            self.play(device, at, 100)
            if self.exact:
                assert heard.wait(lambda: at + 99 - first in heard.samples())
                (gap,) = heard.notices(What.GAP)
                assert gap.exact
                assert heard.n + gap.stop - gap.start == at + 100 - first
                for index, row in heard.samples().items():
                    assert row[-1] == index + first

    def test_silence_is_reported_within_about_a_second(self) -> None:
        """A device that stays connected and sends nothing is told of once."""
        with self.listening() as (device, heard):
            at = self.begun(device, heard)
            quiet = time.monotonic()
            assert heard.wait(lambda: bool(heard.notices(What.SILENT, What.LOST)), 3.0)
            assert 0.5 < time.monotonic() - quiet < 2.0
            said = len(heard.notices(What.SILENT))
            heard.wait(lambda: len(heard.notices(What.SILENT)) > said, 0.5)
            assert len(heard.notices(What.SILENT)) == said <= 1
            n = heard.n
            self.play(device, at, 200)
            assert heard.wait(lambda: heard.n > n)

    def test_other_channels_are_refused(self) -> None:
        """Renamed, reordered, missing channels or another type end the stream, with the reason."""
        if not self.relays_layout:
            return
        names = self.names
        layouts: list[tuple[tuple[str, ...], str]] = [
            (("M9", *names[1:]), "float32"),
            ((names[1], names[0], *names[2:]), "float32"),
            (names[1:], "float32"),
            (names, "float64"),
        ]
        for changed, dtype in layouts:
            with self.listening() as (device, heard):
                at = self.begun(device, heard)
                n = heard.n
                device.cut()
                heard.wait(lambda h=heard: bool(h.notices(What.LOST)), 2.5)  # type: ignore[misc]
                device.restart(changed, dtype)
                until = time.monotonic() + PATIENCE_S
                while heard.alive and time.monotonic() < until:
                    samples = self.made(at, 50)[:, : len(changed)].astype(dtype)
                    device.send(samples, at)
                    at += 50
                    heard.wait(lambda h=heard: not h.alive, 0.05)  # type: ignore[misc]
                assert isinstance(heard.error, InputError), (changed, dtype, heard.error)
                assert len(heard.notices(What.REFUSED)) == 1
                assert heard.n == n or all(
                    p.block.data.shape[0] == len(names) for p in heard.pieces
                )

    def test_what_is_not_a_number_comes_through(self) -> None:
        """NaN, with its payload, and infinity are handed on bit for bit."""

        def spoil(data: F32) -> None:
            data[60:62, 2] = np.array([0x7FC12345, 0xFF800000], dtype=np.uint32).view(np.float32)

        with self.listening() as (device, heard):
            at = self.begun(device, heard)
            sent = self.play(device, at, 200, spoil)
            first = self.first(heard)
            assert heard.wait(lambda: at + 199 - first in heard.samples())
            got = np.array([heard.samples()[at - first + k] for k in range(200)])
            assert np.array_equal(got.view(np.uint32), sent.view(np.uint32))

    def test_stop_ends_it_promptly(self) -> None:
        """`stop` from another thread ends a stream that waits, and one that is cut off."""
        with self.listening() as (device, heard):
            self.begun(device, heard)
            time.sleep(0.3)
            assert heard.end() < 1.0
            assert heard.error is None
        with self.listening() as (device, heard):
            self.begun(device, heard)
            device.cut()
            heard.wait(lambda: bool(heard.notices(What.LOST)), 2.5)
            assert heard.end() < 3.0
            assert heard.error is None

    def test_what_is_known_of_the_clock_is_ready_for_json(self) -> None:
        """`clock` has its figures, all of them numbers."""
        with self.listening() as (device, heard):
            self.begun(device, heard, 400)
            clock = heard.source.clock()
            assert {"offset_s", "drift_ppm", "n", "residual_ms", "steps"} <= set(clock)
            assert all(type(value) in (int, float) for value in clock.values())
