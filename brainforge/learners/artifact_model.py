"""What is learned about artifacts: the operator without them, and everything that says why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.learners.artifact_plan import Plan
from brainforge.learners.artifact_separation import Separation
from brainforge.operator import Operator
from brainforge.result import Artifacts, Component, EventTrain, Interval

Floats = npt.NDArray[np.float64]

KIND_WORDS = {"ecg": "heart", "eog": "eye", "muscle": "muscle", "line": "mains"}


@dataclass(frozen=True)
class ArtifactModel:
    """What `learn_artifacts` learned.

    Parameters
    ----------
    operator : Operator
        Takes the artifacts out of the field-corrected signal, over the names of the operator
        that was given; identity on channels that took no part.
    components : tuple of Component
        All that were fitted, the strongest fields first.
    ecg, eog : EventTrain
        Events found, without averages (see `locked_reduction`).
    method : str
        "ica", "ssp" or "none".
    channel_names : tuple of str
        Channels of the topographies.
    freqs : float64 array, axes (frequency,)
        Of the components' spectra, Hz.
    excerpt_sfreq : float
        Rate of the components' excerpts, Hz.
    variance_removed : float
        Share of the signal's variance (kinds scaled alike) that the operator takes out, 0..1.
    text : str
        Sentences for the report.
    n_independent : int
        How many of the components, the first ones, are independent components.
    """

    operator: Operator
    components: tuple[Component, ...]
    ecg: EventTrain
    eog: EventTrain
    method: str
    channel_names: tuple[str, ...]
    freqs: Floats
    excerpt_sfreq: float
    variance_removed: float
    text: str
    n_independent: int = 0

    @property
    def n_fitted(self) -> int:
        """Number of components fitted."""
        return len(self.components)

    def to_artifacts(
        self,
        ecg: EventTrain | None = None,
        eog: EventTrain | None = None,
        muscle: tuple[Interval, ...] = (),
    ) -> Artifacts:
        """Return the part of a Result; event trains with reductions take the place of ours."""
        return Artifacts(
            method=self.method,
            channel_names=self.channel_names,
            ecg=ecg or self.ecg,
            eog=eog or self.eog,
            components=self.components,
            freqs=self.freqs,
            excerpt_sfreq=self.excerpt_sfreq,
            n_fitted=self.n_fitted,
            muscle=muscle,
            text=self.text,
        )


def earlier(model: ArtifactModel | None, plan: Plan) -> Floats | None:
    """Return topographies of an earlier model's independent components over a plan's channels.

    Axes (channel of the plan, component); channels that took no part then have zeros. None where
    there is no such model or it has no independent components.
    """
    if model is None or not model.n_independent:
        return None
    at = {name: row for row, name in enumerate(model.channel_names)}
    both = [(i, at[name]) for i, name in enumerate(plan.names) if name in at]
    fields = np.column_stack([c.topography for c in model.components[: model.n_independent]])
    out = np.zeros((len(plan.names), fields.shape[1]))
    rows, old = np.array(both, dtype=np.int64).reshape(-1, 2).T
    out[rows] = fields[old]
    return out


def removal(
    plan: Plan, unmixing: Floats, topographies: Floats, components: tuple[Component, ...]
) -> Operator:
    """Return the operator over the good channels that takes the removed components out.

    Parameters
    ----------
    plan : Plan
    unmixing : float64 array, axes (component, principal component)
    topographies : float64 array, axes (channel, component)
    components : tuple of Component
    """
    out = [c.index for c in components if c.removed]
    scale, covariance = plan.white.scale, plan.covariance
    keep = np.eye(len(plan.names))
    keep -= topographies[:, out] @ unmixing[out] @ plan.white.whitener
    rows = keep / scale[:, None]
    share = 1 - np.sum((rows @ covariance) * rows) / np.sum(np.diag(covariance) / scale**2)
    counts = {k: sum(c.kind == k for c in components if c.removed) for k in KIND_WORDS}
    return Operator(
        plan.names,
        keep,
        f"removed {listed(counts)} ({plan.method.upper()})" if out else "no component removed",
        {"method": plan.method, "removed": counts, "variance_removed": float(share)},
    )


def listed(counts: dict[str, int]) -> str:
    """Return counts by kind in words: "2 heart and 1 eye components"; empty where none."""
    some = [f"{n} {KIND_WORDS[k]}" for k, n in counts.items() if n]
    if not some:
        return ""
    words = " and ".join([", ".join(some[:-1]), some[-1]] if len(some) > 1 else some)
    return f"{words} component{'s' if sum(counts.values()) > 1 else ''}"


def sentences(plan: Plan, part: Separation, operator: Operator) -> str:
    """Return what was done, for the report."""
    channels = f"{len(plan.names)} channels (rank {plan.white.rank}), {plan.n_samples:,} samples"
    if plan.method == "ica":
        how = (
            f"Independent component analysis of {channels}: {part.n_fitted} components holding "
            f"{plan.white.explained:.0%} of the variance; {part.note}."
        )
    elif plan.method == "ssp":
        how = (
            f"Signal-space vectors of the event-locked averages ({channels}; {plan.reason}): "
            f"{len(part.verdicts)} in all."
        )
    else:
        return f"No component removed from {channels}: {plan.reason}."
    words = listed(operator.params["removed"])
    if plan.method == "ica" and part.verdicts:
        kinds = [v.kind for v in part.verdicts]
        made = listed({k: kinds.count(k) for k in KIND_WORDS})
        how += (
            f" Beyond these, {made} made from the event-locked averages, of which the "
            "independent ones leave too much."
        )
    if not words:
        return f"{how} No component was removed."
    share = operator.params["variance_removed"]
    return f"{how} Removed {words}, {share:.1%} of the signal's variance."
