"""Parting a power spectrum into its 1/f background and its peaks.

Written after Donoghue et al. 2020, Parameterizing neural power spectra into periodic and
aperiodic components, Nat Neurosci 23:1655-1665. In log10 power, the background is
``offset - exponent * log10(f)`` and each peak a Gaussian in frequency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError

Floats = npt.NDArray[np.float64]
_FLOOR_PERCENTILE = 2.5
_MAX_STEPS = 200
_FWHM_PER_SD = 2 * np.sqrt(2 * np.log(2))


@dataclass(frozen=True)
class Peak:
    """A Gaussian peak: centre (Hz), height (log10 power over the background), width (SD, Hz)."""

    centre: float
    height: float
    width: float


@dataclass(frozen=True)
class SpectralFit:
    """A spectrum's background and peaks over ``freqs`` (Hz); ``log_power`` is log10.

    ``residual_sd`` is the standard deviation of data minus model, in log10 power.
    """

    freqs: Floats
    log_power: Floats
    offset: float
    exponent: float
    peaks: tuple[Peak, ...]
    residual_sd: float

    @property
    def background(self) -> Floats:
        """Aperiodic log10 power over ``freqs``."""
        return self.offset - self.exponent * np.log10(self.freqs)

    @property
    def model(self) -> Floats:
        """Background and peaks, log10 power over ``freqs``."""
        return self.background + gaussians(self.freqs, self.peaks)


def gaussians(freqs: Floats, peaks: tuple[Peak, ...]) -> Floats:
    """Return the sum of the peaks at ``freqs`` (Hz), log10 power."""
    total = np.zeros(len(freqs))
    for p in peaks:
        total += p.height * np.exp(-0.5 * ((freqs - p.centre) / p.width) ** 2)
    return total


def _line(log_freqs: Floats, log_power: Floats) -> tuple[float, float]:
    slope, offset = np.polyfit(log_freqs, log_power, 1)
    return float(offset), float(-slope)


def _robust_line(log_freqs: Floats, log_power: Floats) -> tuple[float, float]:
    """Fit the line to the points that a first fit leaves lowest, so that peaks cannot lift it."""
    offset, exponent = _line(log_freqs, log_power)
    flat = np.maximum(log_power - offset + exponent * log_freqs, 0)
    low = flat <= np.percentile(flat, _FLOOR_PERCENTILE)
    return _line(log_freqs[low], log_power[low]) if low.sum() > 2 else (offset, exponent)


def _width_at(freqs: Floats, flat: Floats, top: int) -> float:
    """Guess a peak's SD from its nearer half-height flank."""
    below = np.flatnonzero(flat <= 0.5 * flat[top])
    left, right = below[below < top], below[below > top]
    flanks = [top - left[-1]] if len(left) else []
    flanks += [right[0] - top] if len(right) else []
    if not flanks:
        return 1.0
    return float(2 * min(flanks) * (freqs[1] - freqs[0]) / _FWHM_PER_SD)


def _guess_peaks(
    freqs: Floats,
    flat: Floats,
    max_peaks: int,
    threshold_sd: float,
    min_height: float,
    widths: tuple[float, float],
) -> tuple[Peak, ...]:
    """Take the highest point again and again, each time without the peaks found before."""
    rest = flat.copy()
    peaks: list[Peak] = []
    while len(peaks) < max_peaks:
        top = int(np.argmax(rest))
        height = float(rest[top])
        if height <= threshold_sd * rest.std() or height <= min_height:
            break
        width = float(np.clip(_width_at(freqs, rest, top), *widths))
        peak = Peak(float(freqs[top]), height, width)
        peaks.append(peak)
        rest -= gaussians(freqs, (peak,))
    return _apart(
        tuple(p for p in peaks if min(p.centre - freqs[0], freqs[-1] - p.centre) > p.width)
    )


def _apart(peaks: tuple[Peak, ...]) -> tuple[Peak, ...]:
    """Drop the lower of two peaks that lie within three quarters of an SD of each other."""
    kept: list[Peak] = []
    for p in sorted(peaks, key=lambda q: -q.height):
        if all(abs(p.centre - k.centre) > 0.75 * (p.width + k.width) for k in kept):
            kept.append(p)
    return tuple(sorted(kept, key=lambda q: q.centre))


def _refine(
    freqs: Floats, flat: Floats, guess: tuple[Peak, ...], widths: tuple[float, float]
) -> tuple[Peak, ...]:
    """Fit all Gaussians together by bounded least squares."""
    if not guess:
        return ()
    start = np.array([[p.centre, p.height, p.width] for p in guess])
    reach = 2 * start[:, 2]
    low = np.column_stack([start[:, 0] - reach, 0 * reach, 0 * reach + widths[0]])
    high = np.column_stack([start[:, 0] + reach, 2 * start[:, 1] + 1, 0 * reach + widths[1]])
    solved = _levenberg_marquardt(freqs, flat, start, low, high)
    return tuple(Peak(*(float(v) for v in row)) for row in solved)


