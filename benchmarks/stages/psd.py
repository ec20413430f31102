"""Welch spectra, 4-s Hann segments that overlap by half."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, LINE_FREQ, Material
from brainforge.backend import Backend
from brainforge.measures.psd import WelchMeasure

#: the recipe's segments
SEGMENT_S, OVERLAP = 4.0, 0.5


def build(material: Material) -> Comparison:
    sfreq = material.working_info.sfreq
    blocks = material.working_blocks
    n = round(SEGMENT_S * sfreq)

    def peer(_: int) -> Any:
        import mne

        return mne.time_frequency.psd_array_welch(
            material.working_raw._data, sfreq, fmax=sfreq / 2, n_fft=n, n_per_seg=n,
            n_overlap=round(OVERLAP * n), window="hann", n_jobs=1, verbose="error",
        )[0]  # fmt: skip

    def ours(threads: int) -> Any:
        backend = Backend(n_threads=threads)
        measure = WelchMeasure(material.working_info, backend, seg_s=SEGMENT_S, overlap=OVERLAP)
        for block in blocks:
            measure.update(block)
        return measure.result()

    def figures(theirs: Any, result: Any) -> list[Figure]:
        freqs, got = result
        # in the notches is nothing but rounding of the float32 samples' leakage
        from_line = np.abs((freqs + LINE_FREQ / 2) % LINE_FREQ - LINE_FREQ / 2)
        inside = (freqs >= 1) & (freqs <= 100) & (from_line > 1)
        worst = np.abs(got / (theirs * FT**2) - 1)[:, inside].max()
        return [Figure("largest relative difference, 1-100 Hz without notches", float(worst), 1e-5)]

    return Comparison(
        title="Welch PSD",
        amount=material.working_size,
        peer="mne.time_frequency.psd_array_welch, float64, n_jobs=1",
        ours="WelchMeasure, float32 with float64 sums",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
    )
