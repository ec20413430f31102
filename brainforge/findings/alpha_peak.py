"""Alpha peak: frequency of the highest 7-13 Hz peak over the back of the head, 1/f removed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.findings.aperiodic import Peak, SpectralFit, fit_spectrum, gaussians
from brainforge.findings.intervals import bootstrap_interval
from brainforge.findings.regions import regions
from brainforge.findings.sites import preferred_kind, sites_of
from brainforge.findings.wording import percent
from brainforge.info import Info
from brainforge.result import Spectra

Floats = npt.NDArray[np.float64]

#: where a peak is called alpha (Hz): the alpha band and 1 Hz below it, for slowed rhythms
SEARCH = (7.0, 13.0)
#: least height over the background, log10 power (0.1 is 26 %)
MIN_HEIGHT = 0.1
#: least height over the residual's standard deviation
MIN_OVER_RESIDUAL = 3.0
#: share of the sensors that have to show it too
MIN_SHARE = 0.3
_MIN_SITES = 3
METHOD = (
    "Median spectrum over occipital and parietal sites (all sites without geometry); 1/f "
    "background and Gaussian peaks fitted to log power at 2-40 Hz after Donoghue et al. 2020, "
    "Nat Neurosci 23:1655; highest point of the peaks in 7-13 Hz; interval: bootstrap of the "
    "median over sites' own peaks, at least one frequency bin wide"
)


def alpha_peak(
    spectra: Spectra, info: Info, *, evidence: tuple[float, float] | None = None
) -> Finding:
    """Find the alpha peak's frequency in Hz, or say why there is none.

    Parameters
    ----------
    spectra : Spectra
        ``after`` is used.
    info : Info
        Kinds, positions and bad channels.
    evidence : tuple of 2 float | None
        Stretch that the spectra rest on, s.
    """
    kind = preferred_kind(info, spectra.channel_names)
    if kind is None:
        return _abstain("There is no brain channel to look for a peak in.", evidence)
    sites = sites_of(info, spectra.channel_names, kind)
    power = sites.power(spectra.channel_names, spectra.after.T).T
    where = regions(info, sites.names)
    back = np.array([where.get(n) in ("occipital", "parietal") for n in sites.names])
    picked = back if back.sum() >= _MIN_SITES else np.ones(len(back), dtype=bool)
    chosen = power[picked & np.isfinite(power).any(axis=1)]
    region = "occipital and parietal" if picked is back else "all"
    step = float(np.median(np.diff(spectra.freqs))) if len(spectra.freqs) > 1 else np.inf
    if step > 1.0 or not len(chosen) or spectra.freqs[-1] < 30:
        return _abstain(
            "The spectra are too coarse or too narrow for an alpha peak: bins of 1 Hz or less "
            "up to 30 Hz are needed.",
            evidence,
        )
    with np.errstate(all="ignore"):
        fit = fit_spectrum(spectra.freqs, np.nanmedian(chosen, axis=0))
    return _judge(fit, chosen, np.asarray(spectra.freqs), step, region, evidence)


def _judge(
    fit: SpectralFit,
    chosen: Floats,
    freqs: Floats,
    step: float,
    region: str,
    evidence: tuple[float, float] | None,
) -> Finding:
    details: dict[str, Any] = {
        "exponent": fit.exponent,
        "offset": fit.offset,
        "residual_sd": fit.residual_sd,
    }
    details |= {
        "fit_range_hz": [float(fit.freqs[0]), float(fit.freqs[-1])],
        "sensors": region,
        "n_sites": len(chosen),
        "peaks": [{"centre": p.centre, "height": p.height, "sd": p.width} for p in fit.peaks],
        "freqs": fit.freqs.tolist(),
        "log_power": fit.log_power.tolist(),
        "log_background": fit.background.tolist(),
        "log_model": fit.model.tolist(),
    }
    best = _summit(fit)
    if best is None:
        text = f"No peak rises over the 1/f background between 7 and 13 Hz ({region} sensors)."
        return _abstain(text, evidence, details)
    need = max(MIN_HEIGHT, MIN_OVER_RESIDUAL * fit.residual_sd)
    if best.height < need:
        text = (
            f"The highest point between 7 and 13 Hz ({best.centre:.1f} Hz) stands only "
            f"{10 * best.height:.1f} dB over the 1/f background; {10 * need:.1f} dB are needed."
        )
        return _abstain(text, evidence, details)
    own, share = _site_peaks(chosen, freqs, fit, best)
    details |= {"height_db": 10 * best.height, "share_of_sites": share}
    if share < MIN_SHARE:
        text = (
            f"A peak at {best.centre:.1f} Hz shows at only {percent(share)} of the {region} "
            f"sensors; {percent(MIN_SHARE)} are needed."
        )
        return _abstain(text, evidence, details)
    return _found(best, own, step, region, evidence, details)


def _summit(fit: SpectralFit) -> Peak | None:
    """Return the highest point of all fitted peaks together inside the search range.

    Where the fit needs several Gaussians for one skewed peak, their sum has its top where
    the spectrum has it. None where the sum only rises towards the range's ends.
    """
    f = np.arange(SEARCH[0], SEARCH[1] + 1e-9, 0.01)
    total = gaussians(f, fit.peaks)
    inner = np.flatnonzero((total[1:-1] > total[:-2]) & (total[1:-1] >= total[2:])) + 1
    if not len(inner):
        return None
    top = inner[np.argmax(total[inner])]
    nearest = min(fit.peaks, key=lambda p: abs(p.centre - f[top]))
    return Peak(float(f[top]), float(total[top]), nearest.width)


def _found(
    best: Peak,
    own: Floats,
    step: float,
    region: str,
    evidence: tuple[float, float] | None,
    details: dict[str, Any],
) -> Finding:
    low, high = bootstrap_interval(own) or (best.centre, best.centre)
    interval = (min(low, best.centre - step / 2), max(high, best.centre + step / 2))
    text = (
        f"The alpha rhythm peaks at {best.centre:.1f} Hz over {region} sensors, "
        f"{10 * best.height:.1f} dB over the 1/f background."
    )
    return Finding(
        "alpha_peak",
        "Alpha peak",
        best.centre,
        "Hz",
        text,
        uncertainty=interval,
        evidence=evidence,
        details=details,
        method=METHOD,
    )


def _site_peaks(power: Floats, freqs: Floats, fit: SpectralFit, best: Peak) -> tuple[Floats, float]:
    """Return each site's own peak (Hz) within 2 Hz of the common one, and the share having one.

    Every site keeps the common exponent and gets its own offset (median of the flattened
    spectrum outside the peaks); its top bin is refined by a parabola.
    """
    use = np.isin(freqs, fit.freqs)
    f = freqs[use]
    with np.errstate(divide="ignore", invalid="ignore"):
        flat = np.log10(power[:, use]) + fit.exponent * np.log10(f)
    away = np.all([np.abs(f - p.centre) > 2 * p.width for p in fit.peaks], axis=0)
    flat = flat - np.nanmedian(flat[:, away] if away.sum() > 4 else flat, axis=1, keepdims=True)
    near = np.flatnonzero(np.abs(f - best.centre) <= 2.0)
    near = near[(near > 0) & (near < len(f) - 1)]
    top = near[np.argmax(np.nan_to_num(flat[:, near], nan=-np.inf), axis=1)]
    rows = np.arange(len(flat))
    left, mid, right = (flat[rows, top + d] for d in (-1, 0, 1))
    is_peak = (mid >= left) & (mid >= right) & (mid >= max(MIN_HEIGHT, 0.4 * best.height))
    with np.errstate(divide="ignore", invalid="ignore"):
        shift = 0.5 * (left - right) / (left - 2 * mid + right)
    shift = np.clip(np.nan_to_num(shift), -0.5, 0.5)
    centres = f[top] + shift * (f[1] - f[0])
    return centres[is_peak], float(is_peak.mean())


def _abstain(
    text: str,
    evidence: tuple[float, float] | None,
    details: dict[str, Any] | None = None,
) -> Finding:
    return Finding(
        "alpha_peak",
        "Alpha peak",
        None,
        "Hz",
        text,
        evidence=evidence,
        details=details or {},
        method=METHOD,
    )
