"""ZapLine as a stage: the conformance suite, planted mains, windows, gaps and masks."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.zapline import zapline
from brainforge.recording import Gap, recording_from_array
from brainforge.stages.zapline import ZapLine
from brainforge.testing.stage_suite import (
    BACKEND,
    StageSuite,
    cut,
    good_of,
    run,
    same_signal,
    signal_of,
)

SFREQ = 250.0
STAGE = ZapLine(window_s=4.0)
START = 123


def make_info(n_channels=12, line_freq=50.0):
    channels = [Channel(f"M{i}", "mag", cal=1e-15) for i in range(n_channels)]
    channels.insert(1, Channel("STI", "stim"))
    return Info(SFREQ, tuple(channels), line_freq=line_freq)


def brain_and_mains(n, n_channels=12, seed=0):
    """Brain-like samples, and mains whose field turns in the course of time."""
    rng = np.random.default_rng(seed)
    t = np.arange(n) / SFREQ
    sources = rng.standard_normal((3, n)).cumsum(axis=1) / 3
    sources[0] = 60 * np.sin(2 * np.pi * 10 * t)
    brain = 10 * rng.standard_normal((n_channels, 3)) @ sources
    brain += 50 * rng.standard_normal((n_channels, n))
    turn = np.outer(rng.standard_normal(n_channels), np.cos(0.05 * t))
    turn += np.outer(rng.standard_normal(n_channels), np.sin(0.05 * t))
    return brain, 2000 * turn * np.sin(2 * np.pi * 49.98 * t)


def make_recording(n=6000, dtype=np.int32, start=START, n_channels=12, **fields):
    info = make_info(n_channels)
    brain, line = brain_and_mains(n, n_channels)
    data = np.insert(brain + line, 1, 0, axis=0)
    return recording_from_array(data.astype(dtype), info, start, **fields)


def outputs(recording, sizes=(500,), stage=STAGE):
    step = stage.bind(recording.info, BACKEND)
    return step, run(step, cut(recording, list(sizes)))


def at(x, freq, width=0.7):
    spectrum = np.abs(np.fft.rfft(x * np.hanning(x.shape[1]), axis=1)) ** 2
    freqs = np.fft.rfftfreq(x.shape[1], 1 / SFREQ)
    return spectrum[:, np.abs(freqs - freq) <= width].sum()


class TestZapLine(StageSuite):
    @pytest.fixture(params=["auto", "two"])
    def stage(self, request):
        return {"auto": STAGE, "two": ZapLine(50.0, n_remove=2, window_s=6.0)}[request.param]

    @pytest.fixture
    def recording(self):
        return make_recording(n=9000, gaps=(Gap(5001, 5401, "dropped"),))


def test_removes_mains_that_turns_and_keeps_the_brain():
    recording = make_recording(n=15000, n_channels=30)
    brain, line = brain_and_mains(15000, 30)
    _, out = outputs(recording)
    clean = signal_of(out)[START]
    removed = 10 * np.log10(at(line, 50.0) / at(clean - brain, 50.0))
    assert removed > 20
    for freq in (10.0, 30.0, 80.0):
        assert at(clean, freq, 3) == pytest.approx(at(brain, freq, 3), rel=0.06)
    assert np.sqrt(np.mean((clean - brain) ** 2) / np.mean(brain**2)) < 0.05


def test_windows_fade_into_each_other():
    recording = make_recording(n=1500, start=0)
    step, out = outputs(recording)
    assert [b.data.shape[1] for b in out] == [500, 500, 500]
    x = recording.reader.data[recording.info.rows(step.info.names)].astype(np.float64)
    first, _ = zapline(x[:, :1000], SFREQ, 50.0)
    second, _ = zapline(x[:, 500:], SFREQ, 50.0)
    rise = np.sin(np.pi / 2 * (np.arange(500) + 0.5) / 500) ** 2
    want = np.hstack(
        [first[:, :500], (1 - rise) * first[:, 500:] + rise * second[:, :500], second[:, 500:]]
    )
    np.testing.assert_allclose(signal_of(out)[0], want, atol=1e-4 * x.std())
    assert step.latency == pytest.approx(4.0)


@pytest.mark.parametrize("n", [1, 3, 400, 600, 1001])
def test_short_stretches_come_out_whole(n):
    _, out = outputs(make_recording(n=n))
    assert signal_of(out)[START].shape == (12, n)


def test_a_short_gap_stays_masked_and_the_rest_is_cleaned():
    _, out = outputs(make_recording(gaps=(Gap(START + 3000, START + 3010, "dropped"),)))
    clean, good = signal_of(out)[START], good_of(out)
    assert not good[:, 3000:3010].any()
    assert good[:, :3000].all()
    assert good[:, 3010:].all()
    _, line = brain_and_mains(6000)
    assert at(clean[:, 3100:], 50.0) < 1e-2 * at(line[:, 3100:], 50.0)


def test_nan_and_masks_reach_no_number():
    masks = (Mask(("M3", "STI"), START + 2000, START + 2800, Cause.RAILED),)
    clean = make_recording(dtype=np.float32, masks=masks)
    dirty = clean.reader.data.copy()
    dirty[4, 2000:2800] = np.nan
    dirty[6, 4000:4003] = np.inf
    other = recording_from_array(dirty, clean.info, START, masks=masks)
    _, out = outputs(other)
    x, good = signal_of(out)[START], good_of(out)
    assert np.isfinite(x).all()
    assert not good[3, 2000:2800].any()
    assert not good[5, 4000:4003].any()
    assert good.sum() == good.size - 803
    for sizes in ((1,), (77, 1300)):
        same_signal(out, outputs(other, sizes)[1])


def test_working_blocks_are_taken_as_they_are():
    recording = make_recording()
    step, out = outputs(recording)
    again = STAGE.bind(step.info, BACKEND)
    blocks = [b for block in out for b in again.process(block)] + again.finish()
    assert signal_of(blocks)[START].shape == signal_of(out)[START].shape


def test_bad_input_is_refused():
    info = make_info()
    for stage, text in (
        (ZapLine(130.0), "below 125 Hz"),
        (ZapLine(window_s=0.1), "twenty cycles"),
        (ZapLine(n_remove=-1), "n_remove"),
    ):
        with pytest.raises(InputError, match=text):
            stage.bind(info, BACKEND)
    with pytest.raises(InputError, match="got none"):
        ZapLine().bind(make_info(line_freq=None), BACKEND)
    with pytest.raises(InputError, match="cpu"):
        STAGE.bind(info, Backend("abacus"))
    with pytest.raises(InputError, match="at least one of kind"):
        STAGE.bind(info.pick(["STI"]), BACKEND)
