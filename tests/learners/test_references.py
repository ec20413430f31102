"""Reference regression equals MNE's, removes planted interference, knows when not to act."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.info import Channel, Info
from brainforge.learners.references import learn_references
from brainforge.measures.gram import GramMeasure

INFO = Info(
    250.0,
    (
        *(Channel(f"R{i}", "ref_mag") for i in range(4)),
        *(Channel(f"M{i:02d}", "mag") for i in range(12)),
    ),
)


def simulate(interference=5.0, n=20_000):
    rng = np.random.default_rng(0)
    brain = rng.standard_normal((12, n))
    outside = rng.standard_normal((4, n))
    meg = brain + interference * rng.standard_normal((12, 4)) @ outside
    references = rng.standard_normal((4, 4)) @ outside + 0.01 * rng.standard_normal((4, n))
    return np.concatenate([references, meg]).astype(np.float32) * 100, 100 * brain


def gram_of(data, info=INFO):
    measure = GramMeasure(info, Backend())
    for at in range(0, data.shape[1], 2500):
        measure.update(Block(data[:, at : at + 2500], info, at))
    return measure.result()


def test_planted_interference_goes_and_the_brain_stays():
    data, brain = simulate()
    operator = learn_references(INFO, gram_of(data))
    assert set(operator.names) == set(INFO.names)
    clean = operator.matrix @ data[INFO.rows(operator.names)]
    rows = operator.rows([f"M{i:02d}" for i in range(12)])
    assert np.std(clean[rows] - brain) < 0.2 * brain.std()
    references = operator.rows([f"R{i}" for i in range(4)])
    np.testing.assert_array_equal(operator.matrix[references], np.eye(16)[references])
    assert operator.params["n_references"] == 4
    assert operator.params["explained"] > 0.9
    assert operator.rank == 16


def test_equals_mne_without_ridge():
    import mne

    data, _ = simulate()
    data -= data.mean(axis=1, keepdims=True)
    raw = mne.io.RawArray(
        data.astype(np.float64) * 1e-15,
        mne.create_info(list(INFO.names), 250.0, ["ref_meg"] * 4 + ["mag"] * 12, verbose="error"),
        verbose="error",
    )
    model = mne.preprocessing.EOGRegression(picks="mag", picks_artifact="ref_meg", proj=False)
    want = model.fit(raw).coef_
    operator = learn_references(INFO, gram_of(data), ridge=0.0)
    got = -operator.matrix[np.ix_(operator.rows(INFO.names[4:]), operator.rows(INFO.names[:4]))]
    np.testing.assert_allclose(got, want, atol=1e-4 * np.abs(want).max())


def test_bad_references_are_not_used():
    data, _ = simulate()
    operator = learn_references(INFO.with_bads(("R1",)), gram_of(data), ("R2",))
    assert operator.params["n_references"] == 2
    assert not operator.matrix[operator.rows(("M00",)), operator.rows(("R1", "R2"))].any()


@pytest.mark.parametrize(
    ("interference", "n", "text"), [(5.0, 70, "too few"), (0.0, 20_000, "explain 0")]
)
def test_it_abstains_with_a_reason(interference, n, text):
    operator = learn_references(INFO, gram_of(simulate(interference, n)[0]))
    assert operator.is_identity
    assert text in operator.description


def test_without_references():
    info = INFO.pick(INFO.names[4:])
    operator = learn_references(info, gram_of(simulate()[0][4:], info))
    assert operator.is_identity
    assert operator.description == "No reference channels."
