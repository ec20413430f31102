"""Welch spectra, 4-s Hann segments that overlap by half."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, LINE_FREQ, Material
from brainforge.kernels.psd import WelchPlan, welch_sums

N_PER_SEG, STEP = 1000, 500


def build(material: Material) -> Comparison:
    sfreq = material.working_info.sfreq
    plan = WelchPlan(sfreq, N_PER_SEG, STEP)
    x32, tesla = material.working, material.working_raw.get_data()

    def peer(_: int) -> Any:
        import mne

        return mne.time_frequency.psd_array_welch(
            tesla, sfreq, fmax=sfreq / 2, n_fft=N_PER_SEG, n_per_seg=N_PER_SEG,
            n_overlap=N_PER_SEG - STEP, window="hann", n_jobs=1, verbose="error",
        )[0]  # fmt: skip

    def ours(threads: int) -> Any:
        power, count = welch_sums(x32, plan, n_threads=threads)
        return power / count[:, None]

    def figures(theirs: Any, got: Any) -> list[Figure]:
        # in the notches is nothing but rounding of the float32 samples' leakage
        from_line = np.abs((plan.freqs + LINE_FREQ / 2) % LINE_FREQ - LINE_FREQ / 2)
        inside = (plan.freqs >= 1) & (plan.freqs <= 100) & (from_line > 1)
        worst = np.abs(got / (theirs * FT**2) - 1)[:, inside].max()
        return [Figure("largest relative difference, 1-100 Hz without notches", float(worst), 1e-5)]

    return Comparison(
        title="Welch PSD",
        amount=material.working_size,
        peer="mne.time_frequency.psd_array_welch, float64, n_jobs=1",
        ours="welch_sums, float32 with float64 sums",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
    )
