"""Multipole models of a recording's channels: signal space separation and adaptive multipoles."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.amm import ORDERS as AMM_ORDERS
from brainforge.kernels.amm import amm_basis, amm_split, fit_spheroid
from brainforge.kernels.field_split import FieldSplit
from brainforge.kernels.sss import ORDERS as SSS_ORDERS
from brainforge.kernels.sss import sss_basis, sss_split
from brainforge.learners.coils import has_geometry, sensor_points
from brainforge.learners.head_origin import head_origin
from brainforge.units import MEG_KINDS, to_working

_KINDS = {"sss": "Signal space separation", "amm": "Adaptive multipole model"}
MODELS = tuple(_KINDS)
#: inside fields are left out until the columns' condition number is under this
MAX_CONDITION = 1000.0


@dataclass(frozen=True)
class Multipoles:
    """A multipole model over named channels.

    Parameters
    ----------
    names : tuple of str
        MEG channels with geometry, in data order.
    split : FieldSplit
        Over these, working units.
    text : str
        What it is, for the report.
    params : dict
        JSON-ready: ``method``, ``orders``, ``n_inside``, ``n_outside``, ``condition``, and the
        ``origin`` in metres of the device frame with ``origin_from``; for adaptive multipoles
        also ``spheroid``: long axis and semi-axes.
    """

    names: tuple[str, ...]
    split: FieldSplit
    text: str
    params: dict[str, Any]


def learn_multipoles(
    info: Info,
    bads: Iterable[str] = (),
    model: str = "sss",
    *,
    orders: tuple[int, int] | None = None,
    origin: Sequence[float] | None = None,
    max_condition: float | None = MAX_CONDITION,
) -> Multipoles:
    """Return the multipole model of a recording's MEG channels.

    Parameters
    ----------
    info : Info
        Channels it marks bad are bad here too.
    bads : iterable of str
        Not fitted to; the model says what they should see.
    model : str
        ``"sss"``: signal space separation, spherical. ``"amm"``: adaptive multipoles on the
        spheroid that fits the sensors.
    orders : tuple of 2 int | None
        Highest degrees inside and outside; None for (8, 3) and (9, 2).
    origin : sequence of 3 float | None
        Of ``"sss"``: see `head_origin`.
    max_condition : float | None
        Of ``"sss"``: see `sss_split`; None for no limit.

    Returns
    -------
    Multipoles

    Raises
    ------
    InputError
        Where the model is unknown, or geometry or number of channels do not allow it.
    """
    if model not in MODELS:
        raise InputError(where="multipole model", expected=" or ".join(MODELS), got=repr(model))
    meg = info.names_of(*MEG_KINDS)
    names = tuple(n for n in meg if has_geometry(info.channel(n)))
    if not names or 2 * len(names) <= len(meg):
        raise InputError(
            where=f"field method {model}",
            expected="positions and orientations of the sensors",
            got=f"{len(names)} of {len(meg)} channels with both",
            fix="give them with --sensors, or use ssp or none",
        )
    bad = set(bads) | set(info.bads)
    good = np.array([n not in bad for n in names], dtype=bool)
    if model == "sss":
        orders = SSS_ORDERS if orders is None else orders
        split, params = _spherical(info, names, good, orders, origin, max_condition)
    else:
        orders = AMM_ORDERS if orders is None else orders
        split, params = _adaptive(info, names, good, orders)
    params |= {
        "method": model,
        "orders": list(orders),
        "n_inside": split.n_inside,
        "n_outside": split.n_outside,
        "condition": split.condition,
    }
    centre = ", ".join(f"{1000 * v:.0f}" for v in params["origin"])
    text = (
        f"{_KINDS[model]} of orders {orders[0]} inside and {orders[1]} outside around "
        f"({centre}) mm (from: {params['origin_from']}), fitted on {int(good.sum())} channels: "
        f"{split.n_inside} dimensions left"
    )
    return Multipoles(names, split, text, params)


def _spherical(
    info: Info,
    names: tuple[str, ...],
    good: npt.NDArray[np.bool_],
    orders: tuple[int, int],
    origin: Sequence[float] | None,
    max_condition: float | None,
) -> tuple[FieldSplit, dict[str, Any]]:
    centre, source = head_origin(info, origin)
    bases = sss_basis(sensor_points(info, names, area=True), centre, orders)
    inside, outside = (_scale(info, names) * basis for basis in bases)
    split = sss_split(inside, outside, good, max_condition)
    return split, {"origin": centre.tolist(), "origin_from": source}


def _adaptive(
    info: Info, names: tuple[str, ...], good: npt.NDArray[np.bool_], orders: tuple[int, int]
) -> tuple[FieldSplit, dict[str, Any]]:
    placed = info.positions(n for n, g in zip(names, good) if g)
    fitted = fit_spheroid(np.unique(placed, axis=0))
    bases = amm_basis(sensor_points(info, names, area=True), fitted, orders)
    inside, outside = (_scale(info, names) * basis for basis in bases)
    axes = {"axis": "xyz"[fitted.axis], "long": fitted.long, "short": fitted.short}
    params = {"origin": fitted.centre.tolist(), "origin_from": "sensors", "spheroid": axes}
    return amm_split(inside, outside, good), params


def _scale(info: Info, names: tuple[str, ...]) -> npt.NDArray[np.float64]:
    """Return what brings rows to working units, in which channels' noise is of one size."""
    return np.array([to_working(info.channel(n).kind) for n in names])[:, None]
