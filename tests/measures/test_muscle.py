"""MuscleMeasure finds planted bursts, as MNE does, whatever the cutting."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.measures.muscle import MuscleMeasure
from brainforge.recording import Gap, recording_from_array
from brainforge.testing.stage_suite import cut

BURSTS = ((8.0, 1.0), (21.3, 0.5), (40.0, 2.0))
BACKEND = Backend(n_threads=1)


def make_info(sfreq=1000.0, n=20):
    channels = [Channel(f"M{i}", "mag", cal=1e-15) for i in range(n)]
    return Info(sfreq, (*channels, Channel("STI", "stim")))


def make_counts(info, seconds=60.0, seed=0):
    rng = np.random.default_rng(seed)
    n = round(seconds * info.sfreq)
    x = 100 * rng.standard_normal((info.n_channels, n)) + 3000
    for at, length in BURSTS:
        a, b = round(at * info.sfreq), round((at + length) * info.sfreq)
        if b < n:
            x[:15, a:b] += 250 * rng.standard_normal((15, b - a))
    return x.astype(np.int16)


def measured(recording, sizes=(10000,)):
    measure = MuscleMeasure(recording.info, BACKEND)
    for block in cut(recording, list(sizes)):
        measure.update(block)
    return measure


def overlaps(intervals, at, length):
    return [i for i in intervals if i.start < at + length and i.stop > at]


@pytest.mark.parametrize("sfreq", [600.6, 1000.0])
def test_finds_what_mne_finds(sfreq):
    info = make_info(sfreq)
    recording = recording_from_array(make_counts(info), info, 777)
    found = measured(recording).result()
    raw = mne.io.RawArray(
        recording.reader.data[:20] * 1e-15, mne.create_info(20, sfreq, "mag"), verbose=False
    )
    theirs, _ = mne.preprocessing.annotate_muscle_zscore(raw, threshold=4.0, ch_type="mag")
    for at, length in BURSTS:
        ours = overlaps(found, at, length)
        assert len(ours) == 1
        assert ours[0].start == pytest.approx(at, abs=0.2)
        assert ours[0].stop == pytest.approx(at + length, abs=0.2)
        assert any(t["onset"] < at + length and t["onset"] + t["duration"] > at for t in theirs)
    assert len(found) == len(BURSTS)


def test_any_cutting_gives_the_same_windows():
    info = make_info()
    recording = recording_from_array(
        make_counts(info), info, 777, gaps=(Gap(15000, 15500, "lost"),)
    )
    times, score = measured(recording, [60000]).score()
    assert len(times) > 570
    for sizes in ([100], [37, 3000], [7000, 1, 450]):
        other_times, other = measured(recording, sizes).score()
        np.testing.assert_array_equal(other_times, times)
        np.testing.assert_allclose(other, score, atol=1e-2)


def test_masked_samples_have_no_influence():
    info = make_info()
    x = make_counts(info)
    masks = (Mask(("M3", "STI"), 30000, 30500, Cause.RAILED), Mask(None, 9000, 9001, Cause.GAP))
    other = x.copy()
    other[3, 30000:30500] = np.random.default_rng(5).integers(-32000, 32000, 500)
    other[:, 9000] = 32000
    scores = [measured(recording_from_array(y, info, masks=masks)).score()[1] for y in (x, other)]
    np.testing.assert_array_equal(*scores)


def test_nan_harms_only_its_own_window():
    info = make_info()
    x = make_counts(info).astype(np.float32)
    clean = measured(recording_from_array(x, info)).score()[1]
    x[2, 33000] = np.nan
    score = measured(recording_from_array(x, info)).score()[1]
    assert np.isfinite(score).all()
    assert np.abs(score - clean).max() < 1


def test_parts_merge_and_checkpoints_continue():
    info = make_info()
    recording = recording_from_array(make_counts(info), info)
    whole = measured(recording, [5000])
    blocks = list(cut(recording, [5000]))
    first = MuscleMeasure(info, BACKEND)
    for block in blocks[:5]:
        first.update(block)
    second = MuscleMeasure(info, BACKEND)
    second.restore(first.state())
    for block in blocks[5:]:
        second.update(block)
    np.testing.assert_array_equal(second.score()[1], whole.score()[1])
    parts = [measured(recording.crop(0, 30000)), measured(recording.crop(30000, 60000))]
    parts[1].merge(parts[0])
    assert len(parts[1].result()) == 3


def test_abstains_and_refuses():
    low = MuscleMeasure(make_info(250.0), BACKEND)
    assert low.abstains
    low.update(recording_from_array(make_counts(make_info(250.0)), make_info(250.0)).read(0, 100))
    assert low.result() == ()
    info = make_info()
    measure = MuscleMeasure(info, BACKEND)
    assert measure.result() == ()
    other = info.pick(info.names[::-1])
    with pytest.raises(InputError, match="channels"):
        measure.update(recording_from_array(make_counts(info), other).read(0, 10))
    with pytest.raises(InputError, match="merge"):
        measure.merge(low)


def test_small_blocks_keep_no_masks_that_have_passed():
    info = make_info()
    x = make_counts(info)
    measure = MuscleMeasure(info, BACKEND)
    for start in range(0, 20_000, 50):
        masks = (Mask(("M3",), start, start + 10, Cause.RAILED),)
        measure.update(RawBlock(x[:, start : start + 50], info, start, masks))
    kept = measure.state()["carry"][2]
    assert 0 < len(kept) < 20
