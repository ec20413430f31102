"""The LSL driver against senders made with plain pylsl, in processes of their own.

Streams are looked for as long as users' are, so each test takes seconds of waiting; what others
cover in part is marked slow.
"""

from __future__ import annotations

import re
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition.connect import open_source
from brainforge.acquisition.driver import ConnectionLost, Packet
from brainforge.acquisition.live_source import LiveSource, Piece
from brainforge.acquisition.lsl import LslDriver, discover, driver
from brainforge.acquisition.lsl_markers import code_of
from brainforge.acquisition.notice import Notice, What
from brainforge.errors import InputError
from tests.lsl_lab import sender, unique


class Watcher:
    """Iterates a source in a thread and keeps what it gives, with the time."""

    def __init__(self, source: LiveSource) -> None:
        self.source = source
        self.pieces: list[Piece] = []
        self.notices: list[tuple[float, Notice]] = []
        self.events: list[object] = []
        self.error: Exception | None = None
        self._came = threading.Condition()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            for item in self.source.stream():
                with self._came:
                    if isinstance(item, Piece):
                        self.pieces.append(item)
                    elif isinstance(item, Notice):
                        self.notices.append((time.monotonic(), item))
                    else:
                        self.events.append(item)
                    self._came.notify_all()
        except InputError as error:
            self.error = error

    def __enter__(self) -> Watcher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.source.stop()
        self._thread.join(20)

    def until(self, what: str, seconds: float = 15.0) -> None:
        """Wait for a notice of this kind, or for some more samples."""
        with self._came:
            n = len(self.pieces)
            assert self._came.wait_for(
                lambda: (
                    len(self.pieces) > n + 10
                    if what == "samples"
                    else any(x.what == what for _, x in self.notices)
                ),
                seconds,
            ), f"no {what} within {seconds} s: {[x for _, x in self.notices]}"

    def of(self, what: What) -> list[Notice]:
        """Return the notices of a kind."""
        return [notice for _, notice in self.notices if notice.what == what]

    def at(self, what: What) -> float:
        """Return when the first of a kind came."""
        return next(t for t, notice in self.notices if notice.what == what)


def counters(watcher: Watcher) -> tuple[np.ndarray, np.ndarray]:
    """Return the absolute index and the written counter of every sample."""
    places = [np.arange(p.block.start, p.block.stop) for p in watcher.pieces]
    written = [p.block.data[0] for p in watcher.pieces]
    return np.concatenate(places), np.concatenate(written).astype(np.int64)


@pytest.fixture
def name() -> str:
    return unique("meg")


@pytest.fixture
def opened() -> Iterator[list[LslDriver]]:
    drivers: list[LslDriver] = []
    yield drivers
    for one in drivers:
        one.close()


def collect(one: LslDriver, n: int, seconds: float = 10.0) -> tuple[np.ndarray, np.ndarray]:
    """Return at least ``n`` samples and their stamps."""
    until, data, stamps = time.monotonic() + seconds, [], []
    while sum(map(len, data)) < n:
        assert time.monotonic() < until, f"{sum(map(len, data))} of {n} samples came"
        for packet in one.receive(0.2):
            data.append(packet.data)
            stamps.append(packet.stamps)
    return np.concatenate(data), np.concatenate(stamps)


def test_306_channels_come_complete(name: str) -> None:
    with (
        sender(name, channels=306, unit="pT") as _,
        open_source(f"lsl:{name}", counter_channel="COUNTER") as source,
    ):
        info = source.info
        assert (info.n_channels, info.sfreq) == (306, 1000.0)
        assert (info.channels[1].kind, info.channels[1].cal) == ("mag", 1e-12)
        assert info.channels[0].kind == "misc"
        assert info.extra["lsl"]["source_id"] == f"{name}-device"
        with Watcher(source) as watcher:
            while sum(p.block.data.shape[1] for p in watcher.pieces) < 2000:
                watcher.until("samples")
        assert source.exact
        clock = source.clock()
    places, written = counters(watcher)
    assert watcher.notices == []
    assert places[0] == 0
    assert np.array_equal(places - places[0], written - written[0])
    assert all(p.block.data.dtype == np.float32 for p in watcher.pieces)
    ages = np.array([p.arrival - p.stamp for p in watcher.pieces])
    print(f"median age {np.median(ages) * 1e3:.1f} ms, clock {clock}")
    assert -0.002 < np.median(ages) < 0.2


