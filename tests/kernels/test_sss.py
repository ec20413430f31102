"""Signal space separation: its definition, MNE and MaxFilter, sources inside and outside."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.helmet import HEAD_CENTER, sensor_array
from brainforge.datasets.sphere import sphere_gain
from brainforge.errors import KernelInputError
from brainforge.kernels.harmonics import regular_fields
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.kernels.sensors import SensorPoints
from brainforge.kernels.sss import sss_basis, sss_split
from brainforge.learners.coils import sensor_points
from brainforge.units import to_working
from tests.helmets import helmet, helmet_info, to_mne
from tests.reference.sss import sss_reference

ORIGIN = (0.0, 0.0, 0.01)


def split_of(n=306, orders=(8, 3), good=None, **options):
    points = SensorPoints.magnetometers(*helmet(n, radius=0.12))
    return points, sss_split(*sss_basis(points, ORIGIN, orders), good, **options)


@pytest.mark.parametrize("orders", [(1, 1), (3, 2), (5, 0), (6, 3)])
@pytest.mark.parametrize("n_bad", [0, 3])
def test_equals_its_definition(orders, n_bad):
    good = np.ones(120, bool)
    good[[4, 50, 119][:n_bad]] = False
    positions, axes = helmet(120, radius=0.12)
    _, split = split_of(120, orders, good)
    want = sss_reference(positions, axes, np.array(ORIGIN), orders, good)
    np.testing.assert_allclose(split.matrix(), want, atol=1e-6 * split.condition)
    n_outside = orders[1] * (orders[1] + 2)
    assert (split.n_inside, split.n_outside) == (orders[0] * (orders[0] + 2), n_outside)
    assert split.n_residual == 120 - n_bad - split.n_inside - n_outside
    assert np.linalg.matrix_rank(split.matrix()) == split.n_inside
    assert not split.matrix()[:, ~good].any()


def test_equals_mne():
    import mne

    info = helmet_info(200, seed=3).with_bads(("OPM003", "OPM040"))
    raw_info = to_mne(info)
    for row in raw_info["chs"]:
        row["coil_type"] = 2000  # a point, for MNE too
    x = np.random.default_rng(0).standard_normal((200, 300))
    raw = mne.io.RawArray(x * 1e-12, raw_info, verbose="error")
    with single_threaded_blas():
        theirs = mne.preprocessing.maxwell_filter(
            raw, origin=ORIGIN, int_order=6, ext_order=3, regularize=None,
            bad_condition="ignore", verbose="error",
        )  # fmt: skip
    points = SensorPoints.magnetometers(info.positions(), info.orientations())
    good = np.array([not c.bad for c in info.channels])
    ours = sss_split(*sss_basis(points, ORIGIN, (6, 3)), good).matrix() @ x
    want = theirs.get_data() * 1e12
    # MNE keeps positions and axes as float32
    np.testing.assert_allclose(ours, want, atol=2e-5 * np.abs(want).max())


def test_sources_inside_stay_and_those_outside_vanish():
    points, split = split_of(306)
    matrix = split.matrix()
    rng = np.random.default_rng(1)
    far = points.measure(regular_fields(points.positions - ORIGIN, 3)) @ rng.standard_normal(15)
    assert np.linalg.norm(matrix @ far) < 1e-9 * np.linalg.norm(far)
    dipoles = rng.standard_normal((20, 3))
    dipoles *= 0.04 / np.linalg.norm(dipoles, axis=1)[:, None]
    gain = sphere_gain(points.positions, points.directions, dipoles + ORIGIN, ORIGIN)
    fields = gain[:, :, 0]
    lost = np.linalg.norm(matrix @ fields - fields, axis=0) / np.linalg.norm(fields, axis=0)
    assert lost.max() < 0.02
    np.testing.assert_allclose(matrix @ matrix, matrix, atol=1e-9)


def test_gradiometers_have_no_homogeneous_field():
    positions, axes = helmet(150, radius=0.12)
    both = np.concatenate([positions, positions + 0.05 * axes])
    index = np.tile(np.arange(150), 2)
    points = SensorPoints(both, np.concatenate([axes, -axes]), index, 150)
    inside, outside = sss_basis(points, ORIGIN, (6, 2))
    assert (inside.shape[1], outside.shape[1]) == (48, 5)
    assert sss_split(inside, outside).n_outside == 5


def test_masked_channels_drop_out():
    points, split = split_of(200, (5, 2))
    use = np.ones(200, bool)
    use[[3, 77, 150]] = False
    found = split.coefficients(use)
    without = sss_split(*sss_basis(points, ORIGIN, (5, 2)), use)
    np.testing.assert_allclose(split.out @ split.inner @ found, without.matrix(), atol=1e-9)
    np.testing.assert_array_equal(split.coefficients(), split.frame.T)
    use[40:] = False
    assert split.coefficients(use) is None


def test_the_condition_is_limited_by_leaving_inside_fields_out():
    _, plain = split_of(160)
    _, limited = split_of(160, max_condition=100.0)
    assert plain.condition > 100 >= limited.condition
    assert limited.n_inside < plain.n_inside
    assert limited.n_outside == plain.n_outside
    _, loose = split_of(160, max_condition=1e6)
    np.testing.assert_array_equal(loose.matrix(), plain.matrix())
    # what noise becomes is what the limit is for
    assert np.linalg.norm(limited.matrix()) < np.linalg.norm(plain.matrix())


@pytest.mark.shared_data
def test_equals_maxfilter_and_mne_on_a_real_recording(shared_data):
    import mne

    from brainforge.readers.open import open_recording

    folder = shared_data / "maxfilter_erm_basic"
    path = folder / "test_move_anon_erm_raw.fif"
    info = open_recording(path).info
    names = info.names_of("mag", "grad")
    scale = np.array([to_working(info.channel(n).kind) for n in names])[:, None]
    points = sensor_points(info, names, area=True)
    origin = (0.0, 0.013, -0.006)
    split = sss_split(*(scale * basis for basis in sss_basis(points, origin)))
    raw = mne.io.read_raw_fif(path, allow_maxshield="yes", verbose="error").load_data()
    megin = mne.io.read_raw_fif(
        folder / "test_move_anon_erm_devOrigin_raw_sss.fif", allow_maxshield="yes", verbose="error"
    )
    theirs = mne.preprocessing.maxwell_filter(
        raw, origin=origin, coord_frame="meg", regularize=None, bad_condition="ignore",
        verbose="error",
    )  # fmt: skip
    got = split.matrix() @ (scale * raw.get_data(names))
    for kind, to_megin, to_mne_ in (("mag", 3.5e-3, 5e-4), ("grad", 4.3e-3, 1e-3)):
        rows = [i for i, n in enumerate(names) if info.channel(n).kind == kind]
        for other, most in ((megin, to_megin), (theirs, to_mne_)):
            want = (scale * other.get_data(names))[rows]
            assert np.linalg.norm(got[rows] - want) < most * np.linalg.norm(want)


def test_bad_input():
    points = SensorPoints.magnetometers(*helmet(60))
    with pytest.raises(KernelInputError, match="orders"):
        sss_basis(points, ORIGIN, (0, 3))
    with pytest.raises(KernelInputError, match="3 finite metres"):
        sss_basis(points, (0.0, np.nan, 0.0))
    inside, outside = sss_basis(points, ORIGIN)
    with pytest.raises(KernelInputError, match="at least 95 good channels for 95 fields, got 60"):
        sss_split(inside, outside)
    with pytest.raises(KernelInputError, match="same channels"):
        sss_split(inside, outside[:-1])
    inside, outside = sss_basis(points, ORIGIN, (3, 2))
    with pytest.raises(KernelInputError, match=r"good: expected shape \(60,\)"):
        sss_split(inside, outside, np.ones(59, bool))
    with pytest.raises(KernelInputError, match="over 1"):
        sss_split(inside, outside, max_condition=1.0)
    with pytest.raises(KernelInputError, match="tell apart"):
        sss_split(np.column_stack([inside, inside[:, 0]]), outside)
    with pytest.raises(KernelInputError, match="origin"):
        sss_basis(points, points.positions[0])


def test_sensors_that_cannot_tell_inside_from_outside_are_refused():
    array = sensor_array(306, "radial")
    bases = sss_basis(SensorPoints.magnetometers(array.positions, array.orientations), HEAD_CENTER)
    for limit in (None, 1e3):
        with pytest.raises(KernelInputError, match="apart"):
            sss_split(*bases, max_condition=limit)
