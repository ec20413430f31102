"""Harmonic field correction removes far fields exactly and equals MNE's projector."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import regular_fields
from brainforge.kernels.hfc import hfc_basis, hfc_operator, n_harmonics, removal, subspace
from brainforge.kernels.sensors import SensorPoints
from tests.helmets import helmet, helmet_info, to_mne


def sensors(n=64, seed=0):
    return SensorPoints.magnetometers(*helmet(n, seed))


@pytest.mark.parametrize("order", [1, 2, 3])
def test_equals_mne(order):
    import mne

    info = helmet_info(70).with_bads(("OPM003", "OPM040"))
    projs = mne.preprocessing.compute_proj_hfc(
        to_mne(info), order=order, accuracy="point", verbose="error"
    )
    x = np.concatenate([p["data"]["data"] for p in projs]).T
    good = np.array([not c.bad for c in info.channels])
    points = SensorPoints.magnetometers(info.positions(), info.orientations())
    matrix, n_removed = hfc_operator(hfc_basis(points, order), good)
    assert n_removed == n_harmonics(order)
    np.testing.assert_allclose(
        matrix[np.ix_(good, good)], np.eye(68) - x @ np.linalg.pinv(x), atol=1e-12
    )


@pytest.mark.parametrize("order", [1, 2, 3])
def test_far_fields_vanish_on_all_channels_and_bad_ones_reach_no_other(order):
    points = sensors()
    good = np.ones(64, bool)
    good[[5, 9]] = False
    matrix, n_removed = hfc_operator(hfc_basis(points, order), good)
    rng = np.random.default_rng(1)
    far = points.measure(regular_fields(points.positions - 0.03, order))
    x = far @ rng.standard_normal((far.shape[1], 20))
    assert np.abs(matrix @ x).max() < 1e-9 * np.abs(x).max()
    assert not matrix[np.ix_(good, ~good)].any()
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-12)
    assert np.linalg.matrix_rank(matrix[np.ix_(good, good)]) == 62 - n_removed


def test_dimensions_that_no_channel_tells_apart_are_counted_once():
    positions = np.random.default_rng(2).standard_normal((30, 3)) * 0.1
    parallel = np.tile([0.0, 0, 1], (30, 1))
    matrix, n_removed = hfc_operator(hfc_basis(SensorPoints.magnetometers(positions, parallel), 1))
    assert n_removed == 1
    np.testing.assert_allclose(matrix @ np.ones(30), 0, atol=1e-12)


def test_rounding_is_no_field():
    positions, axes = helmet(30)
    both = np.concatenate([positions, positions + 0.05 * axes])
    index = np.tile(np.arange(30), 2)
    gradiometers = SensorPoints(both, np.concatenate([axes, -axes]), index, 30)
    assert not hfc_basis(gradiometers, 1).any()
    assert hfc_operator(hfc_basis(gradiometers, 2))[1] == 5


def test_removal_of_nothing_and_span():
    matrix, n_removed = removal(np.zeros((4, 0)))
    assert (matrix.tolist(), n_removed) == (np.eye(4).tolist(), 0)
    assert subspace(np.zeros((3, 2))).shape == (3, 0)
    basis = np.random.default_rng(3).standard_normal((9, 3))
    span = subspace(np.column_stack([basis, basis @ np.ones(3)]))
    assert span.shape == (9, 3)
    np.testing.assert_allclose(span @ (span.T @ basis), basis, atol=1e-12)


def test_bad_input():
    with pytest.raises(KernelInputError, match="1, 2 or 3"):
        hfc_basis(sensors(), 4)
    with pytest.raises(KernelInputError, match="at least 30 good channels for 15 fields, got 29"):
        hfc_operator(hfc_basis(sensors(29), 3))
    with pytest.raises(KernelInputError, match="shape"):
        removal(np.ones((4, 1)), np.ones(3, bool))
    with pytest.raises(KernelInputError, match="channel, field"):
        subspace(np.ones(3))
    with pytest.raises(KernelInputError, match="finite"):
        SensorPoints.magnetometers(np.full((2, 3), np.nan), np.ones((2, 3)))
    with pytest.raises(KernelInputError, match="shape"):
        SensorPoints.magnetometers(np.ones((2, 3)), np.ones((3, 3)))
