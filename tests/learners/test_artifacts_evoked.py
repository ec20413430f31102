"""What the auditory and visual events evoke is the same before and after cleaning."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.band_limit import band_limit
from brainforge.learners.artifacts import learn_artifacts
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe
from tests.reference.working import file_projection, sample_working

#: seconds of an epoch; around a blink's and a QRS complex's peak that no epoch may touch
EPOCH, BLINK, QRS = (-0.05, 0.3), (-0.3, 0.35), (-0.05, 0.05)


def free_of(at, first, last, events, around, sfreq):
    """Return whether no event with its surroundings touches the epoch."""
    lo, hi = (round(a * sfreq) for a in around)
    return not np.any((events + hi > at + first) & (events + lo < at + last))


@pytest.mark.shared_data
def test_evoked_responses_stay(shared_data):
    working, triggers = sample_working(shared_data)
    names, projection = file_projection(working.info)
    model = learn_artifacts(working, Operator(names, projection), working.info, ArtifactRecipe())
    sfreq = working.info.sfreq
    first, last = (round(e * sfreq) for e in EPOCH)
    beats, blinks = (train.samples // 2 for train in (model.ecg, model.eog))
    quiet = [
        at for at in triggers // 2
        if at + first >= 0 and at + last <= working.n_samples
        and free_of(at, first, last, blinks, BLINK, sfreq)
        and free_of(at, first, last, beats, QRS, sfreq)
    ]  # fmt: skip
    assert len(quiet) >= 12
    x = projection @ working.data[working.info.rows(names)].astype(np.float64)
    low = band_limit(x, sfreq, 0.0, 40.0)
    average = [
        np.mean([z[:, a + first : a + last] for a in quiet], axis=0)
        for z in (low, model.operator.matrix @ low)
    ]
    for kind in ("mag", "grad"):
        rows = [i for i, n in enumerate(names) if working.info.channel(n).kind == kind]
        before, after = (a[rows] for a in average)
        r = np.array([np.corrcoef(b, a)[0, 1] for b, a in zip(before, after)])
        strongest = np.argsort(-before.std(axis=1))[:20]
        whole = np.corrcoef(before.ravel(), after.ravel())[0, 1]
        print(f"{kind}: {len(quiet)} epochs, r {whole:.3f} over all, median {np.median(r):.3f}, "
              f"least of the strongest 20 {r[strongest].min():.3f}, "
              f"RMS {after.std() / before.std():.3f}")  # fmt: skip
        assert whole > 0.97
        assert np.median(r) > 0.98
        assert r[strongest].min() > 0.97
        assert after.std() / before.std() > 0.95
