"""Real solid harmonics: the magnetic fields of sources far outside and of sources inside.

Where no current flows a magnetic field is the gradient of a potential that solves Laplace's
equation. Regular solid harmonics span what comes from outside the array, irregular ones what
comes from inside a sphere around the origin.

With R(l, m) = r^l P(l, m)(cos theta) exp(i m phi) / (l + m)!, without the Condon-Shortley sign,
derivatives are harmonics of one degree less: d/dz R(l, m) = R(l-1, m),
(d/dx + i d/dy) R(l, m) = -R(l-1, m+1), (d/dx - i d/dy) R(l, m) = R(l-1, m-1).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.special import gamma

from brainforge.errors import KernelInputError

Floats = npt.NDArray[np.float64]
Complex = npt.NDArray[np.complex128]


def n_harmonics(degree: int) -> int:
    """Return the number of harmonics of degrees 1 to ``degree``: 3, 8, 15, ..."""
    return degree * (degree + 2)


def regular_fields(points: Floats, degree: int) -> Floats:
    """Return gradients of the real regular solid harmonics of degrees 1 to ``degree``.

    Parameters
    ----------
    points : float64 array, axes (point, xyz)
        In any unit of length; of order one for high degrees.
    degree : int
        At least 1.

    Returns
    -------
    float64 array, axes (point, xyz, harmonic)
        Harmonics by degree, within it order 0 and then real and imaginary parts of orders 1 to
        the degree, orthonormal over the unit sphere. Those of degree 1 are homogeneous fields,
        those of degree 2 constant gradients.
    """
    values = _solid_harmonics(_points(points), _degree(degree))
    parts = [_real(_gradient(values, deg) * _norms(deg)) for deg in range(1, degree + 1)]
    return np.concatenate(parts, axis=-1)


def irregular_fields(points: Floats, degree: int) -> Floats:
    """Return gradients of the real irregular solid harmonics, R(l, m) / r^(2l+1).

    Parameters and result as for `regular_fields`; ``points`` must be away from the origin.
    """
    points = _points(points)
    radius = np.linalg.norm(points, axis=1)
    if (radius == 0).any():
        raise KernelInputError(
            where="points", expected="points away from the origin", got="the origin"
        )
    values = _solid_harmonics(points, _degree(degree))
    out = []
    for deg in range(1, degree + 1):
        power = radius ** -(2.0 * deg + 1)
        along = (2 * deg + 1) * points / radius[:, None] ** 2
        gradient = _gradient(values, deg) - along[:, :, None] * values[deg][:, None, :]
        out.append(_real(power[:, None, None] * gradient * _norms(deg)))
    return np.concatenate(out, axis=-1)


def _solid_harmonics(points: Floats, degree: int) -> list[Complex]:
    """Return R(deg, m) for every deg, each with axes (point, m = 0..deg)."""
    x, y, z = points.T
    square = x**2 + y**2 + z**2
    values = [np.ones((len(points), 1), dtype=np.complex128)]
    for deg in range(1, degree + 1):
        row = np.zeros((len(points), deg + 1), dtype=np.complex128)
        row[:, deg] = (x + 1j * y) * values[deg - 1][:, deg - 1] / (2 * deg)
        for m in range(deg):
            row[:, m] = (2 * deg - 1) * z * values[deg - 1][:, m]
            if m <= deg - 2:
                row[:, m] -= square * values[deg - 2][:, m]
            row[:, m] /= (deg - m) * (deg + m)
        values.append(row)
    return values


def _norms(deg: int) -> Floats:
    """Return what makes real harmonics orthonormal over the unit sphere, axes (m = 0..deg,)."""
    m = np.arange(deg + 1)
    square = (2 * deg + 1) / (4 * np.pi) * gamma(deg - m + 1) * gamma(deg + m + 1)
    return np.sqrt(square * np.where(m > 0, 2.0, 1.0))


def _gradient(values: list[Complex], deg: int) -> Complex:
    """Return the complex gradient of R(deg, m), axes (point, xyz, m = 0..deg)."""
    below = values[deg - 1]
    n = len(below)
    padded = np.zeros((n, deg + 2), dtype=np.complex128)
    padded[:, :deg] = below
    plus = -padded[:, 1:]
    minus = np.empty((n, deg + 1), dtype=np.complex128)
    minus[:, 1:] = padded[:, :deg]
    minus[:, 0] = -np.conj(padded[:, 1])
    return np.stack([(plus + minus) / 2, (plus - minus) / 2j, padded[:, : deg + 1]], axis=1)


def _real(values: Complex) -> Floats:
    """Return order 0 and real and imaginary parts of the other orders along the last axis."""
    pairs = np.stack([values[..., 1:].real, values[..., 1:].imag], axis=-1)
    flat = pairs.reshape(*values.shape[:-1], 2 * (values.shape[-1] - 1))
    return np.concatenate([values[..., :1].real, flat], axis=-1)


def _points(points: Floats) -> Floats:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3:
        raise KernelInputError(
            where="points", expected="axes (point, xyz)", got=f"shape {points.shape}"
        )
    if not np.isfinite(points).all():
        raise KernelInputError(where="points", expected="finite positions", got="NaN or infinity")
    return points


def _degree(degree: int) -> int:
    if degree < 1:
        raise KernelInputError(where="degree", expected="at least 1", got=str(degree))
    return degree
