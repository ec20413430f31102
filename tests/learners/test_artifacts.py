from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.learners.artifact_plan import n_components
from brainforge.learners.artifacts import learn_artifacts
from brainforge.learners.locked import locked_reduction
from brainforge.measures.gram import GramMeasure
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from tests.reference.working import MemoryWorking, file_projection, sample_working

SFREQ = 250.0
#: as many components as the simulation holds: those of its sensor noise would only take time
RECIPE = ArtifactRecipe(max_components=16)


def simulated(seconds=90, n=40, seed=0, n_brain=14, *, eog=False, start=0):
    """Return a working copy of brain, heart and blinks on a helmet, and what was planted."""
    rng = np.random.default_rng(seed)
    n_samples = int(seconds * SFREQ)
    angle = np.linspace(0, 2 * np.pi, n, endpoint=False)
    positions = 0.1 * np.c_[np.cos(angle), np.sin(angle), 0.3 * np.cos(3 * angle)]
    spectrum = rng.normal(size=(n_brain, n_samples // 2 + 1)) + 1j * rng.normal(
        size=(n_brain, n_samples // 2 + 1)
    )
    freqs = np.fft.rfftfreq(n_samples, 1 / SFREQ)
    spectrum *= np.where((freqs >= 1) & (freqs <= 100), 1 / np.maximum(freqs, 1), 0)
    brain = np.fft.irfft(spectrum, n_samples)
    # brain rhythms wax and wane, each at its own pace
    envelope = np.repeat(rng.gamma(1.0, size=(n_brain, n_samples // 250 + 1)), 250, axis=1)
    brain *= envelope[:, :n_samples]
    brain *= np.linspace(3, 1, n_brain)[:, None] / brain.std(axis=1, keepdims=True)
    x = 40 * rng.normal(size=(n, n_brain)) @ brain + 20 * rng.normal(size=(n, n_samples))
    t = np.arange(n_samples)
    beats = np.arange(200, n_samples - 200, 240) + rng.integers(
        -12, 13, (n_samples - 400 + 239) // 240
    )
    blinks = np.arange(500, n_samples - 300, 900) + rng.integers(
        -200, 201, (n_samples - 800 + 899) // 900
    )
    beat = sum(
        np.exp(-(((t - b) / 3.0) ** 2)) - 0.4 * np.exp(-(((t - b - 8) / 4.0) ** 2)) for b in beats
    )
    blink = sum(np.exp(-(((t - b) / 20.0) ** 2)) for b in blinks)
    heart_field = 1_500 * np.cos(angle - 0.7)
    eye_field = 2_500 * np.exp(-(((angle - np.pi / 2) / 0.5) ** 2))
    x += np.outer(heart_field, beat) + np.outer(eye_field, blink)
    channels = [
        Channel(f"M{i:02d}", "mag", position=tuple(map(float, p))) for i, p in enumerate(positions)
    ]
    if eog:
        channels.append(Channel("EOG", "eog"))
        x = np.vstack([x, 100 * blink + 5 * rng.normal(size=n_samples)])
    info = Info(SFREQ, tuple(channels), line_freq=50.0, lowpass=100.0, decim=4)
    working = MemoryWorking(info, x.astype(np.float32), start=start, size=2_500)
    return working, beats, blinks, heart_field, eye_field


def mags(info):
    return Operator.identity(info.names_of("mag"))


def leaves(model, field):
    """Return the share of a field's amplitude that the removal leaves."""
    matrix = model.operator.matrix
    return float(np.linalg.norm(matrix @ field) / np.linalg.norm(field))


@pytest.mark.parametrize("eog", [False, True])
def test_planted_heart_and_eyes_are_found_and_removed(eog):
    working, beats, blinks, heart, eyes = simulated(eog=eog, start=5_000)
    model = learn_artifacts(working, mags(working.info), working.info, RECIPE)
    assert model.method == "ica"
    assert model.n_fitted == 16
    assert [c.kind for c in model.components if c.removed] in (["ecg", "eog"], ["eog", "ecg"])
    assert model.ecg.n_events == len(beats)
    assert np.abs(model.ecg.samples - 4 * (beats + 5_000)).max() <= 4 * 3
    assert model.ecg.rate_per_min == pytest.approx(60 * SFREQ / np.median(np.diff(beats)), rel=0.01)
    assert model.eog.n_events == len(blinks)
    assert np.abs(model.eog.samples - 4 * (blinks + 5_000)).max() <= 4 * 10
    assert ("EOG" in model.eog.source) == eog
    assert leaves(model, heart) < 0.1
    assert leaves(model, eyes) < 0.1
    other = np.random.default_rng(9).normal(size=40)
    assert leaves(model, other) > 0.9
    assert 0 < model.variance_removed < 1
    ecg, eog_train = locked_reduction(
        working, mags(working.info), model.operator, (model.ecg, model.eog)
    )
    assert ecg.reduction_db > 15
    assert eog_train.reduction_db > 15
    assert ecg.average_before.shape == (40, len(ecg.lags))
    assert ecg.lags[0] == pytest.approx(-0.3, abs=0.01)
    result = model.to_artifacts(ecg, eog_train)
    assert result.ecg.reduction_db == ecg.reduction_db
    assert len(result.removed) == 2


def test_number_of_components():
    assert n_components(7_200, 302, 40) == 19
    assert n_components(450_000, 302, 40) == 40
    assert n_components(450_000, 12, 40) == 12
    assert n_components(0, 302, 40) == 0


def test_components_carry_what_a_report_needs():
    working, *_ = simulated()
    model = learn_artifacts(working, mags(working.info), working.info, RECIPE)
    for component in model.components:
        assert component.topography.shape == (len(model.channel_names),)
        assert component.psd.shape == model.freqs.shape
        assert component.excerpt.shape == (round(10 * model.excerpt_sfreq),)
        assert component.reason
        assert component.scores
    assert "Removed 1 heart and 1 eye components" in model.text
    strength = [float(np.sum(c.topography**2)) for c in model.components]
    assert strength == sorted(strength, reverse=True)


def test_short_recordings_use_signal_space_vectors():
    working, beats, _, heart, eyes = simulated(seconds=16, n_brain=8, eog=True)
    model = learn_artifacts(working, mags(working.info), working.info, RECIPE)
    assert model.method == "ssp"
    assert "ICA would have 14 components" in model.text
    assert abs(model.ecg.n_events - len(beats)) <= 1
    assert {c.kind for c in model.components} == {"ecg", "eog"}
    assert leaves(model, heart) < 0.2
    assert leaves(model, eyes) < 0.3
    matrix = model.operator.matrix
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-6)


def test_nothing_is_removed_on_request():
    working, beats, *_ = simulated()
    model = learn_artifacts(
        working, mags(working.info), working.info, ArtifactRecipe(method="none")
    )
    assert model.method == "none"
    assert model.operator.is_identity
    assert model.ecg.n_events == len(beats)
    assert not model.to_artifacts().removed


def test_pure_noise_loses_nothing():
    x = np.random.default_rng(0).normal(size=(30, 15_000)).astype(np.float32)
    info = Info(SFREQ, tuple(Channel(f"M{i}", "mag") for i in range(30)), line_freq=50.0)
    model = learn_artifacts(MemoryWorking(info, x), mags(info), info, RECIPE)
    assert model.operator.is_identity
    assert model.ecg.n_events == 0
    assert model.eog.n_events == 0
    assert np.isnan(model.ecg.rate_per_min)
    trains = locked_reduction(MemoryWorking(info, x), mags(info), mags(info), (model.ecg,))
    assert np.isnan(trains[0].reduction_db)


def test_masked_samples_and_bad_channels_have_no_influence():
    working, *_ = simulated()
    names = working.info.names
    masks = (
        Mask(None, 4_000, 4_100, Cause.GAP),
        Mask((names[3],), 9_000, 9_050, Cause.RAILED),
        Mask((names[7],), 0, 22_500, Cause.RAILED),
    )
    info = working.info.with_bads([names[7]])
    first = replace(working, masks=masks)
    data = working.data.copy()
    data[:, 4_000:4_100] = np.nan
    data[3, 9_000:9_050] = 1e9
    data[7] = np.inf
    second = replace(first, data=data)
    trains = []
    models = []
    for copy in (first, second):
        model = learn_artifacts(copy, mags(info), info, RECIPE)
        good = model.operator.pick(model.channel_names)
        before = Operator.identity(model.channel_names)
        trains.append(locked_reduction(copy, before, good, (model.ecg, model.eog)))
        models.append(model)
    assert names[7] not in models[0].channel_names
    assert np.array_equal(models[0].operator.matrix, models[1].operator.matrix)
    assert np.array_equal(models[0].ecg.samples, models[1].ecg.samples)
    for a, b in zip(*trains):
        assert a.reduction_db == b.reduction_db > 10
    row = models[0].operator.rows([names[7]])[0]
    assert np.array_equal(models[0].operator.matrix[row], np.eye(40)[row])


def test_same_bits_for_any_number_of_threads_and_close_for_any_blocks():
    working, *_ = simulated(seconds=60)
    one = learn_artifacts(
        working, mags(working.info), working.info, RECIPE, backend=Backend(n_threads=1)
    )
    two = learn_artifacts(
        working, mags(working.info), working.info, RECIPE, backend=Backend(n_threads=2)
    )
    assert np.array_equal(one.operator.matrix, two.operator.matrix)
    cut = learn_artifacts(replace(working, size=617), mags(working.info), working.info, RECIPE)
    np.testing.assert_allclose(cut.operator.matrix, one.operator.matrix, atol=1e-4)
    assert np.array_equal(cut.ecg.samples, one.ecg.samples)
    before = mags(working.info)
    trains = [
        locked_reduction(w, before, one.operator, (one.ecg,))[0]
        for w in (working, replace(working, size=617))
    ]
    np.testing.assert_allclose(trains[0].average_before, trains[1].average_before, rtol=1e-6)


def test_products_that_exist_already_save_a_pass_and_change_nothing():
    working, *_ = simulated(seconds=60)
    measure = GramMeasure(working.info, Backend())
    for block in working.blocks():
        measure.update(block)
    plain = learn_artifacts(working, mags(working.info), working.info, RECIPE)
    saved = learn_artifacts(
        working, mags(working.info), working.info, RECIPE, gram=measure.result()
    )
    # the measure adds pieces of 5 s: the same products, rounded in another order
    np.testing.assert_allclose(plain.operator.matrix, saved.operator.matrix, atol=1e-5)


def test_rank_after_field_correction_limits_the_components():
    working, _, _, heart, _ = simulated(n=24, n_brain=12)
    vectors = np.linalg.qr(np.random.default_rng(1).normal(size=(24, 6)))[0]
    names = working.info.names_of("mag")
    operator = Operator(names, np.eye(24) - vectors @ vectors.T, "projection")
    model = learn_artifacts(working, operator, working.info, ArtifactRecipe())
    assert model.n_fitted == 18
    left = model.operator.matrix @ operator.matrix @ heart
    assert np.linalg.norm(left) < 0.1 * np.linalg.norm(operator.matrix @ heart)


def test_gaps_are_not_bridged():
    working, beats, *_ = simulated(seconds=80)
    gapped = replace(working, gaps=((6_000, 6_700), (12_000, 13_500)))
    model = learn_artifacts(gapped, mags(working.info), working.info, RECIPE)
    found = model.ecg.samples // 4
    assert not (((found >= 6_000) & (found < 6_700)) | ((found >= 12_000) & (found < 13_500))).any()
    inside = [
        b for b in beats
        if not 5_970 <= b < 6_730 and not 11_970 <= b < 13_530
    ]  # fmt: skip
    assert all(np.abs(found - b).min() <= 3 for b in inside)
    trains = locked_reduction(gapped, mags(working.info), model.operator, (model.ecg,))
    assert trains[0].reduction_db > 15


def test_long_recordings_are_held_in_part(monkeypatch):
    working, beats, blinks, heart, eyes = simulated(seconds=160, eog=True)
    monkeypatch.setattr("brainforge.learners.artifacts.MOST_COLUMNS", 15_000)
    monkeypatch.setattr("brainforge.learners.artifacts.MOST_SCORED_S", 30.0)
    monkeypatch.setattr("brainforge.learners.artifact_separation.MOST_FITTED", 12_000)
    model = learn_artifacts(working, mags(working.info), working.info, RECIPE)
    assert model.ecg.n_events == len(beats)
    assert model.eog.n_events == len(blinks)
    assert leaves(model, heart) < 0.15
    assert leaves(model, eyes) < 0.15


@pytest.mark.parametrize("n", [1, 4])
def test_few_channels_lose_nothing(n):
    x = np.random.default_rng(2).normal(size=(n, 6_000)).astype(np.float32)
    info = Info(SFREQ, tuple(Channel(f"M{i}", "mag") for i in range(n)))
    model = learn_artifacts(MemoryWorking(info, x), mags(info), info, RECIPE)
    assert model.method == "none"
    assert model.operator.is_identity
    assert f"rank {n} is below" in model.text


def test_bad_input_is_named():
    working, *_ = simulated(seconds=20)
    info, recipe = working.info, RECIPE
    with pytest.raises(InputError, match="good MEG channel"):
        learn_artifacts(working, mags(info), info.with_bads(info.names), recipe)
    data = working.data.copy()
    data[4, 100] = np.nan
    with pytest.raises(InputError, match="NaN"):
        learn_artifacts(replace(working, data=data), mags(info), info, recipe)
    with pytest.raises(InputError, match="flat"):
        learn_artifacts(replace(working, data=0 * data[:, 200:]), mags(info), info, recipe)
    all_masked = replace(working, masks=(Mask(None, 0, 10_000, Cause.RAILED),))
    with pytest.raises(InputError, match="can be believed"):
        learn_artifacts(all_masked, mags(info), info, recipe)
    short = replace(working, data=working.data[:, :30])
    with pytest.raises(InputError, match="samples of 2 independent channels"):
        learn_artifacts(short, mags(info), info, ArtifactRecipe(method="ica"))
    mixing = Operator(info.names_of("mag"), np.full((40, 40), 0.1))
    with pytest.raises(InputError, match="depend on good ones"):
        learn_artifacts(working, mixing, info.with_bads([info.names[0]]), recipe)
    with pytest.raises(InputError, match="operator_after"):
        locked_reduction(working, mags(info), Operator.identity(info.names[:5]), ())
    with pytest.raises(InputError, match="lags"):
        locked_reduction(working, mags(info), mags(info), (), lags=(0.5, -0.3))


@pytest.fixture(scope="module")
def sample(shared_data):
    return sample_working(shared_data)


@pytest.mark.shared_data
@pytest.mark.parametrize("references", [True, False])
def test_sample_recording(sample, references):
    working, _ = sample
    if not references:
        keep = working.info.names_of("mag", "grad")
        rows = working.info.rows(keep)
        working = replace(working, info=working.info.pick(keep), data=working.data[rows])
    names, projection = file_projection(working.info)
    before = Operator(names, projection, "file's SSP")
    model = learn_artifacts(working, before, working.info, ArtifactRecipe())
    assert model.method == "ica"
    assert model.n_fitted == 19
    # MNE finds 23; a 24th beat ends 80 ms before the recording does
    assert model.ecg.n_events in (23, 24)
    assert 57 < model.ecg.rate_per_min < 61
    assert "component" in model.ecg.source
    times = model.eog.samples / (2 * working.info.sfreq)
    np.testing.assert_allclose(times, [0.50, 2.31, 3.67, 14.46], atol=0.02)
    assert sorted(c.kind for c in model.components if c.removed) == ["ecg", "ecg", "eog"]
    ecg, eog = locked_reduction(working, before, model.operator @ before, (model.ecg, model.eog))
    assert ecg.reduction_db > 20
    assert eog.reduction_db > 13
    print(f"heart {ecg.reduction_db:.1f} dB, blinks {eog.reduction_db:.1f} dB")


@pytest.mark.shared_data
def test_sample_recording_keeps_the_brain(sample):
    """Between beats and blinks, where only the brain is, the power stays as it was."""
    from brainforge.kernels.band_limit import band_limit

    working, _ = sample
    names, projection = file_projection(working.info)
    before = Operator(names, projection)
    model = learn_artifacts(working, before, working.info, ArtifactRecipe())
    rows, sfreq = working.info.rows(names), working.info.sfreq
    x = projection @ working.data[rows].astype(np.float64)
    y = model.operator.matrix @ x
    quiet = np.ones(x.shape[1], dtype=bool)
    for train, lo, hi in ((model.ecg, 0.25, 0.45), (model.eog, 0.6, 0.6)):
        for at in train.samples // 2:
            quiet[max(at - int(lo * sfreq), 0) : at + int(hi * sfreq)] = False
    assert quiet.mean() > 0.2
    for kind in ("mag", "grad"):
        of_kind = np.array([working.info.channel(n).kind == kind for n in names])
        for band in ((4.0, 8.0), (8.0, 13.0), (13.0, 30.0)):
            power = [
                np.mean(band_limit(z[of_kind], sfreq, *band)[:, quiet] ** 2, axis=1) for z in (x, y)
            ]
            kept = power[1] / power[0]
            assert np.median(kept) > 0.95, (kind, band)
            assert power[1].sum() / power[0].sum() > 0.93, (kind, band)


@pytest.mark.shared_data
def test_sample_recording_with_signal_space_vectors(sample):
    working, _ = sample
    names, projection = file_projection(working.info)
    before = Operator(names, projection)
    model = learn_artifacts(working, before, working.info, ArtifactRecipe(method="ssp"))
    ecg, eog = locked_reduction(working, before, model.operator @ before, (model.ecg, model.eog))
    assert ecg.reduction_db > 6
    assert eog.reduction_db > 10


@pytest.mark.shared_data
def test_sample_recording_agrees_with_the_ica_of_mne(sample, shared_data):
    """The heart's and the eye's fields are those that MNE's ICA finds with as many components."""
    import mne

    working, _ = sample
    names, projection = file_projection(working.info)
    model = learn_artifacts(working, Operator(names, projection), working.info, ArtifactRecipe())
    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error").pick(["meg"])
    raw.info["bads"] = ["MEG 2443"]
    raw.filter(1.0, 100.0, verbose="error").apply_proj(verbose="error").pick("meg", exclude="bads")
    ica = mne.preprocessing.ICA(
        19, method="picard", fit_params={"extended": True, "ortho": True, "tol": 1e-4},
        random_state=0, max_iter=500,
    )  # fmt: skip
    ica.fit(raw, decim=2, verbose="error")
    fields = ica.get_components()
    order = [raw.ch_names.index(n) for n in model.channel_names]
    peer = fields[order] / np.linalg.norm(fields, axis=0)
    strong = [c for c in model.components if c.removed][:2]
    kinds = np.array([working.info.channel(n).kind for n in model.channel_names])
    for component in strong:
        best = 1.0
        for kind in ("mag", "grad"):
            own, other = component.topography[kinds == kind], peer[kinds == kind]
            r = np.abs(own @ other) / (np.linalg.norm(own) * np.linalg.norm(other, axis=0))
            best = min(best, float(r.max()))
        assert best > 0.97, component.kind


def test_a_start_from_an_earlier_model_takes_fewer_iterations_to_the_same_components():
    working, *_ = simulated(seconds=120, seed=4)
    info = working.info
    shorter = replace(working, data=working.data[:, : int(100 * SFREQ)])
    first = learn_artifacts(shorter, mags(info), info, RECIPE)
    cold = learn_artifacts(working, mags(info), info, RECIPE)
    warm = learn_artifacts(working, mags(info), info, RECIPE, start=first)
    assert warm.n_independent == 16

    def iterations(model):
        return sum(int(n) for n in re.findall(r"(\d+) (?:iterations|more on)", model.text))

    assert iterations(warm) <= iterations(cold) / 2
    np.testing.assert_array_equal(warm.ecg.samples, cold.ecg.samples)
    kinds = [c.kind for c in cold.components]
    assert [c.kind for c in warm.components] == kinds
    for a, b in zip(warm.components, cold.components):
        if a.removed:
            assert np.corrcoef(a.topography, b.topography)[0, 1] > 0.999


def test_a_start_with_other_channels_and_another_number_of_components_is_taken():
    working, *_ = simulated(seconds=60, seed=5)
    info = working.info
    first = learn_artifacts(working, mags(info), info, ArtifactRecipe(max_components=18))
    marked = info.with_bads([info.names[3]])
    model = learn_artifacts(working, mags(info), marked, RECIPE, start=first)
    assert model.n_independent == 16
    assert "converged" in model.text
    assert "not converged" not in model.text


def test_a_flat_and_a_doubled_channel_that_nobody_marked_cost_rank_only():
    working, beats, *_ = simulated(seconds=60, seed=6)
    data = working.data.copy()
    data[7], data[9] = 0.0, data[8]
    model = learn_artifacts(replace(working, data=data), mags(working.info), working.info, RECIPE)
    assert "(rank 38)" in model.text
    assert np.isfinite(model.operator.matrix).all()
    assert model.ecg.n_events == len(beats)
    assert sorted(c.kind for c in model.components if c.removed) == ["ecg", "eog"]


def test_fewer_samples_than_channels_give_no_component():
    working, *_ = simulated(seconds=60, seed=7)
    info = working.info
    few = replace(working, data=working.data[:, 5_000:5_025])
    model = learn_artifacts(few, mags(info), info, ArtifactRecipe())
    assert model.method in ("ssp", "none")
    assert not [c for c in model.components if c.removed]
    np.testing.assert_allclose(model.operator.matrix, np.eye(40), atol=1e-12)
