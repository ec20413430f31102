"""FusedFir: the conformance suite, its float64 definition, and MNE."""

from __future__ import annotations

from dataclasses import replace

import mne
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.recording import Gap, recording_from_array
from brainforge.regrid import Regrid
from brainforge.stages.fir import FusedFir
from brainforge.testing.stage_suite import (
    BACKEND,
    StageSuite,
    cut,
    good_of,
    run,
    same_signal,
    signal_of,
)
from tests.reference import fir as reference


def make_info(n_channels=4, sfreq=1000.0, line_freq=50.0):
    channels = [
        Channel(f"M{i}", "mag", cal=1e-15 * (1 + i), rails=(-9, 9)) for i in range(n_channels)
    ]
    channels.insert(1, Channel("STI", "stim"))
    return Info(sfreq, tuple(channels), line_freq=line_freq)


def counts(info, n, seed=0, dtype=np.int16):
    rng = np.random.default_rng(seed)
    t = np.arange(n) / info.sfreq
    x = 500 * rng.standard_normal((info.n_channels, n)) + 3000 * np.sin(2 * np.pi * 50 * t)
    x += 100 * np.cumsum(rng.standard_normal((info.n_channels, n)), axis=1) / 30 + 2000
    return x.astype(dtype)


def make_recording(n=30000, start=1237, sfreq=1000.0, **fields):
    info = make_info(sfreq=sfreq)
    return recording_from_array(counts(info, n), info, start, **fields)


def outputs(stage, recording, sizes=(1000,), **change):
    step = stage.bind(recording.info, BACKEND)
    return step, run(step, cut(recording, list(sizes)))


class TestFusedFir(StageSuite):
    @pytest.fixture(params=["quarter", "full_rate", "third"])
    def stage(self, request):
        return {
            "quarter": FusedFir(line_freq=50.0, grid=4000),
            "full_rate": FusedFir(h_freq=40.0, decim=1, grid=5000, notch=(50.0,)),
            "third": FusedFir(decim=3, grid=3000, offsets=(("M0", 2000.0),)),
        }[request.param]

    @pytest.fixture
    def recording(self):
        return make_recording(n=22000, gaps=(Gap(12001, 12701, "dropped"),))


@pytest.mark.parametrize(
    "sfreq, decim", [(1000.0, None), (1200.0, None), (600.6, None), (1000.0, 3)]
)
def test_equals_its_float64_definition(sfreq, decim):
    stage = FusedFir(line_freq=50.0, decim=decim)
    recording = make_recording(sfreq=sfreq)
    step, out = outputs(stage, recording)
    design = stage.design(sfreq)
    assert step.info.decim == design.k
    assert step.info.sfreq == pytest.approx(sfreq / design.k)
    assert step.info.names == ("M0", "M1", "M2", "M3")
    ((start, got),) = signal_of(out).items()
    rows = recording.info.rows(step.info.names)
    cal = np.array([recording.info.channel(n).working_cal for n in step.info.names])[:, None]
    raw = cal * (recording.reader.data[rows].astype(np.float64) - step.offset[:, None])
    want, first = reference.two_stage(raw, recording.start, design.k, design.h1, design.h2)
    assert start == first
    rms = np.sqrt(np.mean(raw**2, axis=1, keepdims=True))
    assert np.abs((got - want) / rms).max() < 1e-6
    scale = np.sqrt(np.mean(want**2, axis=1, keepdims=True))
    assert np.sqrt(np.mean(((got - want) / scale) ** 2)) < 2e-6


def test_full_rate_agrees_with_mne():
    recording = make_recording()
    step, out = outputs(FusedFir(1.0, 100.0, decim=1, line_freq=None), recording)
    ((start, got),) = signal_of(out).items()
    assert start == recording.start
    rows = recording.info.rows(step.info.names)
    cal = np.array([recording.info.channel(n).cal for n in step.info.names])[:, None]
    raw = mne.io.RawArray(
        recording.reader.data[rows] * cal, mne.create_info(4, 1000.0, "mag"), verbose=False
    )
    theirs = raw.filter(1.0, 100.0, verbose=False).get_data() * 1e15
    assert got.shape == theirs.shape
    inner = slice(3301, -3301)
    rms = theirs[:, inner].std(axis=1, keepdims=True)
    assert (np.abs(got - theirs) / rms)[:, inner].max() < 1e-5
    assert (np.abs(got - theirs) / rms).max() < 1e-4  # the same reflection at both ends


