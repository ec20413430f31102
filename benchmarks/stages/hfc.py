"""Homogeneous field correction: the projector, and its application."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, Material
from brainforge.kernels.apply import apply_matrix
from brainforge.learners.field import learn_field_correction

ORDER = 2


def build(material: Material) -> Comparison:
    x32, info = material.working, material.working_info

    def peer(_: int) -> Any:
        import mne

        raw = material.working_raw
        projs = mne.preprocessing.compute_proj_hfc(raw.info, order=ORDER, verbose="error")
        # apply_proj works in place, and nobody wants to lose the data
        done = raw.copy().add_proj(projs, verbose="error").apply_proj(verbose="error")
        return projs, done.get_data()

    def ours(threads: int) -> Any:
        operator = learn_field_correction(info, method="hfc", order=ORDER)
        return operator, apply_matrix(operator.matrix, x32, n_threads=threads)

    def figures(theirs: Any, got: Any) -> list[Figure]:
        projs, cleaned = theirs
        operator, result = got
        # MNE's vectors are not orthogonal to each other
        vectors = np.concatenate([p["data"]["data"] for p in projs])
        basis = np.linalg.svd(vectors.T, full_matrices=False)[0]
        want = np.eye(len(basis)) - basis @ basis.T
        error = np.abs(result - FT * cleaned).max(axis=1) / x32.std(axis=1)
        off = float(np.abs(operator.matrix - want).max())
        return [
            Figure("largest difference of the projectors", off, 1e-6),
            Figure(
                "largest difference of signals over channel RMS before", float(error.max()), 1e-5
            ),
        ]

    return Comparison(
        title=f"HFC order {ORDER}",
        amount=material.working_size,
        peer="compute_proj_hfc, Raw.copy, apply_proj, float64",
        ours="learn_field_correction + apply_matrix, float32",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
    )
