"""Scores, kinds and pictures of components."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels import classify
from brainforge.kernels.band_limit import band_limit
from brainforge.kernels.classify import Thresholds, Verdict, verdict
from brainforge.kernels.event_locked import locked_share, phase_statistics
from brainforge.kernels.namespace import to_host
from brainforge.learners.artifact_events import BLINK_BAND, BLINK_LAGS
from brainforge.learners.traces import Index, Traces
from brainforge.result import Component

Floats = npt.NDArray[np.float64]

#: seconds around a heartbeat, and the band, in which a component has to repeat; the working
#: copy's own high-pass is the lower edge
HEART_LAGS, HEART_BAND = (-0.2, 0.4), (0.0, 40.0)
#: seconds of a component's excerpt, its band and its least rate
EXCERPT_S, EXCERPT_BAND, EXCERPT_RATE = 10.0, 40.0, 100.0


@dataclass(frozen=True)
class Fields:
    """Topographies with what is needed to judge them.

    Parameters
    ----------
    topographies : float64 array, axes (channel, component)
        Working units per unit variance of the component.
    scale : float64 array, axes (channel,)
        Makes channels of different kinds comparable.
    positions : float64 array, axes (channel, xyz)
        y to the nose.
    """

    topographies: Floats
    scale: Floats
    positions: Floats

    @property
    def scaled(self) -> Floats:
        """Topographies of comparable scale, axes (channel, component)."""
        return self.topographies / self.scale[:, None]


def component_scores(
    sources: Traces,
    info: Info,
    fields: Fields,
    events: dict[str, Index],
    spectra: tuple[Floats, Floats],
    n_threads: int = 1,
) -> list[dict[str, float]]:
    """Return each component's scores by name (see `brainforge.kernels.classify.verdict`).

    Parameters
    ----------
    sources : Traces
        Components and references.
    info : Info
    fields : Fields
    events : dict
        "ecg" and "eog" -> columns of the events.
    spectra : (freqs, psd)
    n_threads : int
    """
    sfreq, runs, x = info.sfreq, sources.runs, sources.x
    high = min(75.0, 0.9 * (info.lowpass or sfreq / 2), 0.45 * sfreq)
    columns: dict[str, Floats] = {
        "muscle_slope": classify.spectral_slope(*spectra, high=high, line_freq=info.line_freq),
        "muscle_spread": classify.focality(fields.scaled),
        "muscle_channels": classify.focality(fields.scaled) * len(fields.scaled),
        "eog_frontal": classify.frontal_share(fields.scaled, fields.positions),
    }
    if info.line_freq:
        top = min(info.lowpass or sfreq / 2, sfreq / 2)
        columns["line_db"] = classify.line_ratio_db(*spectra, info.line_freq, top)
        columns["line_share"] = classify.line_share(*spectra, info.line_freq)
    if len(events["ecg"]):
        phases = phase_statistics(x, events["ecg"], sfreq, runs=runs, n_threads=n_threads)
        columns["ecg_phase"], columns["ecg_log10_p"] = phases.distance, phases.log10_p
        columns["ecg_locked"] = locked_share(
            x, events["ecg"], sfreq, HEART_BAND, HEART_LAGS, runs=runs, n_threads=n_threads
        )
    if len(events["eog"]):
        columns["eog_locked"] = locked_share(
            x, events["eog"], sfreq, BLINK_BAND, BLINK_LAGS, runs=runs, n_threads=n_threads
        )
    eog = [n for n in sources.references if info.channel(n).kind == "eog"]
    if eog:
        columns["eog_correlation"] = np.max(
            [
                classify.reference_correlation(
                    x, sources.references[n][None, :], sfreq, runs=sources.reference_runs[n]
                )
                for n in eog
            ],
            axis=0,
        )
    return [{name: float(values[i]) for name, values in columns.items()} for i in range(x.shape[0])]


def describe(
    spectra: tuple[Floats, Floats],
    fields: Fields,
    scores: list[dict[str, float]],
    verdicts: list[Verdict],
    *,
    excerpts: Floats,
    remove: bool,
) -> tuple[Component, ...]:
    """Return the components of a result."""
    return tuple(
        Component(
            index=i,
            kind=what.kind,
            removed=remove and what.kind != "other",
            reason=what.reason,
            scores=scores[i],
            topography=fields.topographies[:, i],
            psd=spectra[1][i],
            excerpt=excerpts[i],
        )
        for i, what in enumerate(verdicts)
    )


def judge(scores: list[dict[str, float]], thresholds: Thresholds) -> list[Verdict]:
    """Return what each component is."""
    return [verdict(s, thresholds) for s in scores]


def excerpt_step(sfreq: float) -> int:
    """Return working samples per sample of an excerpt."""
    return max(int(sfreq // EXCERPT_RATE), 1)


def excerpts(sources: Traces, sfreq: float, events: Index) -> Floats:
    """Return up to 10 s of every component below 40 Hz, where most of the events lie.

    Parameters
    ----------
    sources : Traces
    sfreq : float
    events : int array
        Columns; without any the longest run's begin is taken.

    Returns
    -------
    float32 array, axes (component, sample)
    """
    length = int(EXCERPT_S * sfreq)
    longest = sources.runs[int(np.argmax(np.diff(sources.runs, axis=1)))]
    last = max(int(longest[1]) - length, int(longest[0]))
    begins = np.clip(np.asarray(events) - int(sfreq), longest[0], last)
    counts = [int(np.count_nonzero((events >= b) & (events < b + length))) for b in begins]
    begin = int(begins[int(np.argmax(counts))]) if counts else int(longest[0])
    part = sources.x[:, begin : min(begin + length, int(longest[1]))]
    limited = to_host(band_limit(part, sfreq, 0.0, EXCERPT_BAND))
    return limited[:, :: excerpt_step(sfreq)]
