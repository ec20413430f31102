"""LCMV: its definition, MNE's filters, a planted source, rank, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.helmet import HEAD_CENTER, sensor_array
from brainforge.datasets.sphere import sphere_gain
from brainforge.errors import KernelInputError
from brainforge.kernels.beamformer import lcmv
from brainforge.kernels.hfc import hfc_basis, hfc_operator
from brainforge.kernels.sensors import SensorPoints
from tests.helmets import helmet_info, to_mne
from tests.reference.beamformer import lcmv_reference


def covariance_of(n, seed=0, n_samples=2000):
    x = np.random.default_rng(seed).standard_normal((n, n_samples))
    x = x + np.random.default_rng(seed + 1).standard_normal((n, 5)) @ x[:5] * 3
    return x @ x.T / n_samples


@pytest.mark.parametrize("weight_norm", ["unit-noise-gain", "unit-gain"])
@pytest.mark.parametrize("rank", [30, 24])
def test_equals_its_definition(weight_norm, rank):
    leadfield = np.random.default_rng(3).standard_normal((30, 6, 3))
    covariance = covariance_of(30)
    got = lcmv(leadfield, covariance, reg=0.05, rank=rank, weight_norm=weight_norm)
    want, orientations = lcmv_reference(leadfield, covariance, 0.05, rank, weight_norm)
    assert got.rank == rank
    along = np.sum(got.orientations * orientations, axis=1)
    assert np.abs(along).min() > 0.9999  # as near as the grid of directions is fine
    np.testing.assert_allclose(
        got.weights * np.sign(along)[:, None], want, atol=0.03 * np.abs(want).max()
    )
    fixed = lcmv(
        np.einsum("csd,sd->cs", leadfield, orientations), covariance, reg=0.05, rank=rank,
        weight_norm=weight_norm,
    )  # fmt: skip
    np.testing.assert_allclose(fixed.weights, want, atol=1e-10 * np.abs(want).max())
    assert fixed.orientations is None


def test_equals_mne():
    import mne

    info = helmet_info(60, seed=5)
    raw_info = to_mne(info)
    for row in raw_info["chs"]:
        row["coil_type"] = 2000
    sphere = mne.make_sphere_model((0.0, 0.0, 0.0), 0.09, verbose="error")
    space = mne.setup_volume_source_space(
        sphere=sphere, pos=25.0, sphere_units="m", verbose="error"
    )
    forward = mne.make_forward_solution(raw_info, None, space, sphere, eeg=False, verbose="error")
    n_sources = forward["nsource"]
    x = covariance_of(60) * 1e-26
    data_cov = mne.Covariance(x, raw_info["ch_names"], [], [], 2000, verbose="error")
    for norm, ours in (("unit-noise-gain", "unit-noise-gain"), (None, "unit-gain")):
        filters = mne.beamformer.make_lcmv(
            raw_info, forward, data_cov, reg=0.05, pick_ori="max-power", weight_norm=norm,
            reduce_rank=True, rank={"mag": 60}, verbose="error",
        )  # fmt: skip
        leadfield = forward["sol"]["data"].reshape(60, n_sources, 3)
        got = lcmv(leadfield, x, reg=0.05, rank=60, weight_norm=ours)
        want = filters["weights"] @ filters["whitener"]
        # a source in the centre is seen by nobody
        size = np.linalg.norm(leadfield, axis=(0, 2))
        seen = size > 1e-6 * size.max()
        assert seen.sum() > 50
        want, ours_seen = want[seen], got.weights[seen]
        if norm:  # MNE whitens by an assumed noise, so the norm is another
            want = want / np.linalg.norm(want, axis=1, keepdims=True)
        ours_seen *= np.sign(np.sum(ours_seen * want, axis=1, keepdims=True))
        size = np.abs(want).max(axis=1, keepdims=True)
        assert (np.abs(ours_seen - want) / size).max() < 1e-6
        along = np.sum(got.orientations * filters["max_power_ori"], axis=1)[seen]
        np.testing.assert_allclose(np.abs(along), 1, atol=1e-6)


def grid_of_sources(step=0.02):
    axis = np.arange(-0.07, 0.0701, step)
    points = np.stack(np.meshgrid(axis, axis, axis), axis=-1).reshape(-1, 3)
    radius = np.linalg.norm(points, axis=1)
    return points[(radius < 0.075) & (radius > 0.025) & (points[:, 2] > 0)] + HEAD_CENTER


@pytest.mark.parametrize("projected", [False, True])
def test_a_planted_source_is_found(projected):
    array = sensor_array(120, "triaxial")
    grid = grid_of_sources()
    leadfield = sphere_gain(array.positions, array.orientations, grid)
    rng = np.random.default_rng(0)
    operator, rank = np.eye(120), 120
    if projected:
        basis = hfc_basis(SensorPoints.magnetometers(array.positions, array.orientations), 2)
        operator, n_removed = hfc_operator(basis)
        rank = 120 - n_removed
    leadfield = np.einsum("dc,csx->dsx", operator, leadfield)
    for planted in (10, 60, 90):
        outward = (grid[planted] - HEAD_CENTER) / np.linalg.norm(grid[planted] - HEAD_CENTER)
        moment = np.cross(outward, [0.3, 0.5, 0.8])
        moment /= np.linalg.norm(moment)
        field = leadfield[:, planted] @ moment
        x = operator @ rng.standard_normal((120, 4000))
        x += 0.3 * np.sqrt(120) * np.outer(field / np.linalg.norm(field), rng.standard_normal(4000))
        covariance = x @ x.T / 4000
        found = lcmv(leadfield, covariance, rank=rank)
        assert found.rank == rank
        power = found.power(covariance)
        assert np.argmax(power) == planted
        assert abs(found.orientations[planted] @ moment) > 0.98
        passed = lcmv(leadfield, covariance, rank=rank, weight_norm="unit-gain")
        assert passed.weights[planted] @ (leadfield[:, planted] @ passed.orientations[planted]) == (
            pytest.approx(1)
        )
        noise_gain = np.linalg.norm(found.weights, axis=1)
        np.testing.assert_allclose(noise_gain, 1)


def test_noise_of_several_sizes_is_whitened():
    leadfield = np.random.default_rng(1).standard_normal((20, 5, 3))
    covariance, size = covariance_of(20), np.geomspace(1, 1e6, 20)
    want = lcmv(leadfield, covariance, np.eye(20))
    got = lcmv(size[:, None, None] * leadfield, np.outer(size, size) * covariance, np.diag(size**2))
    np.testing.assert_allclose(got.weights * size, want.weights, rtol=1e-6, atol=1e-9)
    np.testing.assert_array_equal(want.weights, lcmv(leadfield, covariance).weights)


def test_sources_that_nobody_sees_and_none_at_all():
    leadfield = np.random.default_rng(1).standard_normal((20, 3, 3))
    leadfield[:, 1] = 0
    got = lcmv(leadfield, covariance_of(20))
    assert not got.weights[1].any()
    assert not got.orientations[1].any()
    assert lcmv(leadfield[:, :0], covariance_of(20)).weights.shape == (0, 20)
    one = lcmv(np.ones((1, 2)), np.eye(1))
    np.testing.assert_allclose(one.weights, 1)


def test_bad_input():
    leadfield, covariance = np.ones((9, 2, 3)), np.eye(9)
    with pytest.raises(KernelInputError, match="channel, source, xyz"):
        lcmv(np.ones((9, 2, 2)), covariance)
    with pytest.raises(KernelInputError, match=r"covariance: expected shape \(9, 9\)"):
        lcmv(leadfield, np.eye(8))
    with pytest.raises(KernelInputError, match="noise: expected shape"):
        lcmv(leadfield, covariance, np.eye(8))
    with pytest.raises(KernelInputError, match="symmetric"):
        lcmv(leadfield, np.triu(np.ones((9, 9))))
    with pytest.raises(KernelInputError, match="finite"):
        lcmv(leadfield, covariance * np.nan)
    with pytest.raises(KernelInputError, match="leadfield: expected finite"):
        lcmv(leadfield * np.inf, covariance)
    with pytest.raises(KernelInputError, match="some variance"):
        lcmv(leadfield, 0 * covariance)
    with pytest.raises(KernelInputError, match="1 to 9"):
        lcmv(leadfield, covariance, rank=10)
    with pytest.raises(KernelInputError, match="reg"):
        lcmv(leadfield, covariance, reg=-0.1)
    with pytest.raises(KernelInputError, match="unit-gain"):
        lcmv(leadfield, covariance, weight_norm="nai")
    with pytest.raises(KernelInputError, match="normals"):
        lcmv(leadfield, covariance, normals=np.ones((3, 3)))
