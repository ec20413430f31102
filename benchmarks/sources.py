"""Independent components of the working signal, the same for both sides of ECG and EOG."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.material import Material
from benchmarks.stages.ica import GRADIENT_SHARE, N_COMPONENTS, peer_ica
from brainforge.learners.artifact_plan import make_plan, with_method
from brainforge.learners.artifact_separation import separate, sources_of
from brainforge.learners.traces import Traces, project
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe


@dataclass(frozen=True)
class Sources:
    """Components of unit variance, with what else the product's search asks for.

    Parameters
    ----------
    traces : Traces
    topographies : float64 array, axes (channel, component)
        Of unit noise in every channel.
    """

    traces: Traces
    topographies: npt.NDArray[np.float64]


def n_components(material: Material) -> int:
    """Return how many components are fitted."""
    return min(N_COMPONENTS, material.n_channels // 2)


def tolerance(material: Material) -> float:
    """Return the gradient at which both sides stop."""
    return GRADIENT_SHARE / float(np.sqrt(material.working.shape[1]))


def our_sources(material: Material) -> Sources:
    """Return the product's components."""
    info, params = material.working_info, ArtifactRecipe(max_components=n_components(material))
    plan = make_plan(
        material.working_copy, Operator.identity(info.names), info, params.max_components, None
    )
    traces = project(material.working_copy, plan.names, plan.matrix, n_threads=2)
    plan = with_method(plan, params, traces.n_columns)
    x = traces.x[: len(plan.white.whitener)]
    x -= x.mean(axis=1, keepdims=True)
    traces = replace(traces, x=x)
    part = separate(plan, traces, 2)
    return Sources(sources_of(part, traces, 2), part.topographies / plan.white.scale[:, None])


def peer_sources(material: Material) -> Any:
    """Return MNE's fitted decomposition."""
    ica = peer_ica(n_components(material), tolerance(material))
    return ica.fit(material.working_raw, verbose="error")


def frontal_channel(material: Material) -> str:
    """Return the channel that lies foremost: there is no EOG channel."""
    info = material.working_info
    return info.names[int(np.argmax(info.positions(info.names)[:, 1]))]
