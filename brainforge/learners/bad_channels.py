"""Which channels are bad, and the evidence in a sentence for each.

Magnetometers and gradiometers are judged apart: what is normal differs. The order is that of
what can spoil the next judgement: flat, railed and non-finite channels first, then noisy ones,
then gains against the others' prediction, then channels that share nothing with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.kernels.bad_channels import (
    balanced_covariance,
    gain_courses,
    gain_drift,
    lof_scores,
    prediction,
    robust_z,
    strongest_correlation,
)
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.measures.gram import GramResult
from brainforge.measures.raw_quality import RawQuality
from brainforge.result import BadChannel
from brainforge.units import MEG_KINDS, working_unit

Floats = npt.NDArray[np.float64]

#: points of a gain's course at most; more cost time and tell nothing new
MOST_CHUNKS = 60

KIND_NAMES = {"mag": "magnetometers", "grad": "gradiometers"}
_RAW_KINDS = (*MEG_KINDS, "ref_mag", "ref_grad", "eeg")


@dataclass(frozen=True)
class BadChannelParams:
    """Thresholds of `find_bad_channels`.

    Parameters
    ----------
    flat_seconds : float
        Longest run of equal samples that a living channel may have.
    flat_ratio : float
        Signal over the kind's median below which a channel is flat.
    railed_share, non_finite_share : float
        Share of samples.
    noise_ratio : float
        Noise over the kind's median: the part that the other channels do not predict, or the
        differences of neighbouring raw samples.
    noise_z : float
        And its distance from the kind's median in robust standard deviations of the logarithm.
    drift : float
        Change of gain over the recording. Channels that lose a fifth have to be found, so the
        threshold lies under that by more than the estimate errs (a fiftieth or two).
    drift_p : float
        Chance at most of such a course in a stable channel.
    drift_unexplained : float
        Gain is judged where the others predict all but this share of the variance.
    correlation : float
        Mean of the five largest absolute correlations; at most two fifths of the median.
    lof : float
        Local outlier factor over 20 neighbours.
    min_channels : int
        Of a kind, for judging channels against each other.
    """

    flat_seconds: float = 1.0
    flat_ratio: float = 0.01
    railed_share: float = 0.001
    non_finite_share: float = 0.01
    noise_ratio: float = 3.5
    noise_z: float = 5.0
    drift: float = 0.12
    drift_p: float = 1e-6
    drift_unexplained: float = 0.3
    correlation: float = 0.15
    lof: float = 4.0
    min_channels: int = 8


DEFAULTS = BadChannelParams()


def find_bad_channels(
    info: Info,
    raw_quality: RawQuality,
    gram: GramResult,
    params: BadChannelParams = DEFAULTS,
    *,
    n_threads: int = 1,
) -> tuple[BadChannel, ...]:
    """Return the bad channels with their evidence, in the order of ``info``.

    Parameters
    ----------
    info : Info
        Channels it marks bad are returned as ``marked`` and kept out of every judgement.
    raw_quality : RawQuality
        Of the source; its channels are joined by name.
    gram : GramResult
        Of the working signal.
    params : BadChannelParams
    n_threads : int
    """
    gram = gram.coarse(MOST_CHUNKS)
    found = {
        c.name: BadChannel(c.name, "marked", "Marked bad in the recording or by the user.", 1, 1)
        for c in info.channels
        if c.bad
    }
    for bad in _unlike_signals(info, raw_quality, params):
        found.setdefault(bad.name, bad)
    drifting = partial(_drifting, n_threads=n_threads)
    with single_threaded_blas():
        for kind in MEG_KINDS:
            for judge in (_flat, _noisy, drifting, _uncorrelated, _outlying):
                # a bad channel hides lesser ones: look again until nothing more is found
                while new := _judge(judge, kind, info, raw_quality, gram, params, found):
                    found.update({bad.name: bad for bad in new})
    return tuple(found[n] for n in info.names if n in found)


@dataclass(frozen=True)
class _Group:
    """The channels of one kind not found bad so far; ``rows`` are those in the Gram matrix."""

    kind: str
    names: tuple[str, ...]
    rows: npt.NDArray[np.intp]
    covariance: Floats
    differences: Floats
    gram: GramResult
    params: BadChannelParams

    @property
    def unit(self) -> str:
        return working_unit(self.kind)

    @property
    def all(self) -> str:
        return f"{len(self.names)} {KIND_NAMES[self.kind]}"


Judge = Callable[[_Group], list[BadChannel]]


def _judge(
    judge: Judge,
    kind: str,
    info: Info,
    raw_quality: RawQuality,
    gram: GramResult,
    params: BadChannelParams,
    found: dict[str, BadChannel],
) -> list[BadChannel]:
    known = set(gram.names) & set(raw_quality.names)
    names = tuple(n for n in info.names_of(kind) if n in known and n not in found)
    if len(names) < params.min_channels:
        return []
    rows = gram.rows(names)
    at = {n: i for i, n in enumerate(raw_quality.names)}
    differences = raw_quality.statistics.difference_rms()[[at[n] for n in names]]
    differences = differences * np.array([abs(info.channel(n).working_cal) for n in names])
    covariance = gram.covariance[np.ix_(rows, rows)]
    return judge(_Group(kind, names, rows, covariance, differences, gram, params))


def _unlike_signals(
    info: Info, raw_quality: RawQuality, params: BadChannelParams
) -> Iterator[BadChannel]:
    """Yield flat, railed and non-finite channels of every kind, by their raw samples alone."""
    s = raw_quality.statistics
    railed, lost = raw_quality.share("railed"), raw_quality.share("non_finite")
    flat = s.flat_run / raw_quality.sfreq
    judged = {c.name for c in info.channels if c.kind in _RAW_KINDS}
    for i, name in enumerate(raw_quality.names):
        if name not in judged:
            continue
        constant = s.n[i] > 0 and s.lowest[i] == s.highest[i]
        if lost[i] > params.non_finite_share:
            text = f"{100 * lost[i]:.2f} % of its samples are not finite numbers"
            yield _bad(name, "non_finite", text, 100 * lost[i], 100 * params.non_finite_share, "%")
        elif railed[i] > params.railed_share and not constant:
            text = f"{100 * railed[i]:.2f} % of its samples are at the limit of its range"
            yield _bad(name, "railed", text, 100 * railed[i], 100 * params.railed_share, "%")
        elif constant or flat[i] > params.flat_seconds:
            text = f"it holds one value for {flat[i]:.2f} s"
            text = "all its samples are equal" if constant else text
            yield _bad(name, "flat", text, flat[i], params.flat_seconds, "s")


def _flat(g: _Group) -> list[BadChannel]:
    rms = np.sqrt(np.diagonal(g.covariance))
    limit = g.params.flat_ratio * float(np.median(rms))
    return [
        _bad(
            g.names[i],
            "flat",
            f"its signal has {rms[i]:.3g} {g.unit} RMS, the median of {g.all} is "
            f"{np.median(rms):.3g}",
            rms[i],
            limit,
            g.unit,
        )
        for i in np.flatnonzero((rms < limit) | (rms == 0))
    ]


def _noisy(g: _Group) -> list[BadChannel]:
    """Judge what the other channels do not predict, and the raw samples' differences."""
    _, unexplained = prediction(g.covariance, _ridge(g))
    noise = np.sqrt(np.diagonal(g.covariance) * unexplained)
    out: dict[int, BadChannel] = {}
    for what, values in (
        ("what the other channels do not predict of it", noise),
        ("the difference between its neighbouring raw samples", g.differences),
    ):
        middle = float(np.median(values))
        if middle <= 0:
            continue
        z = robust_z(np.log(np.maximum(values, 1e-6 * middle)), floor=0.02)
        limit = g.params.noise_ratio * middle
        for i in np.flatnonzero((values >= limit) & (z >= g.params.noise_z)):
            text = (
                f"{what} is {values[i]:.3g} {g.unit} RMS, {values[i] / middle:.1f} times the "
                f"median of {g.all}"
            )
            out.setdefault(int(i), _bad(g.names[i], "noisy", text, values[i], limit, g.unit))
    return list(out.values())


