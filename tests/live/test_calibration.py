"""Calibrations: what was planted is found and taken out, in the background, whatever fails."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.checkpoint import pack_state, unpack_state
from brainforge.datasets import Phantom
from brainforge.errors import InputError
from brainforge.info import Channel
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.live.calibration import Calibration, Lesson, calibrate
from brainforge.live.calibrator import Calibrator
from brainforge.live.immediate import ImmediatePath
from brainforge.recipe import LiveRecipe, load_recipe

BACKEND = Backend(n_threads=1)
RESTING = load_recipe("resting")
REASON = {"dead": "flat", "railing": "railed", "noisy": "noisy"}


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Hold BLAS, SciPy's too, to one thread, as a session's processes do."""
    import scipy.linalg.blas  # noqa: F401

    with single_threaded_blas():
        yield


def recipe(**live):
    return replace(RESTING, live=LiveRecipe(**live))


def blocks_of(phantom, size=1000, start=0, stop=None):
    with phantom.source(size) as source:
        return [b for b in source if b.start >= start and (stop is None or b.stop <= stop)]


@pytest.fixture(scope="module")
def planted():
    """A minute and a half of 102 channels, gains that stay."""
    return Phantom(
        n_channels=102, duration=95.0, seed=11, gaps=(), bad_channels=("dead", "railing", "noisy")
    )


@pytest.fixture(scope="module")
def first(planted):
    return calibrate(RESTING, planted.info, blocks_of(planted, stop=30000), BACKEND)


def test_bad_channels_heart_and_eyes_are_found_in_half_a_minute(planted, first):
    truth = planted.truth()
    found = {(b.name, b.reason) for b in first.bads}
    assert found == {(b["name"], REASON[b["kind"]]) for b in truth["bad_channels"]}
    assert first.revision == 1
    assert first.window == (0, 30000)
    assert first.removed["ecg"] >= 1
    assert first.heart is not None
    assert first.heart.shape == (102,)
    assert "replaced by the estimate" in first.text
    rows = first.fused.rows(first.bad_names)
    assert not first.fused.matrix[:, rows].any()  # nothing is computed from a bad channel


def test_a_later_one_begins_with_the_one_before(planted, first):
    again = calibrate(RESTING, planted.info, blocks_of(planted, start=30000), BACKEND, first)
    assert again.revision == 2
    assert again.window == (30000, 95000)
    assert again.bad_names == first.bad_names
    assert again.removed["ecg"] >= 1
    assert again.digest != first.digest


def test_a_checkpoint_brings_it_back(first):
    back = Calibration.from_state(unpack_state(pack_state(first.state())))
    assert back.digest == first.digest
    assert back.summary() == first.summary()
    np.testing.assert_array_equal(back.heart, first.heart)
    assert back.bads == first.bads


