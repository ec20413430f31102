"""ASR: calibration, its definition, the paper's formula, planted artifacts, meegkit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from brainforge.errors import KernelInputError
from brainforge.kernels.asr import (
    AsrState,
    Removal,
    asr_assess,
    asr_remove,
    is_clean,
    removal_of,
)
from brainforge.kernels.asr_fit import (
    asr_calibrate,
    clean_distribution,
    geometric_median,
    shaping_filter,
)
from brainforge.kernels.iir import sosfilt
from tests.reference import asr as reference

SFREQ, HOP = 250.0, 25
PLAIN = np.zeros((0, 6))


def brain(n, n_channels=16, seed=0):
    """Alpha, slower activity and sensor noise, axes (channel, sample)."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(99).standard_normal((n_channels, 5))
    sos = signal.butter(2, (8, 12), "bandpass", fs=SFREQ, output="sos")
    low = signal.butter(2, (1, 30), "bandpass", fs=SFREQ, output="sos")
    sources = signal.sosfilt(low, rng.standard_normal((5, n)), axis=1) * 4
    sources[0] = signal.sosfilt(sos, rng.standard_normal(n)) * 12
    return 10 * mix @ sources + 5 * rng.standard_normal((n_channels, n))


def bursts(n, n_channels=16, seed=1, size=400.0):
    """Artifacts of two topographies, and where they are."""
    rng = np.random.default_rng(seed)
    out, where = np.zeros((n_channels, n)), np.zeros(n, bool)
    for at in range(2000, n - 1000, 2500):
        length = int(rng.integers(150, 400))
        part = slice(at, at + length)
        shape = np.hanning(length) * np.sin(np.arange(length) * rng.uniform(0.05, 0.8))
        out[:, part] = size * np.outer(rng.standard_normal(n_channels), shape)
        where[part] = True
    return out, where


def clean(x, model, lookahead=3, hop=HOP):
    """Run a whole signal through, hop by hop, the assessment ``lookahead`` hops ahead."""
    state = AsrState.empty(model, hop)
    single = x.astype(np.float32)
    n_hops = x.shape[1] // hop
    found = [asr_assess(state, model, single[:, h * hop : (h + 1) * hop]) for h in range(n_hops)]
    out, before = [], Removal.none(len(x))
    for h in range(n_hops):
        after = found[min(h + lookahead, n_hops - 1)]
        out.append(asr_remove(single[:, h * hop : (h + 1) * hop], before, after))
        before = after
    return np.concatenate(out, axis=1), state


def rms(x):
    return float(np.sqrt(np.mean(np.square(x))))


@pytest.fixture(scope="module")
def model():
    return asr_calibrate(brain(15000), SFREQ)


