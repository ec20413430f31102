"""Removal of components: the same linear map on both sides."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, Material
from benchmarks.stages.ica import N_COMPONENTS
from brainforge.export import to_raw
from brainforge.kernels.apply import apply_matrix
from brainforge.recording import recording_from_array

EXCLUDED = [0, 1, 2]
EXCERPT_S = 120.0


def build(material: Material) -> Comparison:
    raw, x32 = _excerpt(material), material.working
    n = min(N_COMPONENTS, material.n_channels // 2)
    ica = _decomposition(raw, n)
    matrix, offset = _affine(ica, raw.info)

    def peer(_: int) -> Any:
        whole = material.working_raw.copy()
        return ica.apply(whole, exclude=EXCLUDED, verbose="error").get_data()

    def ours(threads: int) -> Any:
        return apply_matrix(matrix, x32, n_threads=threads)

    def figures(theirs: Any, got: Any) -> list[Figure]:
        want = FT * (theirs - offset[:, None])
        error, rms = got - want, x32.std(axis=1)
        over = "over channel RMS before"
        return [
            Figure(f"RMS difference {over}", float((error.std(axis=1) / rms).max()), 1e-5),
            Figure(f"largest difference {over}", float((np.abs(error).max(axis=1) / rms).max())),
        ]

    return Comparison(
        title="remove components",
        amount=material.working_size,
        peer="Raw.copy, ICA.apply, float64",
        ours="apply_matrix, float32; field correction and repair ride along for nothing",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
    )


def _excerpt(material: Material) -> Any:
    """Return two minutes of the working signal in tesla, what any decomposition needs."""
    n = round(EXCERPT_S * material.working_info.sfreq)
    return to_raw(recording_from_array(material.working[:, :n], material.working_info))


def _decomposition(raw: Any, n: int) -> Any:
    """Return any decomposition: how well it separates does not matter to its application."""
    import mne

    ica = mne.preprocessing.ICA(n, method="fastica", max_iter=1, rng=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ica.fit(raw, decim=10, verbose="error")


def _affine(ica: Any, info: Any) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Return the matrix and the offset of the peer's map, from what it does to unit samples."""
    import mne

    n = len(info["ch_names"])

    def mapped(x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        raw = mne.io.RawArray(x, info, verbose="error")
        return ica.apply(raw, exclude=EXCLUDED, verbose="error").get_data()

    offset = mapped(np.zeros((n, 1)))[:, 0]
    return (mapped(np.eye(n)) - offset[:, None]), offset