def test_live_after_it_the_heart_is_gone_and_what_was_planted_stands_out(planted, first):
    print("seed", planted.seed)
    truth, cleaned, last = planted.truth(), [], {}

    def keep(what, meta, arrays):
        if what == "cleaned":
            cleaned.append(arrays["data"].copy())

    path = ImmediatePath(
        RESTING, planted.info, BACKEND,
        lambda topic, meta, arrays: last.update({topic: (meta, arrays)}), outputs=keep,
    )  # fmt: skip
    for raw in blocks_of(planted, 50):
        if raw.start == 30000:
            path.adopt(first)
        path.take(raw, 0.0)
    x = np.concatenate(cleaned, axis=1)
    good = [i for i, n in enumerate(path.info.names) if n not in first.bad_names]

    def height(a, b):  # of the average beat, 250 Hz
        beats = [s // 4 for s in truth["heartbeats"] if a * 1000 + 400 < s < b * 1000 - 400]
        mean = np.mean([x[good, s - 20 : s + 40] for s in beats], axis=0)
        return np.linalg.norm(mean - mean.mean(axis=1, keepdims=True))

    assert height(32, 95) < 0.5 * height(2, 30)  # 6 dB, what is left of the noise included
    rate = 60 * 1000 / np.median(np.diff(truth["heartbeats"][-12:]))
    heart = last["status"][0]["heart"]
    assert heart["source"] == "MEG"
    assert heart["rate_per_min"] == pytest.approx(rate, rel=0.1)
    assert {b["name"] for b in last["status"][0]["bads"]} == set(first.bad_names)

    meta, arrays = last["connectivity"]
    assert not meta["collecting"]
    assert meta["revision"] == 1
    pairs = np.array(np.triu_indices(102, 1)).T.tolist()
    for coupled in truth["couplings"]:
        band = meta["bands"].index(coupled["band"])
        at = pairs.index(sorted(meta["names"].index(n) for n in coupled["sensors"]))
        for name in ("imcoh", "wpli"):
            strength = np.abs(arrays[name][band])
            assert np.mean(strength > strength[at]) < 0.02, name


def small(n_channels=12, n=40000, seed=0, sfreq=250.0):
    """Return blocks of a second of noise that nobody has to learn much from."""
    phantom = Phantom(n_channels=n_channels, sfreq=sfreq, duration=n / sfreq, seed=seed, gaps=())
    return phantom.info, blocks_of(phantom, round(sfreq))


def settle(calibrator):
    """Wait until the window under way is over; return what it gave."""
    window = calibrator._window
    assert window is not None
    assert window.asked
    assert window.over.wait(60)
    return calibrator.poll()


def test_windows_follow_each_other_in_the_background():
    info, blocks = small()
    chosen = recipe(calibration_s=15, refresh_s=60, refresh_window_s=20)
    calibrator = Calibrator(chosen, info, BACKEND)
    found, states = [], set()
    for block in blocks:
        calibrator.feed(block)
        states.add(calibrator.summary()["state"])
        if calibrator.summary()["state"] == "learning":
            assert calibrator.poll() is None or found
            found.append(settle(calibrator))
    assert [c.window for c in found] == [(0, 3750), (13750, 18750), (28750, 33750)]
    assert [c.revision for c in found] == [1, 2, 3]
    assert states == {"collecting", "learning", "waiting"}
    summary = calibrator.summary()
    assert summary["revision"] == 3
    assert summary["failures"] == 0
    assert summary["cpu_s"] > 0
    assert [e["what"] for e in summary["events"]] == ["calibrated"] * 3
    assert calibrator.poll() is None
    calibrator.close()


def test_what_fails_is_told_and_the_operator_stays(monkeypatch):
    info, blocks = small(n=20000)
    chosen = recipe(calibration_s=15, refresh_s=30, refresh_window_s=15)
    calibrator = Calibrator(chosen, info, BACKEND)
    feed = Lesson.feed

    def broken(self, raw):
        raise MemoryError("no room")

    monkeypatch.setattr(Lesson, "feed", broken)
    for block in blocks[:15]:
        calibrator.feed(block)
    assert settle(calibrator) is None
    summary = calibrator.summary()
    assert summary["error"] == "calibration failed: no room"
    assert summary["failures"] == 1
    assert summary["events"][0]["what"] == "failed"
    assert summary["revision"] == 0
    monkeypatch.setattr(Lesson, "feed", feed)
    for block in blocks[15:30]:
        calibrator.feed(block)
    calibration = settle(calibrator)
    assert calibration is not None
    assert calibration.window == (3750, 7500)
    assert calibrator.summary()["error"] == ""
    calibrator.close()


def test_a_window_may_begin_anywhere_and_tells_the_mains_itself():
    phantom = Phantom(n_channels=16, duration=40.0, seed=2, gaps=(), bad_channels=())
    info = replace(phantom.info, line_freq=None)
    x = np.concatenate([b.data for b in blocks_of(phantom)], axis=1)
    # three samples before a multiple of the grid's 10 s
    blocks = [RawBlock(x[:, a : a + 50], info, a) for a in range(9997, 35000, 50)]
    lesson = Lesson(RESTING, info, BACKEND)
    for block in blocks:
        lesson.feed(block)
    found = lesson.learn()
    assert lesson._first.info.line_freq == 50.0
    lesson.close()
    assert found.window == (9997, blocks[-1].stop)


def test_without_a_good_channel_nothing_is_learned():
    info, blocks = small(8, 5000)
    flat = [RawBlock(np.zeros_like(b.data), info, b.start) for b in blocks]
    with pytest.raises(InputError, match="good MEG channel"):
        calibrate(RESTING, info, flat, BACKEND)


def test_feeding_never_waits_and_a_window_may_be_given_up(monkeypatch):
    info, blocks = small(n=20000)
    held = threading.Event()
    monkeypatch.setattr(Lesson, "feed", lambda self, raw: held.wait(60) and None)
    calibrator = Calibrator(recipe(calibration_s=60), info, BACKEND)
    for block in blocks[:40]:
        calibrator.feed(block)
    held.set()
    assert calibrator._window.over.wait(60)
    assert calibrator.poll() is None
    assert "no time" in calibrator.summary()["error"]
    calibrator.close()


def test_a_restored_calibrator_goes_on_counting():
    info, blocks = small(n=25000)
    chosen = recipe(calibration_s=15, refresh_s=60, refresh_window_s=20)
    calibrator = Calibrator(chosen, info, BACKEND)
    for block in blocks[:15]:
        calibrator.feed(block)
    settle(calibrator)
    state = unpack_state(pack_state(calibrator.state()))
    calibrator.close()
    other = Calibrator(chosen, info, BACKEND)
    other.restore(state)
    for block in blocks[15:80]:
        other.feed(block)
    later = settle(other)
    assert later.revision == 2
    assert later.window == (13750, 18750)
    other.close()


def test_closing_gives_up_what_is_under_way():
    info, blocks = small(n=5000)
    calibrator = Calibrator(recipe(), info, BACKEND)
    for block in blocks:
        calibrator.feed(block)
    assert calibrator.summary()["state"] == "collecting"
    calibrator.close()
    assert not any(t.name == "calibrator" for t in threading.enumerate())


def test_artifact_subspaces_are_learned_where_they_are_asked_for(planted):
    blocks = blocks_of(planted, stop=20000)
    found = calibrate(recipe(asr=True), planted.info, blocks, BACKEND)
    assert found.asr is not None
    assert len(found.asr.scale) == 102
    back = Calibration.from_state(unpack_state(pack_state(found.state())))
    np.testing.assert_array_equal(back.asr.thresholds, found.asr.thresholds)
    path = ImmediatePath(recipe(asr=True), planted.info, BACKEND, lambda *_: None)
    path.adopt(found)
    for raw in blocks[:3]:
        path.take(raw, 0.0)
    again = ImmediatePath(recipe(asr=True), planted.info, BACKEND, lambda *_: None)
    again.restore(unpack_state(pack_state(path.state())))
    assert again.calibration.digest == found.digest


def test_references_are_part_of_the_operator():
    phantom = Phantom(n_channels=16, duration=30.0, seed=1, gaps=(), bad_channels=())
    x = np.concatenate([b.data for b in blocks_of(phantom)], axis=1).astype(np.float32)
    noise = np.cumsum(np.random.default_rng(2).standard_normal((2, x.shape[1])), axis=1)
    noise -= np.linspace(0, 1, x.shape[1]) * noise[:, -1:]
    x[:16] += 40 * (np.arange(16)[:, None] % 3 - 1.0) * noise[0] + 25 * noise[1]
    extra = tuple(Channel(f"REF{i}", "ref_mag", cal=phantom.info.channels[0].cal) for i in range(2))
    info = replace(phantom.info, channels=(*phantom.info.channels, *extra))
    data = np.vstack([x, 100 * noise]).astype(np.float32)
    blocks = [RawBlock(data[:, a : a + 1000], info, a) for a in range(0, 30000, 1000)]
    found = calibrate(RESTING, info, blocks, BACKEND)
    assert found.fused.names == info.names
    assert np.abs(found.fused.matrix[:16, 16:]).max() > 0
    path = ImmediatePath(RESTING, info, BACKEND, lambda *_: None)
    path.adopt(found)
    path.take(blocks[0], 0.0)
    assert path.info.names == info.names[:16]
