"""Field correction: take interference from far away off, by geometry or by known topographies."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.hfc import hfc_basis, hfc_operator, n_harmonics
from brainforge.kernels.ssp import ssp_projector
from brainforge.learners.coils import (
    has_geometry,
    is_axial_gradiometer,
    is_planar,
    sensor_points,
)
from brainforge.learners.multipole import MODELS, learn_multipoles
from brainforge.operator import Operator
from brainforge.units import MEG_KINDS, to_working

METHODS = ("auto", "hfc", "ssp", "sss", "amm", "none")

#: good channels for every field that is fitted, where the order is chosen here
CHANNELS_PER_FIELD = 4


def learn_field_correction(
    info: Info, bads: Iterable[str] = (), method: str = "auto", order: int = 1
) -> Operator:
    """Return the operator that takes interference off the MEG channels.

    Parameters
    ----------
    info : Info
        Channels it marks bad are bad here too.
    bads : iterable of str
        Kept out of the fit: none of them reaches another channel.
    method : str
        ``"hfc"``: harmonic field correction by geometry. ``"ssp"``: the recording's own
        projectors. ``"sss"``: signal space separation, ``"amm"``: adaptive multipole models, of
        the papers' orders (`learn_multipoles`). ``"none"``: nothing. ``"auto"``: the recording's
        projectors for planar gradiometers, nothing for axial ones (references do that better),
        harmonic field correction for magnetometers, of at most ``order`` and less where
        channels are few.
    order : int
        Of ``"hfc"``. 1: homogeneous fields, 2: gradients too, 3: second derivatives too.

    Returns
    -------
    Operator
        Over all MEG channels of ``info``, working units. The row of a bad channel takes off the
        field that the good ones show. ``params`` has
        ``method``, ``n_removed``, ``n_good`` and, over the good channels, ``rank``; for the
        multipole models also their orders, origin and condition. The multipole models replace
        a bad channel by what the good ones say.

    Raises
    ------
    InputError
        Where a method asked for by name cannot be done.
    """
    if method not in METHODS:
        raise InputError(where="field method", expected=" or ".join(METHODS), got=repr(method))
    names = info.names_of(*MEG_KINDS)
    bad = set(bads) | set(info.bads)
    good = np.array([n not in bad for n in names], dtype=bool)
    if method == "hfc":
        return _hfc(info, names, good, order)
    if method == "ssp":
        return _ssp(info, names, good)
    if method in MODELS:
        return _multipoles(info, names, good, method)
    if method == "none":
        return _nothing(names, good, "Field correction was not asked for")
    return _auto(info, names, good, order)


def _auto(info: Info, names: tuple[str, ...], good: npt.NDArray[np.bool_], order: int) -> Operator:
    channels = [info.channel(n) for n, g in zip(names, good) if g]
    if any(is_planar(c) or c.kind == "grad" for c in channels):
        if any(set(p.names) & set(names) for p in info.projs):
            return _ssp(info, names, good)
        return _nothing(names, good, "No field correction: the recording has no projectors")
    placed = [c for c in channels if has_geometry(c)]
    if 2 * len(placed) <= len(channels):
        return _nothing(
            names, good, "No field correction: positions and orientations of sensors are unknown"
        )
    if any(is_axial_gradiometer(c) for c in placed):
        return _nothing(
            names, good, "No field correction by geometry: axial gradiometers hardly see far fields"
        )
    while order > 1 and CHANNELS_PER_FIELD * n_harmonics(order) > len(placed):
        order -= 1
    if CHANNELS_PER_FIELD * n_harmonics(order) > len(placed):
        return _nothing(
            names, good, f"No field correction: {len(placed)} good sensors are too few for it"
        )
    return _hfc(info, names, good, order)


def _hfc(info: Info, names: tuple[str, ...], good: npt.NDArray[np.bool_], order: int) -> Operator:
    placed = tuple(n for n in names if has_geometry(info.channel(n)))
    basis = hfc_basis(sensor_points(info, placed), order) if placed else np.zeros((0, 3))
    use = np.array([g for n, g in zip(names, good) if n in set(placed)], dtype=bool)
    scale = np.array([to_working(info.channel(n).kind) for n in placed])
    matrix, n_removed = hfc_operator(scale[:, None] * basis / max(scale.max(initial=1), 1), use)
    n_fit = int(np.count_nonzero(use))
    text = (
        f"Harmonic field correction of order {order} fitted on {n_fit} channels: "
        f"{n_removed} dimensions removed"
    )
    operator = Operator(placed, matrix).expand(names)
    return _described(operator, text, good, n_removed, method="hfc", order=order)


def _ssp(info: Info, names: tuple[str, ...], good: npt.NDArray[np.bool_]) -> Operator:
    index = {n: i for i, n in enumerate(names)}
    rows = []
    for projector in info.projs:
        shared = [(i, index[n]) for i, n in enumerate(projector.names) if n in index]
        for vector in projector.vectors if shared else ():
            row = np.zeros(len(names))
            row[[j for _, j in shared]] = [vector[i] for i, _ in shared]
            rows.append(row)
    if not rows:
        raise InputError(
            where="field method",
            expected="projectors in the recording for ssp",
            got="none",
            fix="use hfc, auto or none",
        )
    matrix, n_removed = ssp_projector(np.array(rows), good)
    # the vectors are for SI units: the same map between working units
    scale = np.array([to_working(info.channel(n).kind) for n in names])
    operator = Operator(names, scale[:, None] * matrix / scale[None, :])
    text = f"Signal-space projection with the recording's vectors: {n_removed} dimensions removed"
    return _described(operator, text, good, n_removed, method="ssp")


def _multipoles(
    info: Info, names: tuple[str, ...], good: npt.NDArray[np.bool_], method: str
) -> Operator:
    bads = [n for n, g in zip(names, good) if not g]
    found = learn_multipoles(info, bads, method)
    operator = Operator(found.names, found.split.matrix()).expand(names)
    n_removed = int(np.count_nonzero(found.split.good)) - found.split.n_inside
    return _described(operator, found.text, good, n_removed, **found.params)


def _nothing(names: tuple[str, ...], good: npt.NDArray[np.bool_], why: str) -> Operator:
    return _described(Operator.identity(names), why, good, 0, method="none")


def _described(
    operator: Operator, text: str, good: npt.NDArray[np.bool_], n_removed: int, **params: object
) -> Operator:
    n_good = int(np.count_nonzero(good))
    params |= {"n_removed": n_removed, "n_good": n_good, "rank": n_good - n_removed}
    return Operator(operator.names, operator.matrix, f"{text}.", params)
