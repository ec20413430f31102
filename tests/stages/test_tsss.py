"""Tsss as a stage: the conformance suite, windows, masks, what it tells, MNE, refusals."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from brainforge.block import Block, Cause, Mask, RawBlock
from brainforge.datasets.helmet import opm_channels, sensor_array
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import is_device, to_host
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.tsss import tsss_window
from brainforge.learners.multipole import learn_multipoles
from brainforge.recording import Gap, recording_from_array
from brainforge.stages.tsss import Tsss
from brainforge.testing.stage_suite import BACKEND, StageSuite, cut, good_of, run, signal_of
from tests.emulator.strict import fake_device, put
from tests.helmets import helmet_info, to_mne

STAGE = Tsss(orders=(2, 1), origin=(0.0, 0.0, 0.01), window_s=4.0)
N = 45


def make_info(sfreq=500.0, n=N):
    channels = opm_channels(sensor_array(n, "triaxial"), cal=2e-15, rails=(-40000, 40000))
    channels = (channels[0], Channel("STI", "stim"), *channels[1:], Channel("EEG", "eeg", cal=1e-6))
    return Info(sfreq, channels)


def make_recording(n=13000, start=777, seed=0, **fields):
    info = make_info()
    rng = np.random.default_rng(seed)
    x = 200 * rng.standard_normal((info.n_channels, n))
    x += np.outer(9000 * rng.standard_normal(info.n_channels), np.sin(np.arange(n) / 7))
    return recording_from_array(x.astype(np.int32), info, start, **fields)


class TestTsss(StageSuite):
    @pytest.fixture(params=["sss", "amm"])
    def stage(self, request):
        return {
            "sss": STAGE,
            "amm": Tsss("amm", (3, 1), window_s=4.0),
        }[request.param]

    @pytest.fixture
    def recording(self):
        return make_recording(n=16000, gaps=(Gap(9001, 9701, "dropped"),))


def test_windows_lie_on_the_grid_and_cover_the_segment():
    step = STAGE.bind(make_info(), BACKEND)
    out = run(step, cut(make_recording(n=8000), [500]))
    assert [(w.start, w.stop) for w in step.windows] == [
        (777, 3000),
        (2000, 4000),
        (3000, 5000),
        (4000, 6000),
        (5000, 7000),
        (6000, 8777),
    ]
    assert all(w.temporal for w in step.windows)
    told = json.loads(json.dumps(step.summary()))
    assert (told["method"], told["orders"], told["rank"]) == ("sss", [2, 1], 8)
    assert (told["origin"], told["window_s"]) == ([0.0, 0.0, 0.01], 4.0)
    assert (told["n_windows"], told["n_spatial_only"]) == (6, 0)
    assert told["n_removed_in_time"] == sum(w.n_removed for w in step.windows) > 0
    assert [b.stop for b in out] == [1000, 2000, 3000, 4000, 5000, 6000, 7000, 8000, 8777]


def test_equals_the_kernel_on_each_window_faded():
    recording = make_recording()
    out = signal_of(run(STAGE.bind(recording.info, BACKEND), cut(recording, [999])))[777]
    found = learn_multipoles(recording.info, orders=(2, 1), origin=(0.0, 0.0, 0.01))
    rows = recording.info.rows(found.names)
    early, late = (
        tsss_window((recording.read(a, a + 2000).to_si()[rows] * 1e15).astype("f4"), found.split)
        for a in (4000, 5000)
    )
    rise = np.hanning(2001)[:1000]
    want = rise * late.data[:, :1000] + (1 - rise) * early.data[:, 1000:]
    names = [c.name for c in recording.info.channels if c.kind != "stim"]
    got = out[[names.index(n) for n in found.names], 5000 - 777 : 6000 - 777]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-6 * np.abs(want).max())
    assert early.n_removed > 0
    eeg = recording.read(777, 13777).to_si()[-1] * 1e6
    np.testing.assert_array_equal(out[names.index("EEG")], eeg.astype("f4"))


def test_working_blocks_give_the_same():
    recording = make_recording()
    step = STAGE.bind(recording.info, BACKEND)
    want = run(step, cut(recording, [2000]))
    working = STAGE.bind(step.info, BACKEND)
    blocks = []
    for raw in cut(recording, [2000]):
        rows = raw.info.rows(step.info.names)
        factor = np.array([raw.info.channel(n).working_cal for n in step.info.names])[:, None]
        blocks.append(Block((raw.data[rows] * factor).astype(np.float32), step.info, raw.start))
    got = run(working, iter(blocks))
    np.testing.assert_array_equal(signal_of(got)[777], signal_of(want)[777])


def test_short_segments_are_separated_in_space_only():
    recording = make_recording(n=100)
    step = STAGE.bind(recording.info, BACKEND)
    out = signal_of(run(step, cut(recording, [33])))[777]
    assert [(w.n_removed, w.temporal) for w in step.windows] == [(0, False)]
    raw = recording.read(777, 877).to_si()
    rows = recording.info.rows(step.found.names)
    want = step.found.split.matrix() @ (raw[rows] * 1e15)
    names = list(step.info.names)
    got = out[[names.index(n) for n in step.found.names]]
    np.testing.assert_allclose(got, want, atol=1e-5 * np.abs(raw[rows]).max() * 1e15)


def test_where_nothing_is_left_all_channels_are_masked():
    recording = make_recording()
    meg = recording.info.names_of("mag")
    masks = (Mask(meg[:40], 5000, 5020, Cause.RAILED), Mask(meg[:3], 5000, 5100, Cause.RAILED))
    step = STAGE.bind(recording.info, BACKEND)
    out = run(step, cut(replace(recording, masks=masks), [1000]))
    good = good_of(out)
    at = 5000 - 777
    assert not good[:, at : at + 20].any()
    assert good[5, at + 20 : at + 100].all()
    assert good[:, : at - 1].all()
    assert np.isfinite(signal_of(out)[777]).all()


def test_nan_harms_nothing_else():
    recording = make_recording()
    x = recording.read(777, 13777)
    data = x.data.astype(np.float64)
    data[3, 5000:5010] = np.nan
    data[-1, 100] = np.inf
    out = run(STAGE.bind(x.info, BACKEND), iter([RawBlock(data, x.info, 777)]))
    y, good = signal_of(out)[777], good_of(out)
    assert np.isfinite(y).all()
    assert (~good).sum() == 11


@pytest.mark.parametrize("raw", [True, False])
def test_blocks_stay_on_their_device(raw):
    masks = (Mask(("EEG", "OPM003_RAD"), 3000, 3100, Cause.RAILED),)
    recording = replace(make_recording(n=9000, gaps=(Gap(7000, 7300, "lost"),)), masks=masks)
    info = recording.info if raw else STAGE.bind(recording.info, BACKEND).info
    blocks = list(cut(recording, [1500]))
    if not raw:
        factors = np.array([recording.info.channel(n).working_cal for n in info.names])[:, None]
        rows = recording.info.rows(info.names)
        blocks = [
            Block((b.data[rows] * factors).astype("f4"), info, b.start, b.masks) for b in blocks
        ]
    want = run(STAGE.bind(info, BACKEND), iter(blocks))
    with fake_device():
        step = STAGE.bind(info, BACKEND)
        out = run(step, (replace(b, data=put(b.data)) for b in blocks))
        assert all(is_device(b.data) for b in out)
        got = [replace(b, data=to_host(b.data)) for b in out]
    np.testing.assert_array_equal(good_of(got), good_of(want))
    for start, data in signal_of(want).items():
        size = np.abs(data).max()
        np.testing.assert_allclose(signal_of(got)[start], data, rtol=0, atol=1e-5 * size)


def test_equals_mne():
    import mne

    info = helmet_info(100, seed=1)
    rng = np.random.default_rng(0)
    x = 20 * rng.standard_normal((100, 7500))
    x += np.outer(2e3 * rng.standard_normal(100) ** 3, rng.standard_normal(7500))
    raw_info = to_mne(info)
    for row in raw_info["chs"]:
        row["coil_type"] = 2000
    with single_threaded_blas():
        theirs = mne.preprocessing.maxwell_filter(
            mne.io.RawArray(x * 1e-15, raw_info, verbose="error"), origin=(0.0, 0.0, 0.01),
            int_order=4, ext_order=2, regularize=None, bad_condition="ignore", st_duration=10.0,
            verbose="error",
        ).get_data() * 1e15  # fmt: skip
    stage = Tsss(orders=(4, 2), origin=(0.0, 0.0, 0.01), max_condition=None)
    info = replace(info, channels=tuple(replace(c, cal=1e-15) for c in info.channels))
    got = signal_of(run(stage.bind(info, BACKEND), cut(recording_from_array(x, info), [1000])))[0]
    assert np.linalg.norm(got - theirs) < 1e-4 * np.linalg.norm(theirs)


def test_bad_input_is_refused():
    info = make_info()
    with pytest.raises(InputError, match=r"window_s: expected at least 0\.25 s"):
        replace(STAGE, window_s=0.2).bind(info, BACKEND)
    with pytest.raises(InputError, match=r"at least 6\.30 s"):
        # what is limited to 10 Hz has 20 independent samples a second
        replace(STAGE, window_s=5.0).bind(replace(info, lowpass=10.0), BACKEND)
    with pytest.raises(InputError, match="correlation"):
        replace(STAGE, correlation=0.0).bind(info, BACKEND)
    with pytest.raises(InputError, match="sss or amm"):
        replace(STAGE, model="x").bind(info, BACKEND)
    with pytest.raises(InputError, match="good channels"):
        Tsss().bind(info, BACKEND)
    with pytest.raises(InputError, match="positions"):
        STAGE.bind(Info(250.0, (Channel("A", "mag"),)), BACKEND)