def _drifting(g: _Group, n_threads: int) -> list[BadChannel]:
    """Judge gains; return the worst only, since it pulls at the others' predictions."""
    chunks = g.gram.chunks[:, g.rows[:, None], g.rows]
    samples = g.gram.n_samples[:, g.rows].astype(np.float64)
    balanced = balanced_covariance(chunks)
    if not (np.diagonal(balanced) > 0).all():
        return []
    weights, unexplained = prediction(balanced, _ridge(g))
    middle = g.gram.starts + g.gram.n_samples.max(axis=1) / 2
    drift = gain_drift(
        gain_courses(chunks, weights, n_threads=n_threads), samples, middle / g.gram.sfreq
    )
    judged = (unexplained <= g.params.drift_unexplained) & (drift.p_value <= g.params.drift_p)
    change = np.where(judged, np.nan_to_num(drift.change), 0.0)
    worst = int(np.argmax(change))
    if change[worst] < g.params.drift:
        return []
    percent = 100 * float(change[worst])
    text = f"its gain against what the other channels predict changes by {percent:.0f} %"
    return [_bad(g.names[worst], "gain_drift", text, percent, 100 * g.params.drift, "%")]


def _uncorrelated(g: _Group) -> list[BadChannel]:
    strength = strongest_correlation(g.covariance)
    middle = float(np.median(strength))
    limit = min(g.params.correlation, 0.4 * middle)
    return [
        _bad(
            g.names[i],
            "uncorrelated",
            f"its five largest correlations average {strength[i]:.2f}, the median of {g.all} is "
            f"{middle:.2f}",
            strength[i],
            limit,
        )
        for i in np.flatnonzero(strength < limit)
    ]


def _outlying(g: _Group) -> list[BadChannel]:
    scores = lof_scores(g.covariance)
    return [
        _bad(
            g.names[i],
            "outlier",
            f"its local outlier factor among {g.all} is {scores[i]:.2f}",
            scores[i],
            g.params.lof,
        )
        for i in np.flatnonzero(scores > g.params.lof)
    ]


def _ridge(g: _Group) -> float:
    """Return the ridge: more of it where samples are few for so many predictors."""
    n_samples = max(float(np.median(np.diagonal(g.gram.total.counts)[g.rows])), 1.0)
    return 1e-3 + 0.05 * len(g.names) / n_samples


def _bad(
    name: str, reason: str, text: str, value: float, threshold: float, unit: str = ""
) -> BadChannel:
    sentence = f"{text[0].upper()}{text[1:]} (threshold {threshold:.3g}{' ' * bool(unit)}{unit})."
    return BadChannel(name, reason, sentence, float(value), float(threshold), unit)