@pytest.mark.parametrize("shape", [(1, 3), (2, 1), (7, 4), (40, 300)])
def test_geometric_median_equals_its_definition(shape):
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal(shape) + 3
    vectors[: shape[0] // 4] += 100
    got = geometric_median(vectors) @ vectors
    if shape[0] != 2:  # of two vectors every mean is a median
        np.testing.assert_allclose(got, reference.geometric_median(vectors), atol=1e-4)
    assert geometric_median(vectors).sum() == pytest.approx(1)


def test_median_resists_what_moves_the_mean():
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((100, 50))
    vectors[:30] += 1000
    assert np.abs(geometric_median(vectors, tolerance=1e-8) @ vectors).max() < 2


@pytest.mark.parametrize("share", [0.0, 0.25])
def test_clean_distribution_scatters_less_than_meegkits(share):
    from meegkit.utils.asr import fit_eeg_distribution

    ours, theirs = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        x = 10 + rng.standard_normal(400)
        dirty = rng.random(400) < share
        x[dirty] += rng.uniform(3, 60, dirty.sum())
        ours.append(clean_distribution(x))
        theirs.append(fit_eeg_distribution(x, 0.25, 0.1)[:2])
    wrong = np.abs(np.array(ours) - [10, 1])
    assert (np.mean(wrong, axis=0) < [0.3, 0.3]).all()
    assert (np.std(ours, axis=0) < 0.9 * np.std(theirs, axis=0)).all()
    np.testing.assert_allclose(ours, theirs, atol=0.7)


def test_constant_values_have_no_deviation():
    mean, deviation = clean_distribution(np.full(100, 7.0))
    assert (mean, deviation) == (pytest.approx(7), pytest.approx(0))


@pytest.mark.parametrize("sfreq", [120.0, 250.0, 1000.0])
def test_shaping_weighs_the_bands_as_the_paper_says(sfreq):
    sos = shaping_filter(sfreq)
    assert np.abs(np.roots(np.r_[1, sos[0, 4:]])).max() < 1
    freqs = np.array([0.1, 6.0, 25.0, 90.0])
    gain = np.abs(signal.sosfreqz(sos, freqs[freqs < sfreq / 2], fs=sfreq)[1])
    assert gain[0] == pytest.approx(3, rel=0.15)
    assert gain[1] == pytest.approx(1 / 3, rel=0.2)
    assert 0.6 < gain[2] < 1.6
    if sfreq > 200:
        assert gain[3] > 2


def test_removal_equals_its_definition_and_the_papers_formula(model):
    dirty = brain(15000) + bursts(15000)[0] + bursts(15000, seed=2)[0]
    shaped = sosfilt(dirty.T.copy(), model.shaping, np.zeros((len(model.shaping), 2, 16))).T
    seen = set()
    for start in range(1000, 14000, 130):
        window = shaped[:, start : start + model.n_window]
        z = (model.whitener @ window).astype(np.float32)
        gram = z @ z.T / np.float32(window.shape[1])
        want = reference.reconstruction(window, model)
        if is_clean(gram, model.level):
            np.testing.assert_allclose(want, np.eye(16), atol=1e-12)
            continue
        removal = removal_of(gram, model)
        got = np.eye(16) - removal.mixing.astype(float) @ removal.unmixing
        np.testing.assert_allclose(got, want, atol=1e-3)
        seen.add(removal.rank)
        # Mullen's M pinv(keep V'M) V' with the artifacts' orthogonal complement as V
        basis = np.linalg.qr(removal.mixing.astype(float), mode="complete")[0]
        keep = np.arange(16) >= removal.rank
        root = (model.components * model.scale).T @ np.diag(np.sqrt(model.variance))
        paper = root @ np.linalg.pinv(keep[:, None] * (basis.T @ root)) @ basis.T
        np.testing.assert_allclose(got, paper, atol=1e-3)
    assert len(seen) >= 2


def test_takes_planted_artifacts_off_and_keeps_the_brain(model):
    good = brain(25000, seed=5)
    artifact, where = bursts(25000)
    out, state = clean(good + artifact, model)
    assert rms(out[:, where] - good[:, where]) < 0.12 * rms(artifact[:, where])
    # as much is left in the artifacts as was there before: reconstructed, not zeroed
    assert 0.7 < rms(out[:, where]) / rms(good[:, where]) < 1.3
    far = ~np.convolve(where, np.ones(501), "same").astype(bool)
    assert rms((out - good)[:, far]) < 0.05 * rms(good)
    assert 0 < state.n_cut < 0.4 * state.n_seen


def test_clean_data_come_back_bit_for_bit(model):
    good = brain(10000, seed=8).astype(np.float32)
    out, state = clean(good, model)
    assert state.n_cut <= 0.02 * state.n_seen
    assert (out == good[:, : out.shape[1]]).mean() > 0.97


def test_is_no_worse_than_meegkit(model):
    import meegkit.asr

    good = brain(25000, seed=5)
    artifact, where = bursts(25000)
    ours, _ = clean(good + artifact, model)
    peer = meegkit.asr.ASR(sfreq=SFREQ, cutoff=5, method="euclid")
    peer.fit(brain(15000))
    blocks = [peer.transform((good + artifact)[:, a : a + 125]) for a in range(0, 25000, 125)]
    theirs = np.concatenate(blocks, axis=1)
    for part in (where, ~where):
        assert rms((ours - good)[:, part]) < rms((theirs - good)[:, part])


def test_many_channels_in_a_short_window_are_not_all_cut():
    model = asr_calibrate(brain(15000, 60), SFREQ)
    assert model.level > 1.05
    _, state = clean(brain(10000, 60, seed=3), model)
    assert state.n_cut <= 0.03 * state.n_seen


def test_calibration_does_not_depend_on_units_or_rank():
    x = brain(10000)
    units = 10.0 ** np.linspace(-6, 6, 16)[:, None]
    a, b = asr_calibrate(x, SFREQ), asr_calibrate(x * units, SFREQ)
    assert b.level == pytest.approx(a.level, rel=1e-6)
    np.testing.assert_allclose(b.thresholds, a.thresholds, rtol=1e-6)
    basis = np.linalg.qr(np.random.default_rng(0).standard_normal((16, 3)))[0]
    poor = asr_calibrate(x - basis @ (basis.T @ x), SFREQ)
    assert len(poor.variance) == 13


def test_calibration_resists_artifacts():
    x = brain(15000)
    dirty = x + bursts(15000, size=300.0)[0]
    a, b = asr_calibrate(x, SFREQ), asr_calibrate(dirty, SFREQ)

    def cut(model):
        return model.components.T @ (model.components * model.thresholds[:, None] ** 2.0)

    ratio = np.trace(cut(b) * np.outer(b.scale, b.scale)) / np.trace(
        cut(a) * np.outer(a.scale, a.scale)
    )
    assert ratio < 1.6


def test_one_channel_and_no_filter():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((1, 10000))
    model = asr_calibrate(x, SFREQ, shaping=PLAIN)
    x[0, 5000:5200] *= 50
    out, _ = clean(x, model)
    assert np.abs(out[0, 5025:5175]).max() < 1e-3


def test_bad_input_is_refused(model):
    x = brain(6000)
    for data, options, text in (
        (x[:, :100], {}, "20 windows"),
        (x[0], {}, "20 windows"),
        (0 * x, {}, "variance"),
        (np.where(x > 20, np.nan, x), {}, "finite"),
        (x, {"cutoff": 0.0}, "cutoff"),
        (x, {"most": 1.5}, "share"),
    ):
        with pytest.raises(KernelInputError, match=text):
            asr_calibrate(data, SFREQ, **options)
    state = AsrState.empty(model, HOP)
    with pytest.raises(KernelInputError, match="16 channels"):
        asr_assess(state, model, np.zeros((3, HOP), np.float32))
    with pytest.raises(KernelInputError, match="finite"):
        asr_assess(state, model, np.full((16, HOP), np.nan, np.float32))
    with pytest.raises(KernelInputError, match="16 channels"):
        asr_remove(np.zeros((3, HOP), np.float32), Removal.none(16), Removal.none(16))
    with pytest.raises(KernelInputError, match="at least one vector"):
        geometric_median(np.zeros((0, 3)))
