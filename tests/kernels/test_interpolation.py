"""Repair weights: the modelled covariance is that of random dipoles, weights are optimal."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import regular_fields
from brainforge.kernels.interpolation import (
    brain_covariance,
    far_covariance,
    fit_sphere,
    repair_weights,
)
from brainforge.kernels.sensors import SensorPoints
from tests.helmets import helmet
from tests.reference.interpolation import dipole_covariance, sarvas


def test_brain_covariance_is_that_of_random_dipoles_in_a_sphere():
    positions, axes = helmet(12, seed=3)
    want = dipole_covariance(positions, axes, 0.07, 6000)
    got = brain_covariance(SensorPoints.magnetometers(positions, axes), np.zeros(3), 0.07)
    got = got * np.trace(want) / np.trace(got)
    # six thousand draws leave a few per cent
    np.testing.assert_allclose(got, want, atol=0.06 * np.diag(want).max())
    corr = np.corrcoef(got.ravel(), want.ravel())[0, 1]
    assert corr > 0.998


def test_a_left_out_channel_is_told_from_the_others():
    positions, axes = helmet(150, seed=1)
    rng = np.random.default_rng(2)
    x = np.zeros((150, 300))
    for _ in range(15):
        dipole = rng.standard_normal(3)
        dipole[2] = abs(dipole[2])
        dipole *= 0.065 / np.linalg.norm(dipole)
        moment = np.cross(dipole, rng.standard_normal(3))
        moment /= np.linalg.norm(moment)
        seen = np.array([sarvas(p, dipole, moment) @ a for p, a in zip(positions, axes)])
        x += np.outer(seen, rng.standard_normal(300))
    points = SensorPoints.magnetometers(positions, axes)
    covariance = brain_covariance(points, np.zeros(3), 0.07)
    noise = np.full(150, 1e-3 * np.diag(covariance).mean())
    inner = np.argsort(positions[:, 2])[::-1][:40]
    for row in inner[::8]:
        good = np.arange(150) != row
        told = repair_weights(covariance, good, noise) @ x[good]
        assert np.corrcoef(told[0], x[row])[0, 1] > 0.97


def test_far_fields_are_continued_exactly_where_they_dominate():
    points = SensorPoints.magnetometers(*helmet(60, seed=4))
    covariance = brain_covariance(points, np.zeros(3), 0.07)
    level = np.diag(covariance).mean()
    covariance = covariance / level + far_covariance(points, np.zeros(3), (1e6, 1e5))
    far = points.measure(regular_fields(points.positions, 2))
    good = np.arange(60) >= 5
    told = repair_weights(covariance, good, np.full(60, 1e-2)) @ far[good]
    np.testing.assert_allclose(told, far[:5], atol=2e-3 * np.abs(far).max())


def test_far_powers_are_at_sensors():
    points = SensorPoints.magnetometers(*helmet(400, seed=5))
    for powers in ((2.0,), (2.0, 3.0)):
        got = np.diag(far_covariance(points, np.zeros(3), powers)).mean()
        assert got == pytest.approx(sum(powers), rel=0.35)


def test_fit_sphere():
    rng = np.random.default_rng(6)
    out = rng.standard_normal((50, 3))
    out[:, 2] = np.abs(out[:, 2])
    points = 0.11 * out / np.linalg.norm(out, axis=1)[:, None] + [0.01, -0.02, 0.04]
    center, radius = fit_sphere(points)
    np.testing.assert_allclose(center, [0.01, -0.02, 0.04], atol=1e-12)
    assert radius == pytest.approx(0.11)


def test_bad_input():
    points = SensorPoints.magnetometers(*helmet(12))
    with pytest.raises(KernelInputError, match="12 points inside"):
        brain_covariance(points, np.zeros(3), 0.2)
    with pytest.raises(KernelInputError, match="at least 10"):
        fit_sphere(np.zeros((9, 3)))
    with pytest.raises(KernelInputError, match="plane"):
        fit_sphere(np.random.default_rng(0).standard_normal((20, 3)) * [1, 1, 0])
    with pytest.raises(KernelInputError, match="none"):
        repair_weights(np.eye(2), np.zeros(2, bool), np.ones(2))
    with pytest.raises(KernelInputError, match="shape"):
        repair_weights(np.eye(3), np.ones(2, bool), np.ones(2))
