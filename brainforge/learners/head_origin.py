"""Where the centre of the head is: the origin of multipole expansions, in the device frame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from brainforge.archive.document import MNE_INFO
from brainforge.archive.mne_info import unpack
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.units import MEG_KINDS

Floats = npt.NDArray[np.float64]

#: where MNE looks for the centre of a head of which nothing else is known, metres, head frame
DEFAULT = (0.0, 0.0, 0.04)
#: FIFF kinds of digitised points: of the scalp, of EEG electrodes
_SCALP, _EEG, _HEAD_FRAME = 4, 3, 4
_LEAST_POINTS = 11
#: radii in metres that a head may have
_RADII = (0.05, 0.13)
#: metres that a head's centre may be from that of the helmet
_FARTHEST = 0.05


def head_origin(info: Info, given: Sequence[float] | None = None) -> tuple[Floats, str]:
    """Return the centre of the head in the device frame, and in words where it comes from.

    Parameters
    ----------
    info : Info
    given : sequence of 3 float | None
        Metres in the head frame (the device frame where no transform is known). None: the
        sphere that fits the digitised scalp, as MNE fits it; without such points (0, 0, 40 mm)
        of the head frame, where that is near the helmet's centre; else, and without a
        transform, the sphere that fits the sensors.

    Returns
    -------
    origin : float64 array, axes (xyz,)
        Metres, device frame.
    source : str

    Raises
    ------
    InputError
        Where ``given`` is not three finite numbers, or nothing is known to take a centre from.
    """
    if given is not None:
        origin = np.asarray(given, dtype=np.float64)
        if origin.shape != (3,) or not np.isfinite(origin).all():
            raise InputError(where="origin", expected="three finite metres", got=repr(given))
        return _to_device(info, origin), "given"
    if info.dev_head_t is not None:
        scalp = _scalp(info)
        if len(scalp) >= _LEAST_POINTS:
            centre, radius = fit_sphere(scalp)
            if _RADII[0] < radius < _RADII[1]:
                return _to_device(info, centre), "digitised scalp"
        usual = _to_device(info, np.array(DEFAULT))
        positions = _sensors(info)
        # a transform that was never measured would put the head beside the helmet
        if len(positions) < 4 or np.linalg.norm(usual - fit_sphere(positions)[0]) < _FARTHEST:
            return usual, "head frame"
    positions = _sensors(info)
    if len(positions) < 4:
        raise InputError(
            where="origin",
            expected="a transform to the head, or positions of sensors to fit a sphere to",
            got=f"{len(positions)} positions",
        )
    return fit_sphere(positions)[0], "sensors"


def fit_sphere(points: Floats) -> tuple[Floats, float]:
    """Return centre and radius of the sphere that fits points by linear least squares."""
    columns = np.concatenate([2 * points, np.ones((len(points), 1))], axis=1)
    found = np.linalg.lstsq(columns, (points**2).sum(axis=1), rcond=None)[0]
    centre: Floats = found[:3]
    return centre, float(np.sqrt(max(found[3] + centre @ centre, 0.0)))


def _to_device(info: Info, origin: Floats) -> Floats:
    if info.dev_head_t is None:
        return origin
    move = np.linalg.inv(np.array(info.dev_head_t, dtype=np.float64))
    return move[:3, :3] @ origin + move[:3, 3]


def _sensors(info: Info) -> Floats:
    positions = info.positions(info.names_of(*MEG_KINDS))
    return positions[np.isfinite(positions).all(axis=1)]


def _scalp(info: Info) -> Floats:
    """Return digitised points of the scalp above the face, metres, head frame."""
    packed = info.extra.get(MNE_INFO)
    points = unpack(packed)["dig"] if isinstance(packed, bytes) else None
    for kinds in ((_SCALP,), (_SCALP, _EEG)):
        found = [
            p["r"]
            for p in points or ()
            if int(p["kind"]) in kinds and int(p["coord_frame"]) == _HEAD_FRAME
        ]
        scalp = np.array(found, dtype=np.float64).reshape(-1, 3)
        scalp = scalp[(scalp[:, 2] >= 0) | (scalp[:, 1] <= 0)]
        if len(scalp) >= _LEAST_POINTS:
            break
    return scalp
