"""Prolate spheroidal harmonics: what solid harmonics are to a sphere, for an elongated head.

With the foci at +-c on the z axis, r1 and r2 the distances to them, rho = (r1 + r2) / 2 and
eta = z / rho, a harmonic of degree l and order m is

    f(rho) d^m P_l / d eta^m (x + i y)^m

where f is the m-th derivative of a Legendre function of rho / c: of the second kind for sources
inside a spheroid, of the first kind for sources outside the array. The factors (x + i y)^m leave
no singularity on the axis. All is scaled by powers of c so that c = 0 gives solid harmonics.

References
----------
Hobson (1931), The theory of spherical and ellipsoidal harmonics. Cambridge University Press.
Tierney et al. (2024), Adaptive multipole models of optically pumped magnetometer data. Human
Brain Mapping 45.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from numpy.polynomial.legendre import Legendre
from scipy.special import gammaln, hyp2f1

from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import n_harmonics

Floats = npt.NDArray[np.float64]
#: (rho, focus, degree, order) -> f and its derivative
Radial = Callable[[Floats, float, int, int], tuple[Floats, Floats]]


def spheroidal_inside(points: Floats, degree: int, focus: float) -> Floats:
    """Return fields of sources inside a prolate spheroid: gradients of its harmonics.

    Parameters
    ----------
    points : float64 array, axes (point, xyz)
        Centre of the spheroid at the origin, its long axis along z; of order one for high
        degrees. Must lie off the line between the foci.
    degree : int
        At least 1.
    focus : float
        Distance of a focus from the centre, in the unit of ``points``; 0 for a sphere.

    Returns
    -------
    float64 array, axes (point, xyz, harmonic)
        In the order of `brainforge.kernels.harmonics.irregular_fields`, which they equal at
        focus 0.

    Raises
    ------
    KernelInputError
    """
    return _fields(points, degree, focus, _second_kind)


def spheroidal_outside(points: Floats, degree: int, focus: float) -> Floats:
    """Return fields of sources far outside: gradients of the harmonics regular at the centre.

    Parameters and result as for `spheroidal_inside`, equal to
    `brainforge.kernels.harmonics.regular_fields` at focus 0 and of the same span at any.
    """
    return _fields(points, degree, focus, _first_kind)


def _fields(points: Floats, degree: int, focus: float, radial: Radial) -> Floats:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
        raise KernelInputError(
            where="points", expected="finite, axes (point, xyz)", got=f"shape {points.shape}"
        )
    if degree < 1 or not (np.isfinite(focus) and focus >= 0):
        raise KernelInputError(
            where="degree and focus",
            expected="a degree of at least 1 and a focus of 0 or more",
            got=f"{degree} and {focus:g}",
        )
    rho, eta, to_rho, to_eta = _coordinates(points, focus)
    out = np.empty((len(points), 3, n_harmonics(degree)))
    at = 0
    for deg in range(1, degree + 1):
        for m in range(deg + 1):
            f, slope = radial(rho, focus, deg, m)
            q, rise = (Legendre.basis(deg).deriv(m + k)(eta) for k in (0, 1))
            turn = (points[:, 0] + 1j * points[:, 1]) ** m
            field = turn[:, None] * ((slope * q)[:, None] * to_rho + (f * rise)[:, None] * to_eta)
            if m:
                around = m * f * q * (points[:, 0] + 1j * points[:, 1]) ** (m - 1)
                field = field + around[:, None] * np.array([1, 1j, 0])
            field = _norm(deg, m) * field
            out[:, :, at] = field.real
            if m:
                out[:, :, at + 1] = field.imag
            at += 2 if m else 1
    return out


def _coordinates(points: Floats, focus: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Return rho, eta, and the gradients of both, axes (point, xyz)."""
    up = np.array([0.0, 0.0, 1.0])
    first, second = points + focus * up, points - focus * up
    r1, r2 = np.linalg.norm(first, axis=1), np.linalg.norm(second, axis=1)
    rho = (r1 + r2) / 2
    if (rho <= focus * (1 + 1e-9)).any() or (rho == 0).any():
        raise KernelInputError(
            where="points", expected="points off the line between the foci", got="one on it"
        )
    eta = points[:, 2] / rho
    to_rho = (first / r1[:, None] + second / r2[:, None]) / 2
    to_eta = (up - eta[:, None] * to_rho) / rho[:, None]
    return rho, eta, to_rho, to_eta


def _norm(deg: int, m: int) -> float:
    """Return what makes harmonics of a sphere orthonormal over the unit sphere."""
    square = (2 * deg + 1) / (4 * np.pi) * np.exp(gammaln(deg - m + 1) - gammaln(deg + m + 1))
    return float(np.sqrt(square * (2 if m else 1)))


def _second_kind(rho: Floats, focus: float, deg: int, m: int) -> tuple[Floats, Floats]:
    """Return the m-th derivative of Q_l, scaled to rho^-(l+m+1) far out, and its derivative."""
    n = deg + m + 1
    share = (focus / rho) ** 2
    f = rho**-n * hyp2f1((n + 1) / 2, n / 2, deg + 1.5, share)
    slope = -n * rho ** -(n + 1) * hyp2f1((n + 2) / 2, (n + 1) / 2, deg + 1.5, share)
    return f, slope


def _first_kind(rho: Floats, focus: float, deg: int, m: int) -> tuple[Floats, Floats]:
    """Return the m-th derivative of P_l, scaled to rho^(l-m) far out, and its derivative."""
    f, slope, factor = np.zeros_like(rho), np.zeros_like(rho), 1.0
    for k in range((deg - m) // 2 + 1):
        power = deg - m - 2 * k
        f += factor * focus ** (2 * k) * rho**power
        if power:
            slope += factor * focus ** (2 * k) * power * rho ** (power - 1)
        factor *= -(power * (power - 1)) / (2 * (k + 1) * (2 * deg - 2 * k - 1))
    return f, slope
