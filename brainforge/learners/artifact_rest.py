"""The fields of heart and eyes where independent components do not hold them whole.

In a recording of a minute a field may be shared out among components that are mostly brain.
Then it goes as one direction of the whitened space that the separation works in: that of the
event-locked average at its main time course (Uusitalo and Ilmoniemi 1997, there among the
sensors). Whitened, it is a component like the others: of unit variance, uncorrelated with what
else is removed, seen by the filter that lets through least of the brain. It takes the place of
the one component that followed the events; beside several it stands for what they leave. How
much that is tells the product of the averages of even and odd events: noise has no part in it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.kernels.classify import Verdict
from brainforge.learners.artifact_averages import locked_halves
from brainforge.learners.artifact_separation import Separation
from brainforge.learners.artifact_ssp import PLANS
from brainforge.learners.traces import Index, Traces
from brainforge.result import Component

Floats = npt.NDArray[np.float64]

#: fewest events
FEWEST = 5
#: share of the average's power that may stay: 10 dB
MOST_LEFT = 0.1
#: least correlation of what even and odd events leave: noise has none
LEAST_AGREEMENT = 0.5
#: events used at most, evenly spread
MOST_EVENTS = 400


@dataclass(frozen=True)
class Rest:
    """Result of `locked_rest`.

    Parameters
    ----------
    part : Separation
        The further components alone.
    replaced : dict
        Index of a component that is kept now -> which of ``part`` takes its place.
    """

    part: Separation
    replaced: dict[int, int]


def locked_rest(
    part: Separation,
    scale: Floats,
    traces: Traces,
    sfreq: float,
    events: dict[str, Index],
    components: tuple[Component, ...],
) -> Rest:
    """Return the components that the event-locked averages need, and which they replace.

    Parameters
    ----------
    part : Separation
        Uncorrelated components of unit variance.
    scale : float64 array, axes (channel,)
        Makes channels of different kinds comparable.
    traces : Traces
        Time courses of the principal components, centred.
    sfreq : float
    events : dict
        "ecg" and "eog" -> columns of the events.
    components : tuple of Component
        The same components, judged.
    """
    fields = part.topographies / scale[:, None]
    products, unit = fields.T @ fields, np.eye(len(part.unmixing))
    out = [c.index for c in components if c.removed]
    found, replaced = np.zeros((len(unit), 0)), {}
    verdicts: list[Verdict] = []
    for kind in ("ecg", "eog"):
        halves, n = _averages(traces, events[kind], sfreq, kind)
        if n < FEWEST:
            continue
        halves = _at_course(part.unmixing @ halves, products)
        left, agreement = _left(halves, np.column_stack([unit[:, out], found]), products)
        if left <= MOST_LEFT or agreement <= LEAST_AGREEMENT:
            continue
        alone = [i for i in out if components[i].kind == kind]
        if len(alone) == 1:
            out.remove(alone[0])
            replaced[alone[0]] = len(verdicts)
        direction = _without(halves.mean(axis=0), np.column_stack([unit[:, out], found]))
        found = np.column_stack([found, direction / np.linalg.norm(direction)])
        verdicts.append(Verdict(kind, _reason(kind, n, min(left, 1.0))))
    fields = part.topographies @ found
    return Rest(Separation(found.T @ part.unmixing, fields, verdicts=tuple(verdicts)), replaced)


def kept_for(component: Component, other: int) -> Component:
    """Return a component that is kept because another, its index given, takes its place."""
    reason = f"{component.reason} Kept: component {other + 1} holds more of the same field."
    return replace(component, removed=False, reason=reason)


def _averages(traces: Traces, at: Index, sfreq: float, kind: str) -> tuple[Floats, int]:
    """Return averages of even and odd events, axes (even/odd, trace, lag), and their number."""
    _, _, lags, h_freq = PLANS[kind]
    if len(at) > MOST_EVENTS:
        at = at[np.linspace(0, len(at) - 1, MOST_EVENTS).astype(np.int64)]
    halves, counts = locked_halves(traces, at, sfreq, lags, h_freq)
    return halves, int(counts.sum())


def _at_course(halves: Floats, products: Floats) -> Floats:
    """Return each half's field at the average's main time course, axes (even/odd, component).

    The course is the one that holds most power over the channels.
    """
    values, vectors = np.linalg.eigh(products)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    course = np.linalg.svd(root @ halves.mean(axis=0), full_matrices=False)[2][0]
    return np.asarray(halves @ course, dtype=np.float64)


def _without(x: Floats, taken: Floats) -> Floats:
    """Return what of ``x``, axes (..., component), lies in none of the orthonormal directions."""
    return x - (x @ taken) @ taken.T


def _left(halves: Floats, taken: Floats, products: Floats) -> tuple[float, float]:
    """Return the share of the average's power that is left, and how well the halves agree on it."""
    whole = float(halves[0] @ products @ halves[1])
    rest = _without(halves, taken)
    both = rest @ products @ rest.T
    own = float(np.sqrt(both[0, 0] * both[1, 1]))
    if whole <= 0 or own <= 0:
        return 0.0, 0.0
    return float(both[0, 1]) / whole, float(both[0, 1]) / own


def _reason(kind: str, n: int, share: float) -> str:
    label = "heartbeat" if kind == "ecg" else "blink"
    return (
        f"Field of the {label}-locked average of {n} events: the independent components leave "
        f"{share:.0%} of its power (threshold {MOST_LEFT:.0%})."
    )
