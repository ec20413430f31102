"""Adaptive multipole models: the projector's definition, brain kept, far fields gone, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.helmet import HEAD_CENTER, sensor_array
from brainforge.datasets.phantom_sources import plant_sources
from brainforge.errors import KernelInputError
from brainforge.kernels.amm import Spheroid, amm_basis, amm_split, fit_spheroid, least_channels
from brainforge.kernels.sensors import SensorPoints
from brainforge.kernels.tsss import tsss_window
from tests.reference.tsss import tsss_reference


def array(n=306, layout="triaxial"):
    return sensor_array(n, layout)


def points_of(sensors):
    return SensorPoints.magnetometers(sensors.positions, sensors.orientations)


def model(n=306, orders=(9, 2), good=None):
    sensors = array(n)
    bases = amm_basis(points_of(sensors), fit_spheroid(sensors.positions), orders)
    return sensors, bases, amm_split(*bases, good)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_the_spheroid_is_found(axis):
    rng = np.random.default_rng(0)
    unit = rng.standard_normal((200, 3))
    unit[:, 2] = np.abs(unit[:, 2])
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    size = np.full(3, 0.09)
    size[axis] = 0.12
    found = fit_spheroid(unit * size + [0.01, -0.02, 0.05])
    assert found.axis == axis
    np.testing.assert_allclose(found.centre, [0.01, -0.02, 0.05], atol=1e-10)
    assert (found.long, found.short) == pytest.approx((0.12, 0.09))
    assert found.focus == pytest.approx(np.sqrt(0.12**2 - 0.09**2))


def test_a_sphere_is_found():
    unit = np.random.default_rng(1).standard_normal((100, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    found = fit_spheroid(0.1 * unit)
    assert found.focus < 1e-5
    assert found.long == pytest.approx(0.1)


@pytest.mark.parametrize("n_bad", [0, 4])
def test_equals_its_definition(n_bad):
    good = np.ones(306, bool)
    good[[5, 90, 91, 200][:n_bad]] = False
    _, (inside, outside), split = model(good=good)
    a, b = inside[good], outside[good]
    without = np.eye(len(a)) - b @ np.linalg.pinv(b)
    want = without @ a @ np.linalg.pinv(without @ a) @ without
    got = split.matrix()
    np.testing.assert_allclose(got[np.ix_(good, good)], want, atol=1e-9)
    assert not got[:, ~good].any()
    assert (split.n_inside, split.n_outside, split.n_residual) == (99, 8, 306 - n_bad - 107)
    # the rows of bad channels say the inside field there
    field = inside @ np.random.default_rng(0).standard_normal(99)
    removed = field - outside @ (np.linalg.pinv(b) @ field[good])
    np.testing.assert_allclose(got @ field, removed, atol=1e-8 * np.abs(field).max())


def test_the_phantoms_brain_stays_and_far_interference_goes():
    sensors, _, split = model()
    matrix = split.matrix()
    for seed in range(3):
        brain = np.array([s.gain for s in plant_sources(seed, sensors, 100.0)]).T
        kept = np.linalg.norm(matrix @ brain, axis=0) / np.linalg.norm(brain, axis=0)
        assert kept.min() > 0.95
    rng = np.random.default_rng(0)
    for distance in (1.0, 2.0):
        where = rng.standard_normal((60, 3))
        where *= distance / np.linalg.norm(where, axis=1)[:, None]
        moment = rng.standard_normal((60, 3))
        off = sensors.positions[:, None] - where - HEAD_CENTER
        r = np.linalg.norm(off, axis=2)[..., None]
        dipole = 3 * off * (off * moment).sum(axis=2, keepdims=True) / r**5 - moment / r**3
        far = (dipole * sensors.orientations[:, None]).sum(axis=2)
        reduced = np.linalg.norm(far, axis=0) / np.linalg.norm(matrix @ far, axis=0)
        assert 20 * np.log10(reduced.min()) > 30


def test_the_temporal_step_is_the_same():
    _, _, split = model(120, (4, 2))
    rng = np.random.default_rng(2)
    x = 10 * rng.standard_normal((120, 500))
    x += np.outer(500 * rng.standard_normal(120) ** 3, rng.standard_normal(500))
    got = tsss_window(np.float32(x), split)
    want, n_removed, _ = tsss_reference(np.float32(x), split)
    assert got.n_removed == n_removed == 1
    np.testing.assert_allclose(got.data, want, atol=2e-6 * np.abs(x).max())


def test_too_few_channels_and_sensors_that_cannot_tell_are_refused():
    assert least_channels(107) == 120
    with pytest.raises(KernelInputError, match="at least 120 good channels for 107 fields"):
        model(108)
    with pytest.raises(KernelInputError, match="at least 120 good channels"):
        model(120, good=np.arange(120) > 0)
    assert model(120)[2].n_inside == 99
    radial = array(306, "radial")
    bases = amm_basis(points_of(radial), fit_spheroid(radial.positions))
    with pytest.raises(KernelInputError, match="inside and from outside apart"):
        amm_split(*bases)


def test_bad_input():
    sensors = array(120)
    points = points_of(sensors)
    with pytest.raises(KernelInputError, match="orders"):
        amm_basis(points, fit_spheroid(sensors.positions), (9, 0))
    inside, outside = amm_basis(points, Spheroid(np.array(HEAD_CENTER), 1, 0.1, 0.09), (3, 1))
    with pytest.raises(KernelInputError, match="same channels"):
        amm_split(inside, outside[1:])
    with pytest.raises(KernelInputError, match="good"):
        amm_split(inside, outside, np.ones(3, bool))
    with pytest.raises(KernelInputError, match="xyz"):
        fit_spheroid(np.zeros((9, 2)))
    with pytest.raises(KernelInputError, match="not in a plane"):
        fit_spheroid(np.random.default_rng(0).standard_normal((30, 3)) * [1, 1, 0])
    with pytest.raises(KernelInputError, match="not in a plane, got 3"):
        fit_spheroid(sensors.positions[:3])
