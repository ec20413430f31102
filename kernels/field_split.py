"""FieldSplit: what channels see, as a part from inside the array, one from outside and the rest.

A multipole model of either kind (`brainforge.kernels.sss`, `brainforge.kernels.amm`) becomes an
orthonormal frame over the good channels. Coefficients of the frame are least squares over the
channels that can be believed at a sample, so a masked channel drops out without a new model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

#: of the frame's information that channels which are left must keep in every direction
LEAST_INFORMATION = 1e-6


@dataclass(frozen=True, eq=False)
class FieldSplit:
    """A model of fields from inside and from outside, over the good channels of an array.

    Parameters
    ----------
    frame : float64 array, axes (channel, dimension)
        Orthonormal over the good channels, spans inside and outside together; zero for bad ones.
    inner : float64 array, axes (inside, dimension)
        From coefficients of the frame to coordinates of the inside part.
    out : float64 array, axes (channel, inside)
        From these coordinates to what every channel, good or bad, sees of the inside part.
    good : bool array, axes (channel,)
    condition : float
        Condition number of the model's columns, each at unit norm over the good channels.
    """

    frame: Floats
    inner: Floats
    out: Floats
    good: Bools
    condition: float

    @property
    def n_inside(self) -> int:
        """Dimensions of the inside part: the rank of what is left."""
        return len(self.inner)

    @property
    def n_outside(self) -> int:
        """Dimensions that are taken for interference."""
        return self.frame.shape[1] - len(self.inner)

    @property
    def n_residual(self) -> int:
        """Dimensions of good channels that neither part explains."""
        return int(np.count_nonzero(self.good)) - self.frame.shape[1]

    def matrix(self) -> Floats:
        """Return the map from all channels to the inside part, axes (channel, channel).

        Columns of bad channels are zero: they reach no other, and their own rows say what the
        good channels make them see.
        """
        return self.out @ self.inner @ self.frame.T

    def coefficients(self, use: Bools | None = None) -> Floats | None:
        """Return the map from channels to coefficients of the frame, by least squares.

        Parameters
        ----------
        use : bool array, axes (channel,) | None
            Channels to believe, good ones only; None for all good ones.

        Returns
        -------
        float64 array, axes (dimension, channel) | None
            None where these channels leave some direction undetermined.
        """
        if use is None:
            return self.frame.T.copy()
        kept = np.asarray(use) & self.good
        left, lost = self.frame[kept], self.frame[self.good & ~kept]
        # the frame is orthonormal over all good channels: left^T left = 1 - lost^T lost, and
        # its inverse follows from the few channels that are lost
        overlap = lost @ lost.T if len(lost) < lost.shape[1] else lost.T @ lost
        if np.linalg.eigvalsh(overlap).max(initial=0.0) > 1 - LEAST_INFORMATION:
            return None
        found = np.zeros(self.frame.T.shape)
        rest = np.eye(len(overlap)) - overlap
        if len(lost) < lost.shape[1]:
            found[:, kept] = left.T + lost.T @ np.linalg.solve(rest, lost @ left.T)
        else:
            found[:, kept] = np.linalg.solve(rest, left.T)
        return found


def checked_good(good: npt.ArrayLike | None, n_channels: int) -> Bools:
    """Return ``good`` as booleans, all True for None.

    Raises
    ------
    KernelInputError
        Where its shape is another.
    """
    if good is None:
        return np.ones(n_channels, dtype=bool)
    flags = np.asarray(good, dtype=bool)
    if flags.shape != (n_channels,):
        raise KernelInputError(
            where="good", expected=f"shape {(n_channels,)}", got=f"{flags.shape}"
        )
    return flags


def seen_columns(fields: Floats, seen: Floats, directions: Floats) -> Bools:
    """Return which fields channels see more of than rounding.

    Parameters
    ----------
    fields : float64 array, axes (point, xyz, field)
    seen : float64 array, axes (channel, field)
        What the channels make of them (`SensorPoints.measure`).
    directions : float64 array, axes (point, xyz)

    Returns
    -------
    bool array, axes (field,)
    """
    strength = np.linalg.norm(directions, axis=1)[:, None] * np.linalg.norm(fields, axis=1)
    return np.linalg.norm(seen, axis=0) > 1e-10 * np.linalg.norm(strength, axis=0)
