from __future__ import annotations

import numpy as np

from brainforge.datasets.fields import GRADIENTS, background_basis, far_dipole_gain
from brainforge.datasets.helmet import opm_channels, sensor_array


def test_gradients_have_neither_curl_nor_divergence() -> None:
    matrices = np.asarray(GRADIENTS, float)
    assert np.array_equal(matrices, matrices.transpose(0, 2, 1))
    assert np.all(np.trace(matrices, axis1=1, axis2=2) == 0)
    assert np.linalg.matrix_rank(matrices.reshape(5, 9)) == 5


def test_spans_what_mne_removes_as_harmonic_field_of_order_two() -> None:
    import mne

    array = sensor_array(60, "triaxial")
    info = mne.create_info(list(array.names), 1000.0, "mag")
    for entry, channel in zip(info["chs"], opm_channels(array, cal=1.0, rails=(-1, 1))):
        # MNE's own basis is taken at integration points: a point sensor has just one
        entry["loc"], entry["coil_type"] = np.array(channel.loc), 2000
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", np.eye(4))
    basis = background_basis(array.positions, array.orientations)
    for order, columns in ((1, 3), (2, 8)):
        projs = mne.preprocessing.compute_proj_hfc(info, order=order, verbose=False)
        vectors = np.linalg.qr(np.concatenate([p["data"]["data"] for p in projs]).T)[0]
        own = np.linalg.qr(basis[:, :columns])[0]
        assert np.abs(vectors @ vectors.T - own @ own.T).max() < 1e-6


def test_far_dipole_is_biot_savart() -> None:
    # at distance d sideways of a current Q along y the field points along z
    gain = far_dipole_gain(
        np.array([[0.2, 0.0, 0.0], [0.4, 0.0, 0.0], [0.0, 0.3, 0.0]]),
        np.tile([0.0, 0.0, 1.0], (3, 1)),
        np.zeros(3),
        np.array([0.0, 1.0, 0.0]),
    )
    assert np.allclose(gain, [-1e-7 / 0.2**2, -1e-7 / 0.4**2, 0.0])
