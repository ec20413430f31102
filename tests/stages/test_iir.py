"""CausalIir: the conformance suite, SciPy, and what masks, gaps and restarts do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask, RawBlock
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.recording import Gap, recording_from_array
from brainforge.stages.iir import CausalIir
from brainforge.testing.stage_suite import (
    BACKEND,
    StageSuite,
    cut,
    good_of,
    run,
    same_signal,
    signal_of,
)

STAGE = CausalIir(line_freq=50.0)
START = 1237


def make_info(n_channels=4, sfreq=1000.0):
    channels = [Channel(f"M{i}", "mag", cal=1e-15 * (1 + i)) for i in range(n_channels)]
    channels.insert(1, Channel("STI", "stim"))
    return Info(sfreq, tuple(channels), line_freq=50.0)


def make_recording(n=8000, dtype=np.int16, seed=0, **fields):
    info, rng = make_info(), np.random.default_rng(seed)
    x = 300 * rng.standard_normal((info.n_channels, n)) + 2000
    x += 100 * np.cumsum(rng.standard_normal(x.shape), axis=1) / 30
    return recording_from_array(x.astype(dtype), info, START, **fields)


def outputs(recording, sizes=(50,), stage=STAGE):
    step = stage.bind(recording.info, BACKEND)
    return step, run(step, cut(recording, list(sizes)))


class TestCausalIir(StageSuite):
    @pytest.fixture(params=["band", "low", "notch"])
    def stage(self, request):
        return {
            "band": STAGE,
            "low": CausalIir(None, 30.0, order=2),
            "notch": CausalIir(None, None, notch=(50.0,), notch_width=5.0),
        }[request.param]

    @pytest.fixture
    def recording(self):
        return make_recording(n=9000, gaps=(Gap(5001, 5401, "dropped"),))


def test_equals_scipy_from_its_steady_state():
    recording = make_recording()
    step, out = outputs(recording)
    ((start, got),) = signal_of(out).items()
    assert start == START
    assert step.info.names == ("M0", "M1", "M2", "M3")
    rows = recording.info.rows(step.info.names)
    x = recording.reader.data[rows] * (1.0 + np.arange(4))[:, None]
    zi = signal.sosfilt_zi(step.sos)[:, None, :] * x[None, :, :1]
    want, _ = signal.sosfilt(step.sos, x, axis=1, zi=zi)
    np.testing.assert_allclose(got, want, atol=1e-5 * want.std())


def test_a_block_goes_out_at_once():
    recording = make_recording()
    step = STAGE.bind(recording.info, BACKEND)
    assert step.latency == pytest.approx(0.05)
    for block in cut(recording, [50]):
        (out,) = step.process(block)
        assert (out.start, out.stop) == (block.start, block.stop)
    assert 0.002 < step.delay(10.0) < 0.05


def test_working_blocks_are_taken_as_they_are():
    recording = make_recording()
    step, out = outputs(recording)
    again = STAGE.bind(step.info, BACKEND)
    assert again.info.names == step.info.names
    got = [b for block in out for b in again.process(block)]
    x = signal_of(out)[START]
    zi = signal.sosfilt_zi(step.sos)[:, None, :] * x[None, :, :1]
    want, _ = signal.sosfilt(step.sos, x, axis=1, zi=zi)
    np.testing.assert_allclose(signal_of(got)[START], want, atol=1e-5 * want.std())


def test_a_short_gap_is_bridged_and_stays_masked():
    holed = make_recording(gaps=(Gap(START + 4000, START + 4040, "dropped"),))
    _, out = outputs(holed)
    assert list(signal_of(out)) == [START]
    good = good_of(out)
    bad = np.flatnonzero(~good.all(axis=0))
    assert bad[0] == 4000
    assert 4040 < bad[-1] + 1 < 4080
    x = signal_of(out)[START]
    whole = signal_of(outputs(make_recording())[1])[START]
    np.testing.assert_array_equal(x[:, :4000], whole[:, :4000])
    assert np.abs(x - whole)[:, 6500:].max() < 0.1 * whole.std()


def test_a_long_masked_stretch_begins_the_channel_anew():
    masks = (Mask(("M2",), START + 3000, START + 3400, Cause.RAILED),)
    recording = make_recording(masks=masks)
    step, out = outputs(recording, (37,))
    x, good = signal_of(out)[START], good_of(out)
    whole = signal_of(outputs(make_recording())[1])[START]
    np.testing.assert_array_equal(x[[0, 1, 3]], whole[[0, 1, 3]])
    assert not good[2, 3000:3400].any()
    assert good[2, 3440:].all()
    assert good[[0, 1, 3]].all()
    row = recording.info.index("M2")
    tail = 3.0 * recording.reader.data[row, 3400:]
    zi = signal.sosfilt_zi(step.sos) * tail[0]
    np.testing.assert_allclose(
        x[2, 3400:], signal.sosfilt(step.sos, tail, zi=zi)[0], atol=1e-4 * whole.std()
    )


def test_overlapping_short_stretches_of_many_channels_are_cut_anyhow():
    rng = np.random.default_rng(5)
    masks = []
    for _ in range(200):
        at = START + int(rng.integers(0, 7900))
        channel = f"M{rng.integers(0, 4)}"
        masks.append(Mask((channel,), at, at + int(rng.integers(1, 90)), Cause.RAILED))
    recording = make_recording(masks=tuple(masks))
    want = outputs(recording, (8000,))[1]
    for sizes in ((1,), (50,), (7, 300)):
        same_signal(want, outputs(recording, sizes)[1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_nan_is_masked_and_recovers_at_once(dtype):
    clean = make_recording(dtype=dtype)
    dirty = clean.reader.data.copy()
    dirty[2, 3000:3002] = np.nan
    dirty[3, :] = np.inf
    other = recording_from_array(dirty, clean.info, START)
    _, out = outputs(other)
    x, good = signal_of(out)[START], good_of(out)
    assert np.isfinite(x).all()
    assert not good[2].any()
    assert (x[2] == 0).all()
    assert 2 <= (~good[1]).sum() < 40
    whole = signal_of(outputs(clean)[1])[START]
    np.testing.assert_array_equal(x[[0, 3]], whole[[0, 3]])
    assert np.abs(x - whole)[1, 5000:].max() < 0.05 * whole.std()


def test_threads_change_no_bit():
    recording = make_recording()
    step = STAGE.bind(recording.info, Backend(n_threads=2))
    same_signal(outputs(recording)[1], run(step, cut(recording, [50])))


def test_edges_and_lines_fit_under_nyquist():
    assert len(CausalIir(1.0, 100.0, 50.0).design(1000.0)) == 4 + 3
    assert len(CausalIir(1.0, 100.0, 60.0).design(250.0)) == 4 + 2
    assert np.isfinite(CausalIir(1.0, 400.0).design(250.0)).all()


def test_bad_input_is_refused():
    info = make_info()
    with pytest.raises(InputError, match="at least one of kind"):
        STAGE.bind(info.pick(["STI"]), BACKEND)
    with pytest.raises(InputError, match="cpu"):
        STAGE.bind(info, Backend("abacus"))
    with pytest.raises(InputError, match="an edge or a notch"):
        CausalIir(None, None).bind(info, BACKEND)
    with pytest.raises(InputError, match="inside 0 to 500 Hz"):
        CausalIir(40.0, 30.0).bind(info, BACKEND)
    step = STAGE.bind(info, BACKEND)
    block = RawBlock(np.zeros((5, 100), np.int16), info, 500)
    assert isinstance(step.process(block)[0], Block)
    assert step.process(replace(block, data=block.data[:, :0], start=600)) == []
    with pytest.raises(InputError, match="in order"):
        step.process(block)
    with pytest.raises(InputError, match="channels"):
        step.process(RawBlock(block.data[::-1], info.pick(info.names[::-1]), 600))
    with pytest.raises(InputError, match="int16"):
        step.process(replace(block, data=block.data.astype(np.float32), start=600))