def _sum_and_slopes(freqs: Floats, params: Floats) -> tuple[Floats, Floats]:
    """Return the Gaussians' sum and its derivatives, axes (frequency, parameter)."""
    c, h, w = params.T[:, :, None]
    away = (freqs - c) / w
    bell = np.exp(-0.5 * away**2)
    slopes = np.stack([h * bell * away / w, bell, h * bell * away**2 / w], axis=1)
    return (h * bell).sum(axis=0), slopes.reshape(-1, len(freqs)).T


def _levenberg_marquardt(
    freqs: Floats, flat: Floats, start: Floats, low: Floats, high: Floats
) -> Floats:
    """Return the bounded least-squares fit of Gaussians, axes (peak, (centre, height, SD)).

    Levenberg-Marquardt (Marquardt 1963) with every step cut off at the bounds. Written here
    because importing an optimiser takes longer than all of the fits.
    """
    at, damping = np.clip(start, low, high), 1e-3
    model, slopes = _sum_and_slopes(freqs, at)
    cost = float(((flat - model) ** 2).sum())
    for _ in range(_MAX_STEPS):
        gram, pull = slopes.T @ slopes, slopes.T @ (flat - model)
        # parameters held at a bound take no part in the step
        free = ~(((at <= low).ravel() & (pull < 0)) | ((at >= high).ravel() & (pull > 0)))
        step = np.zeros(at.size)
        if free.any():
            part = gram[np.ix_(free, free)]
            part = part + damping * np.diag(np.diag(part) + 1e-12)
            step[free] = np.linalg.solve(part, pull[free])
        trial = np.clip(at + step.reshape(at.shape), low, high)
        new_model, new_slopes = _sum_and_slopes(freqs, trial)
        new_cost = float(((flat - new_model) ** 2).sum())
        if new_cost <= cost:
            done = cost - new_cost <= 1e-10 * (cost + 1e-15)
            at, model, slopes, cost = trial, new_model, new_slopes, new_cost
            damping = max(damping / 5, 1e-9)
            if done:
                break
        else:
            damping *= 4
            if damping > 1e8:
                break
    return at


def _bic(freqs: Floats, flat: Floats, peaks: tuple[Peak, ...]) -> float:
    n = len(freqs)
    misfit = float(((flat - gaussians(freqs, peaks)) ** 2).mean())
    return n * np.log(max(misfit, 1e-12)) + 3 * len(peaks) * np.log(n)


def _prune(
    freqs: Floats, flat: Floats, peaks: tuple[Peak, ...], widths: tuple[float, float]
) -> tuple[Peak, ...]:
    """Drop peaks while the others, fitted again, do as well (Bayesian information criterion).

    The greedy search splits a peak whose top lies between two bins; this joins it again.
    """
    best = _bic(freqs, flat, peaks)
    while peaks:
        rivals = []
        for k in range(len(peaks)):
            fewer = _refine(freqs, flat, peaks[:k] + peaks[k + 1 :], widths)
            rivals.append((_bic(freqs, flat, fewer), fewer))
        lowest, fewer = min(rivals, key=lambda r: r[0])
        if lowest >= best:
            break
        best, peaks = lowest, fewer
    return peaks


def fit_spectrum(
    freqs: npt.NDArray[np.floating],
    psd: npt.NDArray[np.floating],
    *,
    f_range: tuple[float, float] = (2.0, 40.0),
    max_peaks: int = 6,
    threshold_sd: float = 2.0,
    min_height: float = 0.05,
    widths: tuple[float, float] = (0.5, 6.0),
) -> SpectralFit:
    """Fit background and peaks to one power spectrum.

    Parameters
    ----------
    freqs : array, axes (frequency,)
        Evenly spaced, Hz.
    psd : array, axes (frequency,)
        Power density, any unit squared per Hz.
    f_range : tuple of 2 float
        Part of the spectrum to fit, Hz; 0 Hz is never taken.
    max_peaks : int
    threshold_sd : float
        A peak has to stand out by this many SD of the flattened spectrum ...
    min_height : float
        ... and by this much log10 power.
    widths : tuple of 2 float
        Bounds of a peak's SD, Hz.

    Raises
    ------
    InputError
        Fewer than eight usable bins in ``f_range``.
    """
    freqs, psd = np.asarray(freqs, dtype=np.float64), np.asarray(psd, dtype=np.float64)
    use = (freqs >= max(f_range[0], 1e-9)) & (freqs <= f_range[1]) & (psd > 0) & np.isfinite(psd)
    if use.sum() < 8:
        raise InputError(
            where="psd",
            expected=f"at least 8 positive bins in {f_range[0]:g}-{f_range[1]:g} Hz",
            got=f"{int(use.sum())}",
            fix="use longer segments",
        )
    f, power = freqs[use], np.log10(psd[use])
    log_f = np.log10(f)
    offset, exponent = _robust_line(log_f, power)
    flat = power - offset + exponent * log_f
    peaks = _guess_peaks(f, flat, max_peaks, threshold_sd, min_height, widths)
    peaks = _prune(f, flat, _refine(f, flat, peaks, widths), widths)
    offset, exponent = _line(log_f, power - gaussians(f, peaks))
    model = offset - exponent * log_f + gaussians(f, peaks)
    return SpectralFit(f, power, offset, exponent, peaks, float(np.std(power - model)))
