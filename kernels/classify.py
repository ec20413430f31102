"""What an independent component is: heart, eye, muscle or mains, each by a score of its own.

Heart: phase statistics and the share of power locked to the beats. Eye: correlation with the
EOG channels, or the share of power locked to the blinks together with a frontal topography.
Muscle: a spectrum that hardly falls between 7 Hz and its upper end (Dharmaprani et al. 2016,
EMBC) on few sensors, though not on one alone. Mains: power at the mains frequency and its
harmonics over the neighbouring frequencies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import Runs, as_runs, band_limit
from brainforge.kernels.blink import BLINK_BAND
from brainforge.kernels.namespace import namespace, to_host
from brainforge.kernels.psd import WelchPlan, welch_sums

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float64]

#: seconds of a Welch segment
SEGMENT = 2.0


def power_spectra(
    x: Array, sfreq: float, *, runs: Runs | None = None, n_threads: int = 1
) -> tuple[Floats, Floats]:
    """Return Welch spectra of components: Hann segments of 2 s, half overlapping.

    Parameters
    ----------
    x : float array, axes (component, sample)
        On the host or a device; taken in float32.
    sfreq : float
    runs : int array, axes (run, start/stop) | None
        No segment crosses from one run to another.
    n_threads : int

    Returns
    -------
    freqs : float64 array, axes (frequency,), Hz
    psd : float64 array, axes (component, frequency), unit**2/Hz; NaN where no run holds 2 s.
    """
    n = int(SEGMENT * sfreq)
    plan = WelchPlan(sfreq, n, n // 2)
    single = namespace(x).astype(x, namespace(x).float32, copy=False)
    total, count = np.zeros((x.shape[0], n // 2 + 1)), 0
    for start, stop in as_runs(runs, x.shape[-1]):
        segments = plan.n_segments(int(stop - start))
        if segments:
            total += to_host(welch_sums(single[:, start:stop], plan, n_threads=n_threads)[0])
        count += segments
    return plan.freqs, total / count if count else np.full_like(total, np.nan)


def line_ratio_db(freqs: Floats, psd: Floats, line_freq: float, h_freq: float) -> Floats:
    """Return mains power over its neighbourhood in dB, the largest over the harmonics.

    The peak within 1 Hz of a harmonic over the median of the bins 2-6 Hz away.

    Parameters
    ----------
    freqs : array, axes (frequency,), Hz
    psd : array, axes (component, frequency)
    line_freq : float
    h_freq : float
        Harmonics above are left out.

    Returns
    -------
    float64 array, axes (component,)
        -inf where no harmonic fits.
    """
    best = np.full(len(psd), -np.inf)
    for harmonic in np.arange(line_freq, h_freq - 2, line_freq):
        away = np.abs(freqs - harmonic)
        beside = (away >= 2) & (away <= 6) & (freqs <= h_freq)
        if beside.any() and (away <= 1).any():
            peak, around = psd[:, away <= 1].max(axis=1), np.median(psd[:, beside], axis=1)
            tiny = np.finfo(float).tiny
            best = np.maximum(
                best, 10 * np.log10(np.maximum(peak, tiny) / np.maximum(around, tiny))
            )
    return best


def line_share(freqs: Floats, psd: Floats, line_freq: float) -> Floats:
    """Return the share of power within 1 Hz of the mains and its harmonics, 0..1.

    Parameters
    ----------
    freqs : array, axes (frequency,), Hz
    psd : array, axes (component, frequency)
    line_freq : float

    Returns
    -------
    float64 array, axes (component,)
    """
    near = np.abs(freqs - line_freq * np.round(freqs / line_freq)) <= 1
    near &= freqs > line_freq / 2
    total = psd.sum(axis=1)
    return np.divide(psd[:, near].sum(axis=1), total, out=np.zeros(len(psd)), where=total > 0)


def spectral_slope(
    freqs: Floats,
    psd: Floats,
    low: float = 7.0,
    high: float = 75.0,
    line_freq: float | None = None,
) -> Floats:
    """Return the exponent of the spectrum between two frequencies, by log-log least squares.

    Brain signals fall (about -1 to -2 ), white noise is 0, muscle rises or stays level. Bins
    within 4 Hz of the mains and its harmonics are left out.

    Returns
    -------
    float64 array, axes (component,)
        NaN where fewer than three bins are left.
    """
    use = (freqs >= low) & (freqs <= high)
    if line_freq:
        use &= np.abs(freqs - line_freq * np.round(freqs / line_freq)) > 4
        use |= (freqs >= low) & (freqs <= min(high, line_freq - 4))
    if use.sum() < 3:
        return np.full(len(psd), np.nan)
    x = np.log10(freqs[use])
    y = np.log10(np.maximum(psd[:, use], np.finfo(float).tiny))
    x = x - x.mean()
    return (y - y.mean(axis=1, keepdims=True)) @ x / (x @ x)


def focality(topographies: Floats) -> Floats:
    """Return the share of channels that a topography's power is spread over, 0..1.

    The inverse participation ratio over the number of channels: 1/n on one channel, 1 on all
    alike.

    Parameters
    ----------
    topographies : float64 array, axes (channel, component)
        Of comparable scale between channels.
    """
    power = topographies**2
    spread = power.sum(axis=0) ** 2
    fourth = (power**2).sum(axis=0) * len(topographies)
    return np.divide(spread, fourth, out=np.zeros(topographies.shape[1]), where=fourth > 0)


def frontal_share(topographies: Floats, positions: Floats) -> Floats:
    """Return the share of a topography's power on the front quarter of the channels, 0..1.

    Parameters
    ----------
    topographies : float64 array, axes (channel, component)
        Of comparable scale between channels.
    positions : float64 array, axes (channel, xyz)
        y points to the nose; NaN rows are left out.

    Returns
    -------
    float64 array, axes (component,)
        NaN where fewer than eight channels have a position. Evenly spread power gives 0.25.
    """
    known = np.isfinite(positions).all(axis=1)
    if known.sum() < 8:
        return np.full(topographies.shape[1], np.nan)
    power, y = topographies[known] ** 2, positions[known, 1]
    total = power.sum(axis=0)
    front = power[y >= np.quantile(y, 0.75)].sum(axis=0)
    return np.divide(front, total, out=np.zeros(len(total)), where=total > 0)


def reference_correlation(
    x: Array, references: Array, sfreq: float, *, runs: Runs | None = None
) -> Floats:
    """Return the largest absolute correlation with any reference in the blink band, 0..1.

    Parameters
    ----------
    x : float array, axes (component, sample)
    references : float array, axes (reference, sample)
    sfreq : float
    runs : int array, axes (run, start/stop) | None

    Returns
    -------
    float64 array, axes (component,)
    """
    if references.shape[-1] != x.shape[-1]:
        raise KernelInputError(
            where="references", expected=f"{x.shape[-1]} samples", got=str(references.shape[-1])
        )
    xp = namespace(x)
    a, b = (
        xp.astype(band_limit(y, sfreq, *BLINK_BAND, runs=runs), xp.float64) for y in (x, references)
    )
    norms = np.outer(*(np.sqrt(to_host(xp.sum(y * y, axis=1))) for y in (a, b)))
    r = np.abs(to_host(xp.matmul(a, xp.permute_dims(b, (1, 0)))))
    return np.divide(r, norms, out=np.zeros_like(norms), where=norms > 0).max(axis=1, initial=0.0)


@dataclass(frozen=True)
class Verdict:
    """What a component is, with the sentence for a reader."""

    kind: str
    reason: str


@dataclass(frozen=True)
class Thresholds:
    """Where each score begins to mean an artifact.

    Parameters
    ----------
    ecg_locked, ecg_phase : float
        Least share of power locked to the beats, and least Kuiper distance of the phases; both
        are needed, with a significance of 10**``log10_p``.
    eog_correlation : float
        Least correlation with an EOG channel.
    eog_locked, eog_frontal : float
        Least share of power locked to the blinks and least frontal share; both are needed.
    muscle_slope, muscle_spread, muscle_channels : float
        Least spectral exponent, largest spread over the channels, and least number of channels
        spread over (fewer are a sensor's own noise); all are needed.
    line_db, line_share : float
        Least height of the mains over its neighbours and least share of the power; both are
        needed: a peak alone may stand on a component that is mostly brain.
    """

    ecg_locked: float = 0.2
    ecg_phase: float = 0.4
    log10_p: float = -4.0
    eog_correlation: float = 0.5
    eog_locked: float = 0.5
    eog_frontal: float = 0.4
    muscle_slope: float = -0.5
    muscle_spread: float = 0.15
    muscle_channels: float = 3.0
    line_db: float = 15.0
    line_share: float = 0.2


def verdict(scores: dict[str, float], thresholds: Thresholds) -> Verdict:
    """Return what a component with these scores is; the first rule that holds decides.

    Parameters
    ----------
    scores : dict
        Any of ecg_locked, ecg_phase, ecg_log10_p, eog_correlation, eog_locked, eog_frontal,
        muscle_slope, muscle_spread, muscle_channels, line_db, line_share; a missing or NaN
        score decides nothing.
    thresholds : Thresholds
    """
    t = thresholds

    def reaches(name: str, least: float) -> bool:
        return scores.get(name, np.nan) >= least

    def within(name: str, most: float) -> bool:
        return scores.get(name, np.nan) <= most

    locked = reaches("ecg_locked", t.ecg_locked) and reaches("ecg_phase", t.ecg_phase)
    if locked and within("ecg_log10_p", t.log10_p):
        return Verdict("ecg", _ecg_text(scores, t))
    if reaches("eog_correlation", t.eog_correlation):
        return Verdict("eog", _eog_text(scores, t))
    if reaches("eog_locked", t.eog_locked) and reaches("eog_frontal", t.eog_frontal):
        return Verdict("eog", _blink_text(scores, t))
    if reaches("line_db", t.line_db) and reaches("line_share", t.line_share):
        return Verdict("line", _line_text(scores, t))
    rises = reaches("muscle_slope", t.muscle_slope) and within("muscle_spread", t.muscle_spread)
    if rises and reaches("muscle_channels", t.muscle_channels):
        return Verdict("muscle", _muscle_text(scores, t))
    return Verdict("other", _nothing(scores, t))


def _ecg_text(s: dict[str, float], t: Thresholds) -> str:
    return (
        f"Follows the heartbeats: {s['ecg_locked']:.0%} of its 1-40 Hz power around them repeats "
        f"at every beat (threshold {t.ecg_locked:.0%}), Kuiper distance of its phases "
        f"{s['ecg_phase']:.2f} (threshold {t.ecg_phase:g})."
    )


def _eog_text(s: dict[str, float], t: Thresholds) -> str:
    return (
        f"Correlates with the EOG: r = {s['eog_correlation']:.2f} at 1-10 Hz "
        f"(threshold {t.eog_correlation:g})."
    )


def _blink_text(s: dict[str, float], t: Thresholds) -> str:
    return (
        f"Follows the blinks: {s['eog_locked']:.0%} of its 1-10 Hz power around them repeats "
        f"(threshold {t.eog_locked:.0%}), {s['eog_frontal']:.0%} of its field lies on the front "
        f"quarter of the sensors (threshold {t.eog_frontal:.0%})."
    )


def _line_text(s: dict[str, float], t: Thresholds) -> str:
    return (
        f"Mains stand {s['line_db']:.0f} dB above their neighbours (threshold {t.line_db:g} dB) "
        f"and make {s['line_share']:.0%} of its power (threshold {t.line_share:.0%})."
    )


def _muscle_text(s: dict[str, float], t: Thresholds) -> str:
    return (
        f"Looks like muscle: above 7 Hz its spectrum goes with exponent {s['muscle_slope']:.2f} "
        f"(threshold {t.muscle_slope:g}) and its field lies on {s['muscle_spread']:.0%} of the "
        f"sensors (threshold {t.muscle_spread:.0%})."
    )


def _nothing(s: dict[str, float], t: Thresholds) -> str:
    """Name the score that came nearest to its threshold."""
    near: Sequence[tuple[str, str, float]] = (
        ("heart", "ecg_locked", t.ecg_locked),
        ("eyes", "eog_correlation", t.eog_correlation),
        ("eyes", "eog_locked", t.eog_locked),
        ("mains", "line_share", t.line_share),
    )
    ratios = [
        (s[key] / least, label) for label, key, least in near if np.isfinite(s.get(key, np.nan))
    ]
    if not ratios:
        return "No score could be computed; kept."
    ratio, label = max(ratios)
    return f"No artifact: its nearest score, {label}, reaches {max(ratio, 0):.0%} of the threshold."
