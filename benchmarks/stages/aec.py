"""Orthogonalised envelope correlation of all pairs in one band."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import LONG_EPOCH_S, Material
from benchmarks.stages.connectivity import cut
from brainforge.backend import Backend
from brainforge.kernels.connectivity.envelope import (
    analytic,
    band_window,
    edge_taper,
    epoch_spectrum,
)
from brainforge.measures.aec import AecMeasure

BAND = {"alpha": (8.0, 13.0)}
#: epochs that the peer is run on: it takes about a second each
MOST, LEAST = 6, 3


def build(material: Material) -> Comparison:
    info = material.working_info
    length = round(LONG_EPOCH_S * info.sfreq)
    n = material.working.shape[1] // length
    sizes = (n,) if n <= MOST or material.whole else (LEAST, MOST)

    @cache
    def signals() -> list[npt.NDArray[np.complex128]]:
        taper = edge_taper(length, info.sfreq)
        window = band_window(length, info.sfreq, BAND["alpha"])
        return [
            analytic(epoch_spectrum(e, taper), window).astype(np.complex128)
            for e in material.epochs(LONG_EPOCH_S)[: sizes[-1]]
        ]

    def peer(count: int) -> Any:
        import mne_connectivity

        return mne_connectivity.envelope_correlation(
            signals()[:count], orthogonalize="pairwise", absolute=False, verbose="error"
        )

    def ours(threads: int, n_epochs: int = n, **options: Any) -> Any:
        measure = AecMeasure(
            info, Backend(n_threads=threads), bands=BAND, picks=info.names,
            epoch_duration=LONG_EPOCH_S, **options,
        )  # fmt: skip
        for block in cut(material.working_blocks, n_epochs * length):
            measure.update(block)
        return measure.result().values["aec"]["alpha"]

    def figures(theirs: Any, whole: Any) -> list[Figure]:
        got = whole if sizes[-1] == n else ours(2, sizes[-1], oversampling=None)
        want = theirs.get_data("dense")[..., 0].mean(axis=0)
        lower = np.tril_indices(material.n_channels, -1)
        begun = time.perf_counter()
        coarse = ours(2)
        spent = time.perf_counter() - begun
        rms = float(np.sqrt(np.mean((coarse - whole)[lower] ** 2)))
        return [
            Figure("largest absolute difference", float(np.abs(got - want)[lower].max()), 1e-6),
            Figure(
                f"the recipe's four samples per hertz ({spent:.3g} s on 2 threads, once): RMS "
                "difference from every sample", rms,
            ),
        ]  # fmt: skip

    return Comparison(
        title="orthogonalised AEC, one band",
        amount=f"{material.working_size}, {n} epochs of {LONG_EPOCH_S:g} s",
        peer="mne_connectivity.envelope_correlation of analytic signals made before, float64",
        ours="AecMeasure, filter and Hilbert transform included, every sample",
        run_peer=peer,
        run_ours=lambda threads: ours(threads, oversampling=None),
        figures=figures,
        units=n,
        unit="epochs",
        peer_units=sizes,
        prepare_peer=(signals,),
    )
