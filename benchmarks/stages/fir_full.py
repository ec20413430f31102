"""Band-pass at the full rate, with the very taps of the peer."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, H_FREQ, L_FREQ, Material, run_fir
from brainforge.stages.fir import FusedFir


def build(material: Material) -> Comparison:
    stage = FusedFir(L_FREQ, H_FREQ, decim=1)

    def peer(_: int) -> Any:
        import mne

        return mne.filter.filter_data(
            material.tesla, material.sfreq, L_FREQ, H_FREQ, n_jobs=1, copy=True, verbose="error"
        )

    def figures(theirs: Any, blocks: Any) -> list[Figure]:
        got = np.concatenate([b.data for b in blocks], axis=1)
        edge = len(stage.design(material.sfreq).h2)
        inner = slice(edge, -edge)
        largest = rms = 0.0
        for ours, peers in zip(got, theirs):
            want = FT * peers[inner]
            error = (ours[inner] - want) / want.std()
            largest, rms = max(largest, float(np.abs(error).max())), max(rms, float(error.std()))
        on = "difference from MNE's on the interior over channel RMS"
        return [Figure(f"largest {on}", largest, 1e-5), Figure(f"RMS {on}", rms)]

    return Comparison(
        title="FIR 1-100 Hz at the full rate",
        amount=material.size,
        peer="mne.filter.filter_data, float64, n_jobs=1",
        ours="FusedFir(decim=1) from int16 counts",
        run_peer=peer,
        run_ours=lambda threads: run_fir(material, stage, threads),
        figures=figures,
        prepare_peer=(lambda: material.tesla,),
    )
