"""Temporal separation: its definition, MNE, a source too near, short windows, masks."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.sphere import sphere_gain
from brainforge.errors import KernelInputError
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.sensors import SensorPoints
from brainforge.kernels.sss import sss_basis, sss_split
from brainforge.kernels.tsss import tsss_window
from brainforge.kernels.tsss_solve import least_samples
from tests.helmets import helmet, helmet_info, to_mne
from tests.reference.tsss import tsss_reference

ORIGIN = (0.0, 0.0, 0.01)


def scene(n=120, n_samples=1500, orders=(4, 2), seed=0, near=1e4, bads=()):
    """A helmet with brain dipoles, sensor noise and a magnetic dipole 2 cm off a sensor."""
    rng = np.random.default_rng(seed)
    positions, axes = helmet(n, radius=0.12)
    points = SensorPoints.magnetometers(positions, axes)
    good = ~np.isin(np.arange(n), bads)
    split = sss_split(*sss_basis(points, ORIGIN, orders), good)
    where = rng.standard_normal((4, 3))
    where *= 0.05 / np.linalg.norm(where, axis=1)[:, None]
    brain = sphere_gain(positions, axes, where + ORIGIN, ORIGIN)[:, :, 0]
    brain = brain / np.abs(brain).max() * 100 @ rng.standard_normal((4, n_samples))
    off = positions - 1.15 * positions[3]
    r = np.linalg.norm(off, axis=1)[:, None]
    dipole = 3 * off * (off @ [0.3, 1.0, 0.2])[:, None] / r**5 - np.array([0.3, 1.0, 0.2]) / r**3
    seen = np.sum(dipole * axes, axis=1)
    implant = near * np.outer(seen / np.abs(seen).max(), rng.standard_normal(n_samples))
    noise = 5 * rng.standard_normal((n, n_samples))
    return split, brain, implant, noise


def window(**options):
    split, brain, implant, noise = scene(**options)
    return split, np.float32(brain + implant + noise)


@pytest.mark.parametrize("near, bads", [(0.0, ()), (1e4, ()), (300.0, (7, 50))])
def test_equals_its_definition(near, bads):
    split, x = window(near=near, bads=bads)
    got = tsss_window(x, split)
    want, n_removed, _ = tsss_reference(x, split)
    assert got.temporal
    assert got.n_removed == n_removed
    assert (n_removed > 0) == (near > 0)
    assert got.usable.all()
    np.testing.assert_allclose(got.data, want, atol=2e-6 * np.abs(x).max())


def test_masked_samples_are_estimated_without_and_never_read():
    split, x = window(bads=(7,), n_samples=1400)
    good = np.ones(x.shape, bool)
    good[10, 100:130] = False
    good[[11, 60], 120:700] = False
    good[:60, 900:905] = False
    good[:, 1000] = False
    want, n_removed, usable = tsss_reference(x, split, good)
    x[~good] = np.nan
    x[7] = np.inf
    got = tsss_window(x, split, good)
    assert got.n_removed == n_removed > 0
    np.testing.assert_array_equal(got.usable, usable)
    assert 0 < (~usable).sum() < 20
    assert not got.data[:, ~usable].any()
    np.testing.assert_allclose(got.data, want, atol=1e-5 * np.nanmax(np.abs(x[:7])))


def test_takes_a_source_that_is_too_near_and_leaves_the_brain():
    split, brain, implant, noise = scene()
    x = np.float32(brain + implant + noise)
    spatial, clean = split.matrix() @ x, tsss_window(x, split).data
    truth = split.matrix() @ (brain + noise)
    before, after = (np.linalg.norm(y - truth) / np.linalg.norm(truth) for y in (spatial, clean))
    assert before > 3
    assert after < 0.1


def test_without_interference_nothing_is_taken():
    split, x = window(near=0.0)
    got = tsss_window(x, split)
    assert (got.n_removed, got.temporal) == (0, True)
    np.testing.assert_allclose(got.data, split.matrix() @ x, atol=1e-3)


def test_short_windows_are_left_alone_since_independent_subspaces_seem_to_meet():
    split, x = window(near=0.0, n_samples=115)
    least = least_samples(split)
    assert least == 3 * (24 + 120 - 32)
    forced = tsss_window(x, split, min_samples=0)
    assert forced.n_removed > 5
    kept = tsss_window(x, split)
    assert (kept.n_removed, kept.temporal) == (0, False)
    np.testing.assert_allclose(kept.data, split.matrix() @ x, atol=1e-3)
    enough = window(near=0.0, n_samples=least)
    assert tsss_window(enough[1], enough[0]).temporal
    assert tsss_window(enough[1], enough[0]).n_removed == 0


def test_equals_mne():
    import mne

    info = helmet_info(130, seed=2)
    raw_info = to_mne(info)
    for row in raw_info["chs"]:
        row["coil_type"] = 2000
    points = SensorPoints.magnetometers(info.positions(), info.orientations())
    split = sss_split(*sss_basis(points, ORIGIN, (5, 2)))
    rng = np.random.default_rng(4)
    x = 20 * rng.standard_normal((130, 5000))
    x += np.outer(3e3 * rng.standard_normal(130) ** 3, rng.standard_normal(5000))
    raw = mne.io.RawArray(x * 1e-15, raw_info, verbose="error")
    with single_threaded_blas():
        theirs = mne.preprocessing.maxwell_filter(
            raw, origin=ORIGIN, int_order=5, ext_order=2, regularize=None, bad_condition="ignore",
            st_duration=10.0, st_correlation=0.98, st_overlap=False, verbose="error",
        ).get_data()  # fmt: skip
    for at in (0, 2500):
        cut = slice(at, at + 2500)
        got = tsss_window(np.float32(x[:, cut]), split)
        want = theirs[:, cut] * 1e15
        assert got.n_removed == 1
        assert np.linalg.norm(got.data - want) < 1e-4 * np.linalg.norm(want)


def test_shapes_and_threads():
    split, x = window(n_samples=1001)
    want = tsss_window(x, split).data
    assert want.dtype == np.float32
    strided = np.repeat(x, 2, axis=1)[:, ::2]
    np.testing.assert_array_equal(tsss_window(strided, split).data, want)
    np.testing.assert_array_equal(tsss_window(x, split, n_threads=2).data, want)
    assert tsss_window(x[:, :0], split).data.shape == (120, 0)
    one = tsss_window(x[:, :1], split).data
    np.testing.assert_allclose(one, split.matrix() @ x[:, :1], rtol=1e-3, atol=0.1)


def test_bad_input():
    split, x = window(n_samples=500)
    with pytest.raises(KernelInputError, match="float32, 120 channels"):
        tsss_window(x.astype(float), split)
    with pytest.raises(KernelInputError, match="float32, 120 channels"):
        tsss_window(x[:50], split)
    with pytest.raises(KernelInputError, match=r"good: expected shape \(120, 500\)"):
        tsss_window(x, split, np.ones((120, 3), bool))
    with pytest.raises(KernelInputError, match="over 0 and up to 1"):
        tsss_window(x, split, correlation=1.5)
    x[3, 7] = np.nan
    with pytest.raises(KernelInputError, match="finite values where good"):
        tsss_window(x, split)