def test_passes_the_band_and_stops_the_line():
    info = make_info(1)
    t = np.arange(40000) / 1000
    for freq, gain in (
        (0.0, 0),
        (10.0, 1),
        (50.0, 0),
        (80.0, 1),
        (100.0, 0),
        (160.0, 0),
        (243.0, 0),
    ):
        x = np.zeros((2, len(t)))
        x[0] = 1000 * np.sin(2 * np.pi * freq * t + 1)
        _, out = outputs(FusedFir(line_freq=50.0), recording_from_array(x, info))
        got = signal_of(out)[0]
        want = gain * x[0, ::4]
        assert np.abs(got[0] - want)[1000:-1000].max() < 6, freq


def test_line_frequency_of_the_info_is_not_taken_by_itself():
    assert FusedFir().design(1000.0).h2.sum() == pytest.approx(0, abs=1e-3)
    assert len(FusedFir().design(1000.0).h2) == len(FusedFir(line_freq=50.0).design(1000.0).h2)
    gains = [
        FusedFir(line_freq=f).design(1000.0).response(np.array([50.0]))[0] for f in (None, 50.0)
    ]
    assert gains == pytest.approx([1, 0], abs=5e-3)


@settings(max_examples=25, derandomize=True, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 6000), min_size=1, max_size=12),
    gap=st.tuples(st.integers(1500, 14000), st.integers(1, 200)),
    start=st.integers(0, 9000),
)
def test_regridded_stream_gives_equal_numbers_for_any_cutting(sizes, gap, start):
    stage = FusedFir(line_freq=50.0, grid=4000)
    at = start + gap[0]
    recording = make_recording(n=16000, start=start, gaps=(Gap(at, at + gap[1], "lost"),))
    want = run(stage.bind(recording.info, BACKEND), cut(recording, [16000]))
    regrid, step, got = Regrid(4000), stage.bind(recording.info, BACKEND), []
    for block in cut(recording, sizes):
        for cell in regrid.process(block):
            got += step.process(cell)
    for cell in regrid.finish():
        got += step.process(cell)
    same_signal(want, got + step.finish())


def test_blocks_end_on_the_grid():
    _, out = outputs(FusedFir(grid=4000), make_recording())
    assert out[0].start == 310
    assert all(block.stop % 1000 == 0 for block in out[:-1])


def test_a_short_gap_is_bridged_and_stays_masked():
    whole = make_recording()
    holed = make_recording(gaps=(Gap(15000, 15040, "dropped"),))
    (_, a), (_, b) = (outputs(FusedFir(grid=4000), r) for r in (whole, holed))
    assert list(signal_of(b)) == [310]  # one stretch: the state went on
    good = good_of(b)
    lo, hi = 15000 // 4 - 310, -(-15040 // 4) - 310
    assert not good[:, lo:hi].any()
    assert good[:, : lo - 3].all()
    assert good[:, hi + 3 :].all()
    x, y = signal_of(a)[310], signal_of(b)[310]
    np.testing.assert_allclose(x[:, : lo - 600], y[:, : lo - 600], rtol=0, atol=1e-2)


