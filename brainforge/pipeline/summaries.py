"""Plain summaries of spectra: band power, mains level, noise floor."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.result import BandPower, Spectra

Floats = npt.NDArray[np.floating[Any]]


def band_power(spectra: Spectra, bands: dict[str, tuple[float, float]]) -> BandPower:
    """Integrate the cleaned spectra over bands [low, high).

    Bands that reach beyond the spectra are left out.
    """
    freqs = spectra.freqs
    step = float(freqs[1] - freqs[0])
    fitting = {b: e for b, e in bands.items() if e[1] <= freqs[-1] + step / 2}
    inside = [(freqs >= low) & (freqs < high) for low, high in fitting.values()]
    rows = [spectra.after[:, at].sum(axis=1) * step for at in inside]
    absolute = np.array(rows).reshape(len(rows), len(spectra.channel_names))
    total = absolute.sum(axis=0)
    relative = np.divide(absolute, total, out=np.full_like(absolute, np.nan), where=total > 0)
    return BandPower(spectra.channel_names, spectra.units, fitting, absolute, relative)


def line_level_db(freqs: Floats, psd: Floats, line_freq: float | None) -> Floats:
    """Return the mains line over its neighbouring bins in dB, axes (channel,).

    The largest bin within 0.6 Hz of ``line_freq`` against the median of the bins 1.5 to 6 Hz
    away from it. NaN where the mains frequency is unknown or lies outside the spectrum.
    """
    unknown = np.full(len(psd), np.nan)
    if line_freq is None or line_freq + 6 > freqs[-1]:
        return unknown
    away = np.abs(freqs - line_freq)
    step = float(freqs[1] - freqs[0])
    line, beside = away <= max(0.6, step), (away >= max(1.5, 2 * step)) & (away <= 6 + step)
    return _ratio_db(psd[:, line].max(axis=1), np.median(psd[:, beside], axis=1))


def noise_floor(freqs: Floats, psd: Floats, line_freq: float | None) -> Floats:
    """Return the amplitude density above the brain's rhythms, unit/sqrt(Hz), axes (channel,).

    The median over 60 to 90 Hz, without what lies within 3 Hz of the mains line.
    """
    at = (freqs >= 60) & (freqs <= 90)
    if line_freq is not None:
        at &= np.abs(freqs - line_freq) > 3
    if not at.any():
        return np.full(len(psd), np.nan)
    return np.sqrt(np.median(psd[:, at], axis=1))


def _ratio_db(a: Floats, b: Floats) -> Floats:
    ratio = np.divide(a, b, out=np.full_like(a, np.nan), where=b > 0)
    with np.errstate(divide="ignore"):
        return 10 * np.log10(ratio)
