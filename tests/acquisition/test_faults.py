"""Every harm that a seeded proxy does shows as one entry of the ledger, and no other."""

from __future__ import annotations

import json
import threading
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pytest

from brainforge.acquisition.live_source import LiveSource, Piece
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.tcp import driver
from tests.faults.device import device_info, noise, running, samples
from tests.faults.proxy import HARMS, Deed, FaultProxy

CHANNELS = 306
#: what a harm must leave in the ledger; a cut or a stall that the sender's buffer outlasts loses
#: nothing
SHOWS = {
    "drop": What.GAP,
    "corrupt": What.GAP,
    "truncate": What.GAP,
    "duplicate": What.DUPLICATE,
    "reorder": What.REORDERED,
}
SAMPLES = (What.GAP, What.DUPLICATE, What.REORDERED, What.LATE, What.COUNTER)


@dataclass
class Heard:
    """What a LiveSource gave."""

    pieces: list[Piece]
    notices: list[Notice]

    def ledger(self, *kinds: What) -> list[tuple[What, int, int]]:
        return sorted((n.what, n.start, n.stop) for n in self.notices if n.what in kinds)

    @property
    def stored(self) -> int:
        return sum(p.block.data.shape[1] for p in self.pieces)

    @property
    def lost(self) -> int:
        return sum(n.stop - n.start for n in self.notices if n.what == What.GAP)


def heard(source: LiveSource) -> Heard:
    found = Heard([], [])
    with source:
        for item in source.stream():
            if isinstance(item, Piece):
                found.pieces.append(item)
            elif isinstance(item, Notice):
                found.notices.append(item)
    assert source.exact
    return found


def expected(deeds: list[Deed]) -> list[tuple[What, int, int]]:
    return sorted((SHOWS[d.harm], d.start, d.stop) for d in deeds if d.harm in SHOWS)


def check_places(found: Heard, seed: int, first: int = 0) -> None:
    """Every sample lies where the device took it, with the bits that it had."""
    base = noise(CHANNELS, 1000.0, "int32", seed)
    at = 0
    for piece in found.pieces:
        block = piece.block
        assert block.start >= at
        assert np.array_equal(block.data.T, samples(base, block.start + first, block.data.shape[1]))
        assert piece.counter == block.start + first
        at = block.stop


@pytest.mark.parametrize(
    "seed", [1, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(2, 7))]
)
def test_every_harm_shows_once_and_every_other_sample_is_in_its_place(seed: int) -> None:
    print("seed", seed)
    with (
        running("--seconds", "30", "--speed", "0", "--seed", str(seed), "--keep", "60") as device,
        FaultProxy(device[0], seed, until=29_800) as proxy,
    ):
        found = heard(LiveSource(driver(proxy.address)))
        report = json.loads(device[1].stdout.readline())
    print(Counter(d.harm for d in proxy.deeds))
    assert found.ledger(*SAMPLES) == expected(proxy.deeds)
    check_places(found, seed)
    assert report["taken"] == 30_000 == found.stored + found.lost
    cuts = sum(d.harm in ("cut", "tear") for d in proxy.deeds)
    assert len(found.ledger(What.LOST)) == len(found.ledger(What.RECONNECTED)) == cuts


@pytest.mark.parametrize("harm", HARMS)
def test_each_harm_by_itself(harm: str) -> None:
    arguments = ("--seconds", "4", "--speed", "0", "--keep", "60")
    with (
        running(*arguments) as device,
        FaultProxy(device[0], 7, [harm], every=(8, 16), until=3800) as proxy,
    ):
        found = heard(LiveSource(driver(proxy.address)))
    assert len(proxy.deeds) >= 3
    assert found.ledger(*SAMPLES) == expected(proxy.deeds)
    check_places(found, 1)
    assert found.stored + found.lost == 4000


def test_at_the_pace_of_the_device_with_its_clock() -> None:
    harms = ("drop", "duplicate", "reorder", "corrupt")
    with (
        running("--seconds", "4", "--ppm", "80", "--offset", "5000") as device,
        FaultProxy(device[0], 5, harms, every=(3, 6), until=3800) as proxy,
    ):
        source = LiveSource(driver(proxy.address))
        found = heard(source)
    assert found.ledger(*SAMPLES) == expected(proxy.deeds)
    check_places(found, 1)
    ages = [piece.arrival - piece.stamp for piece in found.pieces]
    # the device's clock is 5000 s ahead; asked for its time, samples are as old as their way
    assert np.median(ages) == pytest.approx(0.0, abs=0.02)


def test_what_the_sender_could_not_keep_is_one_gap() -> None:
    arguments = ("--seconds", "4", "--keep", "0.3")
    with (
        running(*arguments) as device,
        FaultProxy(device[0], 3, ["cut"], every=(20, 21), away_s=1.2) as proxy,
    ):
        found = heard(LiveSource(driver(proxy.address)))
        report = json.loads(device[1].stdout.readline())
    gaps = found.ledger(What.GAP)
    assert len(gaps) == len(proxy.deeds) > 0
    for (_, start, stop), deed in zip(gaps, proxy.deeds, strict=True):
        # from the first sample that did not arrive to the first one still kept
        assert start == deed.start
        assert 300 < stop - start < 2500
    assert found.stored + found.lost == report["taken"]
    check_places(found, 1)
    assert {n.cause for n in found.notices if n.what == What.GAP} == {"connection lost"}


def test_a_device_that_is_killed_and_started_anew_goes_on_behind_a_gap() -> None:
    with running("--seconds", "60") as (address, first):
        source = LiveSource(driver(address))
        timer = threading.Timer(1.0, first.kill)
        timer.start()
        listening = threading.Thread(target=lambda: found.append(heard(source)))
        found: list[Heard] = []
        listening.start()
        first.wait()
        with running("--seconds", "1", "--address", address) as (_, second):
            listening.join(20.0)
            source.stop()
            listening.join()
            second.wait()
    (it,) = found
    assert [n.what for n in it.notices] == [
        What.LOST, What.RECONNECTED, What.COUNTER, What.GAP
    ]  # fmt: skip
    index = np.concatenate([p.block.data[-1] for p in it.pieces])
    place = np.concatenate([np.arange(p.block.start, p.block.stop) for p in it.pieces])
    n = len(index) - 1000
    assert np.array_equal(index, [*range(n), *range(1000)])
    gap = it.notices[-1]
    # how long nobody counted only time can tell, and it is called so
    assert not gap.exact
    assert (gap.start, gap.stop) == (n, place[n])
    assert np.array_equal(place[n:], gap.stop + np.arange(1000))


def test_a_counter_that_wraps_is_no_gap() -> None:
    arguments = ("--seconds", "8", "--speed", "0", "--bits", "12", "--first", "4000")
    with running(*arguments, "--channels", "8") as device:
        found = heard(LiveSource(driver(device[0])))
    assert found.ledger(What.GAP, What.DUPLICATE, What.REORDERED, What.LATE) == []
    index = np.concatenate([piece.block.data[-1] for piece in found.pieces])
    assert np.array_equal(index, (4000 + np.arange(8000)) % 4096)
    assert [piece.block.start for piece in found.pieces] == list(range(0, 8000, 50))


def test_the_device_gives_the_bits_it_says() -> None:
    info = device_info(4, 100.0)
    base = noise(4, 100.0, "int16", 3)
    assert info.names[-1] == "INDEX"
    whole = samples(base, 990, 30)
    assert whole[:, -1].tolist() == list(range(990, 1020))
    assert np.array_equal(whole[:, 0], np.concatenate([base[990:, 0], base[:20, 0]]))
