"""Local outlier factors of channels: from the samples, and from their Gram matrix."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, Material
from brainforge.kernels.bad_channels import lof_scores
from brainforge.kernels.gram import gram

NEIGHBORS = 20


def build(material: Material) -> Comparison:
    x32 = material.working
    k = min(NEIGHBORS, material.n_channels - 1)

    def peer(_: int) -> Any:
        import mne

        return mne.preprocessing.find_bad_channels_lof(
            material.working_raw, n_neighbors=k, picks="meg", return_scores=True, verbose="error"
        )

    def ours(_: int) -> Any:
        # scikit-learn adds 1e-10 to distances, which in tesla is not nothing: the same in fT
        return lof_scores(gram(x32).sums, k, epsilon=1e-10 * FT)

    def figures(theirs: Any, got: Any) -> list[Figure]:
        bads, scores = theirs
        names = np.array(material.working_raw.ch_names)
        return [
            Figure(
                "largest relative difference of the scores",
                float(np.abs(got / np.abs(scores) - 1).max()), 1e-5,
            ),
            Figure(
                "channels over the peer's threshold of 1.5 that only one side names",
                float(len(set(bads) ^ set(names[got > 1.5]))), 0,
            ),
        ]  # fmt: skip

    return Comparison(
        title="bad channels (LOF)",
        amount=material.working_size,
        peer="mne.preprocessing.find_bad_channels_lof, float64",
        ours="gram + lof_scores, float32 products with float64 sums",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
        threads=(1,),
        notes=("The pipeline has the Gram matrix already: it serves whitening too.",),
    )
