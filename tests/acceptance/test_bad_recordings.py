"""Recordings that are too short, broken or strange: a clear answer, never a wrong number."""

from __future__ import annotations

import numpy as np
import pytest

import brainforge as bf
from brainforge.errors import InputError
from brainforge.recording import recording_from_array

PHANTOM = bf.datasets.Phantom(n_channels=24, duration=30.0, seed=5, gaps=())


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    return np.array(PHANTOM.recording().read(0, PHANTOM.n_samples).data)


def test_half_a_second_is_refused(counts: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"at least 1 s of continuous samples, got 0\.5 s"):
        bf.process(recording_from_array(counts[:, :500], PHANTOM.info))


def test_two_seconds_run_recipe_short_and_say_so(counts: np.ndarray) -> None:
    result = bf.process(recording_from_array(counts[:, :2000], PHANTOM.info))
    assert result.recipe == "short"
    assert "'short' was run instead of 'resting'" in result.warnings[0]
    assert [f.name for f in result.findings] == ["quality"]
    assert result.connectivity is None
    assert result.artifacts is None


def test_all_channels_flat_is_refused(counts: np.ndarray) -> None:
    for n in (2000, counts.shape[1]):
        flat = np.full((24, n), 7, dtype=np.int16)
        with pytest.raises(InputError, match="flat"):
            bf.process(recording_from_array(flat, PHANTOM.info))


def test_nan_and_infinity_harm_their_samples_alone(counts: np.ndarray) -> None:
    clean = counts.astype(np.float64)
    broken = clean.copy()
    broken[3, 12_345:12_347] = np.nan
    broken[4, 20_000] = np.inf
    a = bf.process(recording_from_array(clean, PHANTOM.info))
    b = bf.process(recording_from_array(broken, PHANTOM.info))
    assert [x.name for x in a.quality.bads] == [x.name for x in b.quality.bads]
    causes = {i.cause for i in b.quality.intervals}
    assert "non_finite" in causes
    assert np.isfinite(b.spectra.after).all()
    assert all(np.isfinite(v).all() for m in b.connectivity.values.values() for v in m.values())
    assert b.quality.coverage > 0.999
    # the spectra of a channel that was not touched hardly move
    np.testing.assert_allclose(b.spectra.before[10], a.spectra.before[10], rtol=0.3)


def test_a_channel_of_nothing_but_nan_is_bad(counts: np.ndarray) -> None:
    broken = counts.astype(np.float64)
    broken[6] = np.nan
    result = bf.process(recording_from_array(broken, PHANTOM.info))
    assert PHANTOM.info.names[6] in [b.name for b in result.quality.bads]
    assert all(
        np.isfinite(v).all() for m in result.connectivity.values.values() for v in m.values()
    )


@pytest.mark.parametrize("seconds", [2, 30])
def test_a_single_channel_is_processed_without_what_needs_two(
    counts: np.ndarray, seconds: int
) -> None:
    bad = {b["name"] for b in PHANTOM.truth()["bad_channels"]}
    row = next(i for i, n in enumerate(PHANTOM.info.names) if n not in bad)
    info = PHANTOM.info.pick(PHANTOM.info.names[row : row + 1])
    result = bf.process(recording_from_array(counts[row : row + 1, : 1000 * seconds], info))
    assert result.connectivity is None
    assert np.isfinite(result.spectra.after).all()


def test_no_meg_channel_is_refused() -> None:
    from brainforge.info import Channel, Info

    info = Info(1000.0, (Channel("EEG 001", "eeg"),))
    with pytest.raises(InputError, match="at least one MEG channel"):
        bf.process(recording_from_array(np.zeros((1, 20_000)), info))


def test_something_else_than_a_recording_is_refused() -> None:
    with pytest.raises(InputError, match=r"brainforge\.open"):
        bf.process("sample.fif")


def test_all_channels_bad_is_refused(counts: np.ndarray) -> None:
    info = PHANTOM.info.with_bads(PHANTOM.info.names)
    with pytest.raises(InputError, match="marked bad"):
        bf.process(recording_from_array(counts, info))