@pytest.mark.parametrize(
    ("format", "dtype"),
    [
        ("double64", "f8"),
        ("int8", "i2"),
        pytest.param("int32", "i4", marks=pytest.mark.slow),
        pytest.param("int16", "i2", marks=pytest.mark.slow),
    ],
)
def test_dtypes(name: str, opened: list[LslDriver], format: str, dtype: str) -> None:
    with sender(name, format=format, modulo=100):
        opened.append(driver(name))
        opened[0].open(None)
        data, _ = collect(opened[0], 200)
    assert data.dtype == np.dtype(dtype)
    assert set(np.diff(data[:, 0].astype(int)) % 100) == {1}


@pytest.mark.slow
def test_what_the_sender_skips_is_an_exact_gap(name: str) -> None:
    with (
        sender(name) as child,
        open_source(f"lsl:{name}", counter_channel="COUNTER") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        child.tell("skip 70")
        watcher.until("gap")
        watcher.until("samples")
    places, written = counters(watcher)
    (gap,) = watcher.of(What.GAP)
    assert gap.stop - gap.start == 70
    assert gap.exact
    assert np.array_equal(places - places[0], written - written[0])


@pytest.mark.slow
def test_without_a_counter_a_gap_is_estimated_from_stamps(name: str) -> None:
    with (
        sender(name) as child,
        open_source(f"lsl:{name}") as source,
        Watcher(source) as watcher,
    ):
        for _ in range(3):
            watcher.until("samples")
        child.tell("skip 300")
        watcher.until("gap")
        watcher.until("samples")
    (gap,) = watcher.of(What.GAP)
    assert not gap.exact
    assert gap.stop - gap.start == pytest.approx(300, abs=15)


def test_what_the_inlet_drops_is_found(name: str) -> None:
    """LSL says nothing when a reader is held up for longer than its buffer."""
    with sender(name):
        one = LslDriver({"name": name}, buffer_s=1)
        with LiveSource(one, counter_channel="COUNTER") as source:
            stream = source.stream()
            before = next(item for item in stream if isinstance(item, Piece))
            time.sleep(2.5)  # the reader is held up: there is nothing to wait for
            got = []
            while not got or not isinstance(got[-1], Notice):
                got.append(next(stream))
            after = next(item for item in stream if isinstance(item, Piece))
            source.stop()
    gap = got[-1]
    assert gap.what == What.GAP
    assert gap.exact
    assert gap.stop - gap.start > 1000
    shift = before.counter - before.block.start
    assert after.counter - after.block.start == shift


def test_a_killed_sender_is_told_and_found_again(name: str) -> None:
    with (
        sender(name) as child,
        open_source(f"lsl:{name}", counter_channel="COUNTER") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        killed = time.monotonic()
        child.kill()
        watcher.until("lost", 5)
        told = watcher.at(What.LOST) - killed
        with sender(name, first=5_000):
            back = time.monotonic()
            watcher.until("reconnected")
            found = watcher.at(What.RECONNECTED) - back
            watcher.until("samples")
    places, written = counters(watcher)
    print(f"told after {told:.2f} s, found again after {found:.2f} s")
    assert told <= 1.0
    assert found <= 10.0
    kinds = [notice.what for _, notice in watcher.notices]
    assert kinds.count(What.LOST) == kinds.count(What.RECONNECTED) == 1
    assert np.all(np.diff(places) >= 1)
    (gap,) = watcher.of(What.GAP)
    assert gap.exact
    (jump,) = np.flatnonzero(np.diff(written) != 1)
    assert gap.stop - gap.start == written[jump + 1] - written[jump] - 1


def test_nothing_that_came_is_thrown_away_when_the_sender_goes(
    name: str, opened: list[LslDriver]
) -> None:
    """An inlet of liblsl that may not recover forgets all that waits in it."""
    with sender(name, seconds=1.0, linger=0.3, wait=True) as child:
        opened.append(driver(name))
        opened[0].open(None)
        child.process.wait(20)
        data, _ = collect(opened[0], 1000)
        assert np.array_equal(data[:, 0].astype(int), np.arange(1000))
        with pytest.raises(ConnectionLost, match="gone"):
            collect(opened[0], 1, 3.0)


@pytest.mark.slow
def test_a_paused_sender_is_silent_but_not_lost(name: str) -> None:
    with (
        sender(name) as child,
        open_source(f"lsl:{name}", counter_channel="COUNTER") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        began = time.monotonic()
        child.tell("pause 2.0")
        watcher.until("silent")
        told = watcher.at(What.SILENT) - began
        watcher.until("samples")
    print(f"told after {told:.2f} s")
    assert told <= 1.3
    assert [notice.what for _, notice in watcher.notices] == [What.SILENT]
    places, written = counters(watcher)
    assert np.array_equal(places - places[0], written - written[0])


@pytest.mark.slow
def test_a_sender_that_hangs_is_replaced_by_one_that_answers(name: str) -> None:
    with (
        sender(name) as child,
        open_source(f"lsl:{name}", counter_channel="COUNTER") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        child.process.send_signal(signal.SIGSTOP)
        watcher.until("silent", 3)
        with sender(name, first=9_000):
            back = time.monotonic()
            watcher.until("reconnected")
            found = watcher.at(What.RECONNECTED) - back
            watcher.until("samples")
    print(f"replaced after {found:.2f} s")
    assert found <= 10.0
    (lost,) = watcher.of(What.LOST)
    assert "another sender" in lost.cause


def test_another_layout_after_a_restart_is_refused(name: str) -> None:
    labels = ["COUNTER", "A", "B", "C"]
    with (
        sender(name, labels=labels) as child,
        open_source(f"lsl:{name}") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        child.kill()
        with sender(name, labels=["COUNTER", "B", "A", "C"]):
            watcher.until("refused")
    assert isinstance(watcher.error, InputError)
    assert re.search("channel 1 .*A.*, got B", str(watcher.error))


def test_stamps_that_are_no_numbers_are_left_out(name: str, opened: list[LslDriver]) -> None:
    with sender(name, stamped=False):
        opened.append(driver(name))
        opened[0].open(None)
        packets: list[Packet] = []
        while sum(len(p.data) for p in packets) < 200:
            packets += opened[0].receive(0.2)
    assert all(p.stamps is None for p in packets)
    assert np.all(np.diff(np.concatenate([p.data[:, 0] for p in packets])) == 1)


def test_markers_of_the_same_source_come_along(name: str, opened: list[LslDriver]) -> None:
    with sender(name) as child:
        opened.append(driver(name))
        opened[0].open(None)
        collect(opened[0], 100)
        said = time.monotonic()
        torn, huge = b"\xff\xfe\x00left", "9" * 500
        for value in ("7", "stim/left", torn, huge):
            child.tell(f"mark {value!r}")
        markers = []
        while len(markers) < 4:
            assert time.monotonic() < said + 10
            markers += [m for p in opened[0].receive(0.2) for m in p.markers]
    assert [m.label for m in markers] == ["7", "stim/left", "\ufffd\ufffd\x00left", "9" * 256]
    assert [m.code for m in markers] == [7, *(code_of(m.label) for m in markers[1:])]
    assert all(0 <= m.code < 2**31 for m in markers)
    for marker in markers:
        assert said - 0.01 < marker.stamp < said + 0.5


@pytest.mark.slow
def test_markers_that_are_named_have_to_be_there_or_are_waited_for(
    name: str, opened: list[LslDriver], monkeypatch: pytest.MonkeyPatch
) -> None:
    late = unique("late")
    with sender(name) as child:
        opened.append(driver(f"{name},markers={name}-markers+{late}-markers"))
        with pytest.raises(ConnectionLost, match=rf"named {late}-markers answers; .*{name}"):
            opened[0].open(None)
        monkeypatch.setattr("brainforge.acquisition.lsl.MARKERS_S", 0.0)
        opened[0].open(None)
        with sender(late) as other:
            found: set[str] = set()
            until = time.monotonic() + 15
            while found != {"now", "then"}:
                assert time.monotonic() < until, found
                child.tell("mark 'now'")
                other.tell("mark 'then'")
                found |= {m.label for p in opened[0].receive(0.2) for m in p.markers}


def test_nobody_there_names_those_who_are(name: str, opened: list[LslDriver]) -> None:
    with sender(name):
        opened.append(driver(name + "-other"))
        with pytest.raises(ConnectionLost, match=rf"no such stream answers; there are .*{name}"):
            opened[0].open(None)


def test_two_of_one_name_have_to_be_told_apart(name: str, opened: list[LslDriver]) -> None:
    with sender(name, source_id="one"), sender(name, source_id="two", unit="nT"):
        opened += [driver(name), driver(f"name={name},source_id=two")]
        with pytest.raises(InputError, match=r"source_id=one; .*source_id=two"):
            opened[0].open(None)
        assert opened[1].open(None).channels[1].cal == 1e-9
        assert opened[1].name == f"lsl:name={name},source_id=two"


@pytest.mark.slow
def test_an_unknown_unit_is_asked_for(name: str, opened: list[LslDriver]) -> None:
    with sender(name, unit="none"):
        opened += [driver(name), driver(f"{name},unit=fT"), driver(name, unit="fT")]
        with pytest.raises(InputError, match=r"expected a unit of T, got none; .*unit=fT"):
            opened[0].open(None)
        assert {one.open(None).channels[1].cal for one in opened[1:]} == {1e-15}


def test_another_device_of_the_same_name_never_takes_over(
    name: str, opened: list[LslDriver]
) -> None:
    with sender(name, source_id="helmet 1") as child:
        opened.append(driver(name))
        opened[0].open(None)
        child.kill()
        with pytest.raises(ConnectionLost, match="gone"):
            collect(opened[0], 10_000)
        opened[0].close()
        with sender(name, source_id="helmet 2"):
            with pytest.raises(ConnectionLost, match="no such stream"):
                opened[0].open(None)
            with sender(name, source_id="helmet 1"):
                info = opened[0].open(None)
                assert info.extra["lsl"]["source_id"] == "helmet 1"


@pytest.mark.slow
@pytest.mark.parametrize("ids", [("", ""), ("-8123456789012345", "4123456789012345678")])
def test_a_sender_without_source_id_is_found_again_by_name(name: str, ids: tuple[str, str]) -> None:
    with (
        sender(name, source_id=ids[0]) as child,
        open_source(f"lsl:{name}") as source,
        Watcher(source) as watcher,
    ):
        watcher.until("samples")
        child.kill()
        watcher.until("lost", 5)
        with sender(name, source_id=ids[1]):
            watcher.until("reconnected")


def in_another_time() -> list[str]:
    """Return what runs a program with a clock of its own, 1000 s ahead; nothing where it cannot."""
    command = ["unshare", "--time", "--monotonic", "1000"]
    try:
        done = subprocess.run([*command, "true"], capture_output=True, check=False)
    except OSError:
        return []
    return [] if done.returncode or not Path("/proc/self/timens_offsets").exists() else command


def test_another_clock_is_brought_to_ours(name: str, opened: list[LslDriver]) -> None:
    prefix = in_another_time()
    if not prefix:
        pytest.skip("no clock of its own can be given to a process here")
    with sender(name, prefix=prefix) as child:
        opened.append(driver(name))
        opened[0].open(None)
        _, stamps = collect(opened[0], 500)
        age = time.monotonic() - stamps[-1]
        child.tell("mark '3'")
        said, markers = time.monotonic(), []
        while not markers:
            assert time.monotonic() < said + 10
            markers += [m for p in opened[0].receive(0.2) for m in p.markers]
    print(f"age by a clock that is 1000 s ahead: {age * 1e3:.1f} ms")
    assert -0.01 < age < 0.2
    assert abs(markers[0].stamp - said) < 0.2


@pytest.mark.slow
def test_wake_ends_a_wait(name: str, opened: list[LslDriver]) -> None:
    with sender(name, seconds=0.1, linger=20):
        opened.append(driver(name))
        opened[0].open(None)
        waiter = threading.Timer(0.2, opened[0].wake)
        waiter.start()
        began = time.monotonic()
        assert opened[0].receive(10.0) == []
        assert time.monotonic() - began < 5
        waiter.join()


def test_discover_lists_streams(name: str) -> None:
    with sender(name, channels=5):
        rows = {row["name"]: row for row in discover()}
    row = rows[name]
    assert row["source"] == f"lsl:{name}"
    assert (row["type"], row["channels"], row["rate_hz"]) == ("MEG", 5, 1000.0)
    assert row["source_id"] == f"{name}-device"
    assert row["host"]
    assert rows[f"{name}-markers"]["rate_hz"] == 0


@pytest.mark.parametrize("pace", ["0", "nan", "fast", "5"])
def test_a_pace_that_is_none(pace: str) -> None:
    with pytest.raises(InputError, match=r"pace of 0\.001 to 1 seconds, got"):
        driver(f"NAME,pace={pace}")


@pytest.mark.parametrize("text", ["", "unit=fT", "NAME,colour=red"])
def test_addresses_that_make_no_sense(text: str) -> None:
    with pytest.raises(InputError, match="lsl:NAME or keys among"):
        driver(text)
