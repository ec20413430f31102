"""Channel repair: replace bad channels by what the good ones say the brain would show there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.info import Info
from brainforge.kernels.interpolation import (
    brain_covariance,
    far_covariance,
    fit_sphere,
    repair_weights,
)
from brainforge.learners.coils import has_geometry, sensor_points
from brainforge.operator import Operator
from brainforge.units import MEG_KINDS, to_working

Floats = npt.NDArray[np.float64]

#: sources lie this many metres from the centre, and at most at this share of the helmet's radius
SOURCE_RADIUS = 0.07
SOURCE_SHARE = 0.7
#: power of homogeneous fields and of gradients over the brain's at a magnetometer
FAR_POWERS = (10.0, 1.0)
#: a channel's own noise over the brain's power in channels of its kind
NOISE_SHARE = {"mag": 0.03, "grad": 0.3}


def learn_repair(info: Info, bads: Iterable[str] = (), after: Operator | None = None) -> Operator:
    """Return the operator that replaces bad MEG channels, by geometry.

    Parameters
    ----------
    info : Info
        Channels it marks bad are bad here too.
    bads : iterable of str
    after : Operator | None
        The field correction that has been applied to the signal: the good channels then show
        this much of the brain only, and so will the repaired ones. None for an uncorrected
        signal.

    Returns
    -------
    Operator
        Over all MEG channels of ``info``. A bad channel's row holds weights of the good ones and
        its column is zero. Without geometry bad channels stay as they are. ``params`` has
        ``repaired`` and ``not_repaired`` names; the sentence says why.
    """
    names = info.names_of(*MEG_KINDS)
    bad = {n for n in names if n in set(bads) | set(info.bads)}
    placed = tuple(n for n in names if has_geometry(info.channel(n)))
    targets = tuple(n for n in placed if n in bad)
    if not bad:
        return _nothing(names, (), "No channel to repair")
    if not targets:
        why = "No bad channel repaired: positions and orientations are unknown"
        return _nothing(names, sorted(bad), why)
    good = np.array([n not in bad for n in placed])
    try:
        covariance, noise = _covariance(info, placed)
    except KernelInputError as error:
        return _nothing(names, sorted(bad), f"No bad channel repaired: {error}")
    if not good.any():
        return _nothing(names, sorted(bad), "No bad channel repaired: no good one is left")
    if after is not None:
        seen = after.expand([*after.names, *(n for n in placed if n not in set(after.names))])
        rows = seen.rows(placed)
        part = seen.matrix[np.ix_(rows, rows)]
        covariance = part @ covariance @ part.T
    matrix = np.eye(len(placed))
    matrix[~good] = 0.0
    matrix[np.ix_(~good, good)] = repair_weights(covariance, good, noise)
    left = sorted(bad - set(targets))
    text = f"{_listed(targets)} replaced by the estimate from {good.sum()} good channels"
    text += f"; {_listed(left)} without a known position as recorded" if left else ""
    operator = Operator(placed, matrix).expand(names)
    params = {"repaired": list(targets), "not_repaired": left}
    return Operator(names, operator.matrix, f"{text}.", params)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 5 else f"{len(names)} bad channels"


def _nothing(names: tuple[str, ...], left: Iterable[str], why: str) -> Operator:
    return Operator.identity(names, f"{why.rstrip('.')}.", repaired=[], not_repaired=list(left))


def _covariance(info: Info, names: tuple[str, ...]) -> tuple[Floats, Floats]:
    """Return the signal's covariance and each channel's noise variance, in working units.

    The brain's mean variance is 1 in magnetometers (in gradiometers where there are none).
    """
    sensors = sensor_points(info, names)
    kinds = np.array([info.channel(n).kind for n in names])
    origin, radius = fit_sphere(np.unique(info.positions(names), axis=0))
    brain = brain_covariance(sensors, origin, min(SOURCE_RADIUS, SOURCE_SHARE * radius))
    power = np.diagonal(brain)
    reference = kinds == "mag" if (kinds == "mag").any() else np.ones(len(kinds), dtype=bool)
    level = float(power[reference].mean())
    far = far_covariance(sensors, origin, tuple(level * p for p in FAR_POWERS))
    noise = np.zeros(len(names))
    for kind, share in NOISE_SHARE.items():
        if (kinds == kind).any():
            noise[kinds == kind] = share * power[kinds == kind].mean()
    scale = np.array([to_working(k) for k in kinds]) / to_working(kinds[reference][0])
    return (brain + far) * np.outer(scale, scale) / level, noise * scale**2 / level
