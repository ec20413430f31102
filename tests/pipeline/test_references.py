"""Interference that reference channels see is regressed out, end to end."""

from __future__ import annotations

import numpy as np

import brainforge as bf
from brainforge.backend import Backend
from brainforge.info import Channel, Info
from brainforge.measures.gram import GramMeasure
from brainforge.pipeline.references import without_references
from brainforge.recording import Recording, recording_from_array
from brainforge.working_copy import WorkingCopy

SFREQ, N = 500.0, 10_000


def _recording(references: bool) -> tuple[Recording, np.ndarray]:
    seed = 8
    print("seed", seed)
    rng = np.random.default_rng(seed)
    field = 20_000 * rng.standard_normal((3, N))
    own = 200 * rng.standard_normal((12, N))
    mags = rng.standard_normal((12, 3)) @ field + own
    refs = field + 50 * rng.standard_normal((3, N))
    channels = tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(12))
    if references:
        channels += tuple(Channel(f"R{i}", "ref_mag", cal=1e-15) for i in range(3))
    data = np.concatenate([mags, refs])[: len(channels)]
    return recording_from_array(np.round(data).astype(np.int32), Info(SFREQ, channels)), own


def test_references_take_the_field_off_and_the_result_says_so() -> None:
    result = bf.process(_recording(references=True)[0])
    assert "3 reference channels regressed out" in " ".join(result.steps)
    band = (result.spectra.freqs > 5) & (result.spectra.freqs < 40)
    before, after = (x[:, band].mean() for x in (result.spectra.before, result.spectra.after))
    assert 10 * np.log10(before / after) > 30


def test_without_references_nothing_is_written_again() -> None:
    info = Info(250.0, tuple(Channel(f"M{i}", "mag") for i in range(4)))
    with WorkingCopy(info) as working:
        gram = GramMeasure(info, Backend()).result()
        again, same, step = without_references(working, gram, info, Backend(), None)
        assert again is working
        assert same is gram
        assert step == ""
