"""Band-pass, notches and decimation to 250 Hz."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.signal import fftconvolve

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import FT, H_FREQ, L_FREQ, LINE_FREQ, Material, run_fir
from brainforge.stages.fir import FusedFir


def build(material: Material) -> Comparison:
    stage = FusedFir(L_FREQ, H_FREQ, LINE_FREQ)
    k = stage.decimation(material.sfreq)
    lines = np.arange(LINE_FREQ, H_FREQ + 1, LINE_FREQ)

    def peer(_: int) -> Any:
        import mne

        x = mne.filter.filter_data(
            material.tesla, material.sfreq, L_FREQ, H_FREQ, n_jobs=1, copy=True, verbose="error"
        )
        x = mne.filter.notch_filter(x, material.sfreq, lines, n_jobs=1, copy=False, verbose="error")
        return mne.filter.resample(x, down=k, n_jobs=1, verbose="error")

    def figures(theirs: Any, blocks: Any) -> list[Figure]:
        got = np.concatenate([b.data for b in blocks], axis=1)
        rows = np.linspace(0, material.n_channels - 1, min(8, material.n_channels)).astype(int)
        want = _definition(material.tesla[rows] * FT, stage, material.sfreq)
        edge = len(stage.design(material.sfreq).h2)
        inner = slice(edge, -edge)
        rms = want[:, inner].std(axis=1)
        error = (got[rows] - want)[:, inner]
        peer_rms = (got[:, inner] - FT * theirs[:, inner]).std(axis=1) / got[:, inner].std(axis=1)
        definition = "from the float64 definition over channel RMS, interior"
        return [
            Figure(f"RMS difference {definition}", float((error.std(axis=1) / rms).max()), 1e-5),
            Figure(
                f"largest difference {definition}", float((np.abs(error).max(axis=1) / rms).max())
            ),
            Figure(
                "RMS difference from MNE's chain (other notches and stop band) over channel RMS",
                float(np.median(peer_rms)),
            ),
        ]

    return Comparison(
        title="FIR 1-100 Hz, notches, to 250 Hz",
        amount=material.size,
        peer="mne.filter: filter_data, notch_filter, resample, float64, n_jobs=1",
        ours="FusedFir from int16 counts",
        run_peer=peer,
        run_ours=lambda threads: run_fir(material, stage, threads),
        figures=figures,
        prepare_peer=(lambda: material.tesla,),
    )


def _definition(x: Any, stage: FusedFir, sfreq: float) -> Any:
    """Return what the stage is defined to give away from the ends, in float64."""
    impulse = stage.design(sfreq).impulse()
    full = fftconvolve(x - np.median(x, axis=1, keepdims=True), impulse[None], "same", axes=1)
    return full[:, :: stage.decimation(sfreq)]
