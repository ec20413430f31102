"""Mains lines as least-squares sinusoids, for recordings too short for a sharp filter."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError

F64 = npt.NDArray[np.float64]
_SEARCH_HZ = 0.5  # mains is kept within 0.2 Hz in practice; clocks add a little
_SEGMENT_S = 2.5
_REFINED_BY = 5  # harmonics that decide on the frequency
_LINE_DB = 6.0


def _hann(n: int) -> F64:
    """Return a Hann window without zeros at its ends."""
    return np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2


def _line_power(x: F64, times: F64, weight: F64, f0: F64, harmonics: npt.NDArray[np.intp]) -> F64:
    """Return the power at some harmonics of trial frequencies, summed, axes (trial,)."""
    base = np.exp(-2j * np.pi * np.multiply.outer(f0, times))
    power = np.zeros(len(f0))
    for h in harmonics:
        power += (np.abs((weight * base ** int(h)) @ x.T) ** 2).sum(axis=1)
    return power


def _refine(x: F64, sfreq: float, line_freq: float, harmonics: npt.NDArray[np.intp]) -> float:
    """Return the fundamental near ``line_freq`` that explains most power of all channels."""
    n = x.shape[1]
    times, weight = np.arange(n) / sfreq, _hann(n)
    scale = np.sqrt(np.mean(np.square(np.diff(x, axis=1)), axis=1))
    y = (x - x.mean(axis=1, keepdims=True))[scale > 0] / scale[scale > 0, None]
    strength = [
        _line_power(y, times, weight, np.array([line_freq]), harmonics[i : i + 1])[0]
        for i in range(len(harmonics))
    ]
    best = harmonics[np.argsort(strength)[::-1][:_REFINED_BY]]
    step = sfreq / n / (8 * best.max())
    reach = int(np.ceil(_SEARCH_HZ / step))
    at = line_freq
    for _ in range(5):
        trials = at + step * np.arange(-reach, reach + 1)
        at = float(trials[np.argmax(_line_power(y, times, weight, trials, best))])
        step, reach = step / 5, 5
    return at


def _lines(x: F64, sfreq: float, f0: float, harmonics: npt.NDArray[np.intp]) -> F64:
    """Return the sinusoids fitted to x, weighted towards the middle so that ends leak less."""
    n = x.shape[1]
    times = np.arange(n) / sfreq
    phase = 2 * np.pi * f0 * np.outer(times, harmonics)
    waves = np.hstack([np.cos(phase), np.sin(phase)])
    # A straight line is fitted along and left in, so that a drift is not taken for mains.
    basis = np.hstack([waves, np.ones((n, 1)), np.linspace(-1, 1, n)[:, None]])
    root = np.sqrt(_hann(n))[:, None]
    coef = np.linalg.lstsq(root * basis, root * x.T, rcond=None)[0]
    fitted: F64 = (waves @ coef[: waves.shape[1]]).T
    return fitted


def remove_lines(
    data: npt.NDArray[Any],
    sfreq: float,
    line_freq: float,
    *,
    f_max: float | None = None,
    segment_s: float = _SEGMENT_S,
) -> tuple[npt.NDArray[Any], float]:
    """Subtract the mains and its harmonics as sinusoids of refined frequency.

    Parameters
    ----------
    data : float array, axes (channel, sample)
        Finite, at least five cycles of the mains long.
    sfreq : float
        Sampling rate in Hz.
    line_freq : float
        Nominal mains frequency in Hz; the best one within 0.5 Hz is searched.
    f_max : float | None
        Highest harmonic to remove, in Hz; None for all below the Nyquist rate.
    segment_s : float
        Longer recordings are fitted in half-overlapping segments of this many seconds that
        fade into each other, because mains wanders.

    Returns
    -------
    cleaned : array like ``data``
    frequency : float
        The fitted fundamental in Hz (mean over segments).

    Raises
    ------
    KernelInputError
        Where the data are too short or not finite, or no harmonic fits below Nyquist.

    Notes
    -----
    One frequency for all channels and harmonics, amplitudes and phases for each: a
    least-squares fit under a Hann weight, as in periodic-noise regression.
    """
    if data.ndim != 2 or not np.issubdtype(data.dtype, np.floating) or not np.isfinite(data).all():
        raise KernelInputError(
            where="data",
            expected="finite floating-point channels x samples",
            got=f"shape {data.shape}, {data.dtype}",
        )
    top = min(sfreq / 2 - 1, f_max or np.inf)
    harmonics = np.arange(1, int(top / line_freq) + 1) if line_freq > 0 else np.zeros(0, np.intp)
    n = data.shape[1]
    if not len(harmonics) or n < 5 * sfreq / line_freq:
        raise KernelInputError(
            where="line_freq",
            expected=f"five cycles of a mains line below {top:g} Hz",
            got=f"{line_freq:g} Hz in {n / sfreq:.3g} s",
        )
    if not data.shape[0] or not np.ptp(data, axis=1).any():
        return data.copy(), float(line_freq)
    x = data.astype(np.float64)
    hop = max(round(segment_s * sfreq / 2), 1)
    starts = [0] if n < 3 * hop else list(range(0, n - 2 * hop + 1, hop))
    fitted, total, found = np.zeros_like(x), np.zeros(n), []
    for i, start in enumerate(starts):
        stop = n if i == len(starts) - 1 else start + 2 * hop
        piece = x[:, start:stop]
        found.append(_refine(piece, sfreq, line_freq, harmonics))
        weight = _hann(stop - start)
        fitted[:, start:stop] += weight * _lines(piece, sfreq, found[-1], harmonics)
        total[start:stop] += weight
    return (x - fitted / total).astype(data.dtype), float(np.mean(found))


def line_excess_db(freqs: F64, psd: F64, f0: float, *, around_hz: float = 5.0) -> F64:
    """Return by how much the power at ``f0`` is above that of the bins around it, in dB.

    Parameters
    ----------
    freqs : float64 array, axes (frequency,)
    psd : float64 array, axes (channel, frequency)
    f0 : float
        Frequency in Hz; the largest of the bins within one bin of it counts.
    around_hz : float
        The median of the bins 2 bins or more and up to this far away is the comparison.

    Returns
    -------
    excess : float64 array, axes (channel,)
        NaN where there is nothing to compare.
    """
    width = freqs[1] - freqs[0]
    distance = np.abs(freqs - f0)
    near, around = distance <= width, (distance > 2 * width) & (distance <= around_hz)
    if not near.any() or not around.any():
        return np.full(len(psd), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = psd[:, near].max(axis=1) / np.median(psd[:, around], axis=1)
        return np.where(np.isfinite(ratio) & (ratio > 0), 10 * np.log10(ratio), np.nan)


def estimate_line_freq(freqs: F64, psd: F64) -> float | None:
    """Return the mains frequency seen in spectra: 50.0, 60.0, or None where there is none.

    Parameters
    ----------
    freqs : float64 array, axes (frequency,)
        Evenly spaced, at most 2 Hz apart.
    psd : float64 array, axes (channel, frequency)

    Returns
    -------
    frequency : float | None
        The one whose fundamental and first two odd harmonics stand out most, in the median
        channel and on average by more than 6 dB.
    """
    if psd.ndim != 2 or psd.shape[1] != len(freqs) or len(freqs) < 3:
        raise KernelInputError(
            where="psd", expected=f"channels x {len(freqs)} frequencies", got=f"{psd.shape}"
        )
    best, found = _LINE_DB, None
    for f0 in (50.0, 60.0):
        excess = [line_excess_db(freqs, psd, f) for f in (f0, 3 * f0, 5 * f0) if f < freqs[-1] - 2]
        usable = [float(np.nanmedian(e)) for e in excess if np.isfinite(e).any()]
        score = max(usable[0], float(np.mean(usable))) if usable else 0.0
        if score > best:
            best, found = score, f0
    return found
