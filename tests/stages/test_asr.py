"""Asr as a stage: the conformance suite, calibration on the way, planted artifacts."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.asr_fit import asr_calibrate
from brainforge.recording import Gap, recording_from_array
from brainforge.stages.asr import Asr
from brainforge.testing.stage_suite import (
    BACKEND,
    StageSuite,
    cut,
    good_of,
    run,
    same_signal,
    signal_of,
)
from tests.kernels.test_asr import brain as brain_of
from tests.kernels.test_asr import bursts, rms

SFREQ, START, N = 250.0, 137, 8
#: 50 ms at 250 Hz, rounded
HOP = 12
INFO = Info(SFREQ, tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(N)))


def signals(n, seed=3):
    good = brain_of(n, N, seed)
    artifact, where = bursts(n, N)
    return good, artifact, where


def make_recording(n=9000, dtype=np.float32, start=START, **fields):
    good, artifact, _ = signals(n)
    return recording_from_array((good + artifact).astype(dtype), INFO, start, **fields)


def learned():
    return asr_calibrate(brain_of(15000, N), SFREQ)


@dataclass(frozen=True)
class Taught(Asr):
    """The stage with a model that was learned elsewhere."""

    calibration_s: float | None = None

    def bind(self, info, backend):
        step = super().bind(info, backend)
        step.adopt(learned())
        return step


def outputs(recording, sizes=(50,), stage=None):
    step = (stage or Taught()).bind(recording.info, BACKEND)
    return step, run(step, cut(recording, list(sizes)))


class TestTaught(StageSuite):
    @pytest.fixture(params=["quarter", "none"])
    def stage(self, request):
        return {"quarter": Taught(), "none": Taught(lookahead_s=0.0)}[request.param]

    @pytest.fixture
    def recording(self):
        return make_recording(dtype=np.int32, gaps=(Gap(5001, 5401, "dropped"),))


def test_takes_artifacts_off_and_keeps_the_brain():
    recording = make_recording(25000)
    good, artifact, where = signals(25000)
    step, out = outputs(recording)
    clean = signal_of(out)[START]
    assert step.latency == pytest.approx((1 + 5) * HOP / SFREQ)
    assert rms((clean - good)[:, where]) < 0.2 * rms(artifact[:, where])
    far = ~np.convolve(where, np.ones(501), "same").astype(bool)
    assert rms((clean - good)[:, far]) < 0.15 * rms(good)


def test_learns_on_the_way_and_leaves_the_lesson_as_it_is():
    n = 20000
    stage = Asr(calibration_s=30.0)
    good, artifact, where = signals(n)
    artifact[:, :8000] = 0
    recording = recording_from_array((good + artifact).astype(np.float32), INFO, 0)
    step, out = outputs(recording, (50,), stage)
    clean = signal_of(out)[0]
    np.testing.assert_array_equal(clean[:, :7500], good[:, :7500].astype(np.float32))
    late = where & (np.arange(n) > 8000)
    assert rms((clean - good)[:, late]) < 0.2 * rms(artifact[:, late])
    assert step.model is not None
    same_signal(out, outputs(recording, (1, 700, 33), stage)[1])


def test_a_checkpoint_in_the_lesson_and_behind_it_continues_the_same_numbers():
    stage = Asr(calibration_s=15.0, window_s=0.4)
    recording = make_recording(6000)
    want = outputs(recording, (100,), stage)[1]
    blocks = list(cut(recording, [100]))
    for at in (20, 45):
        step, other = stage.bind(INFO, BACKEND), stage.bind(INFO, BACKEND)
        out = [b for block in blocks[:at] for b in step.process(block)]
        other.restore(step.state())
        step.finish()
        same_signal(want, out + run(other, iter(blocks[at:])))


def test_learning_goes_on_where_there_was_nothing_to_learn_from():
    data = np.zeros((N, 9000), np.float32)
    data[:, 3000:] = brain_of(6000, N)
    step, out = outputs(
        recording_from_array(data, INFO, 0), (50,), Asr(calibration_s=10.0, window_s=0.5)
    )
    assert step.model is not None
    assert signal_of(out)[0].shape == data.shape


def test_nan_and_masks_reach_no_number():
    masks = (Mask(("M3",), START + 2000, START + 2900, Cause.RAILED),)
    clean = make_recording(masks=masks)
    dirty = clean.reader.data.copy()
    dirty[3, 2000:2900] = np.nan
    dirty[5, 4000:4003] = np.inf
    out = outputs(recording_from_array(dirty, INFO, START, masks=masks))[1]
    assert np.isfinite(signal_of(out)[START]).all()
    good = good_of(out)
    assert not good[3, 2000:2900].any()
    assert good.sum() == good.size - 903


@pytest.mark.parametrize("n", [1, 11, 13, 100])
def test_short_stretches_come_out_whole(n):
    _, out = outputs(make_recording(n))
    assert signal_of(out)[START].shape == (N, n)


def test_bad_input_is_refused():
    for stage, text in (
        (Asr(cutoff=0.0), "cutoff"),
        (Asr(most=2.0), "share"),
        (Asr(lookahead_s=1.0), "the window"),
        (Asr(calibration_s=5.0), "twenty windows"),
    ):
        with pytest.raises(InputError, match=text):
            stage.bind(INFO, BACKEND)
    with pytest.raises(InputError, match="cpu"):
        Asr().bind(INFO, Backend("abacus"))
    stim = replace(INFO, channels=(Channel("STI", "stim"),))
    with pytest.raises(InputError, match="at least one of kind"):
        Asr().bind(stim, BACKEND)
    step = Asr().bind(INFO.pick(["M0", "M1"]), BACKEND)
    with pytest.raises(InputError, match="one of 2 channels"):
        step.adopt(learned())