def test_a_masked_stretch_is_masked_with_the_main_lobe_around_it():
    masks = (Mask(("M2", "STI"), 15001, 15101, Cause.RAILED),)
    recording = make_recording(masks=masks)
    step, out = outputs(FusedFir(grid=4000), recording)
    good = good_of(out)
    row = step.info.index("M2")
    bad = np.flatnonzero(~good[row]) + 310
    assert 4 * bad[0] <= 15001 - 4 < 4 * bad[0] + 8
    assert 4 * bad[-1] >= 15100 + 1
    assert len(bad) < 30
    assert good[[r for r in range(4) if r != row]].all()
    assert {name for b in out for m in b.masks for name in m.channels} == {"M2"}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_masked_and_harms_nothing_else(dtype):
    recording = make_recording()
    clean = recording_from_array(recording.reader.data.astype(dtype), recording.info, 1237)
    dirty = clean.reader.data.copy()
    dirty[2, 9000:9003] = np.nan
    dirty[3, 12000] = np.inf
    dirty[4, :] = np.nan
    dirty[0, :5] = np.nan
    other = recording_from_array(dirty, recording.info, 1237)
    stage = FusedFir(grid=4000)
    (_, a), (_, b) = outputs(stage, clean), outputs(stage, other)
    x, y, good = signal_of(a)[310], signal_of(b)[310], good_of(b)
    assert np.isfinite(y).all()
    assert not good[3].any()
    assert (y[3] == 0).all()
    assert 0 < (~good[1]).sum() < 8
    assert 0 < (~good[2]).sum() < 8
    far = np.ones(x.shape[1], bool)
    far[1500:3200] = False
    far[:450] = False
    np.testing.assert_allclose(x[:3, far], y[:3, far], rtol=0, atol=0.5)
    same_signal(b, outputs(stage, other, (313, 2000))[1])


def test_dtypes_agree():
    recording = make_recording()
    want = signal_of(outputs(FusedFir(), recording)[1])[310]
    for dtype in (np.int32, np.float32, np.float64):
        other = recording_from_array(recording.reader.data.astype(dtype), recording.info, 1237)
        got = signal_of(outputs(FusedFir(), other)[1])[310]
        np.testing.assert_allclose(got, want, rtol=0, atol=2e-2)


@pytest.mark.parametrize("n", [1, 2, 7, 500, 3000])
def test_a_segment_shorter_than_the_filter_comes_out_whole(n):
    recording = make_recording(n=n, start=4000)
    _, out = outputs(FusedFir(), recording)
    assert sum(b.data.shape[1] for b in out) == -(-n // 4)
    assert all(np.isfinite(b.data).all() for b in out)


def test_threads_change_no_bit():
    recording = make_recording()
    _, want = outputs(FusedFir(line_freq=50.0), recording)
    step = FusedFir(line_freq=50.0).bind(recording.info, Backend(n_threads=2))
    same_signal(want, run(step, cut(recording, [1000])))


def test_calibration_is_used_once():
    step, _ = outputs(FusedFir(), make_recording())
    assert all(c.cal == pytest.approx(1e-15) for c in step.info.channels)
    assert all(c.rails is None for c in step.info.channels)
    data = np.tile(1000 * np.sin(2 * np.pi * 10 * np.arange(20000) / 1000), (5, 1))
    recording = recording_from_array(data, make_info())
    got = signal_of(outputs(FusedFir(), recording)[1])[0]
    np.testing.assert_allclose(
        np.abs(got[:, 500:-500]).max(axis=1), [1e3, 2e3, 3e3, 4e3], rtol=5e-3
    )


def test_bad_input_is_refused():
    info = make_info()
    with pytest.raises(InputError, match="at least one of kind"):
        FusedFir().bind(info.pick(["STI"]), BACKEND)
    with pytest.raises(InputError, match="multiple of 4"):
        FusedFir(grid=1001).bind(info, BACKEND)
    with pytest.raises(InputError, match="decimation"):
        FusedFir(h_freq=None).bind(info, BACKEND)
    with pytest.raises(InputError, match="XYZ"):
        FusedFir(offsets=(("XYZ", 1.0),)).bind(info, BACKEND)
    step = FusedFir().bind(info, BACKEND)
    block = RawBlock(counts(info, 100), info, 500)
    step.process(block)
    with pytest.raises(InputError, match="in order"):
        step.process(block)
    with pytest.raises(InputError, match="channels"):
        step.process(RawBlock(block.data[::-1], info.pick(info.names[::-1]), 600))
    with pytest.raises(InputError, match="int16"):
        step.process(replace(block, data=block.data.astype(np.float32), start=600))
