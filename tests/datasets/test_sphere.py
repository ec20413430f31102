from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.helmet import HEAD_CENTER, opm_channels, sensor_array
from brainforge.datasets.sphere import sphere_gain
from brainforge.errors import InputError
from tests.reference.sphere import sphere_field


def dipoles(n: int, seed: int = 3) -> np.ndarray:
    rng = np.random.default_rng(seed)
    unit = rng.standard_normal((n, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    return np.asarray(HEAD_CENTER) + rng.uniform(0.01, 0.08, (n, 1)) * unit


@pytest.mark.parametrize("n_sensors, n_dipoles", [(1, 1), (30, 7), (12, 0)])
def test_equals_the_reference(n_sensors: int, n_dipoles: int) -> None:
    array = sensor_array(n_sensors)
    places = dipoles(n_dipoles).reshape(-1, 3)
    gain = sphere_gain(array.positions, array.orientations, places)
    assert gain.shape == (n_sensors, n_dipoles, 3)
    for s in range(n_sensors):
        for d in range(n_dipoles):
            for k in range(3):
                field = sphere_field(array.positions[s], places[d], np.eye(3)[k], HEAD_CENTER)
                expected = field @ array.orientations[s]
                assert gain[s, d, k] == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_equals_mne() -> None:
    import mne

    array = sensor_array(60, "triaxial")
    info = mne.create_info(list(array.names), 1000.0, "mag")
    point = 2000  # FIFF coil type of a point magnetometer
    for entry, channel in zip(info["chs"], opm_channels(array, cal=1.0, rails=(-1, 1))):
        entry["loc"], entry["coil_type"] = np.array(channel.loc), point
    with info._unlock():
        info["dev_head_t"] = mne.Transform("meg", "head", np.eye(4))
    places = dipoles(20)
    src = mne.setup_volume_source_space(
        pos={"rr": places, "nn": np.tile([0.0, 0.0, 1.0], (20, 1))}, verbose=False
    )
    sphere = mne.make_sphere_model(r0=HEAD_CENTER, head_radius=None, verbose=False)
    forward = mne.make_forward_solution(
        info, trans=None, src=src, bem=sphere, meg=True, eeg=False, mindist=0, verbose=False
    )
    expected = forward["sol"]["data"].reshape(60, -1, 3)
    gain = sphere_gain(array.positions, array.orientations, forward["source_rr"])
    assert np.abs(gain - expected).max() <= 1e-6 * np.abs(expected).max()


def test_radial_dipoles_are_silent() -> None:
    array, places = sensor_array(99, "triaxial"), dipoles(15)
    gain = sphere_gain(array.positions, array.orientations, places)
    radial = places - HEAD_CENTER
    radial /= np.linalg.norm(radial, axis=1, keepdims=True)
    silent = np.einsum("sdk,dk->sd", gain, radial)
    assert np.abs(silent).max() < 1e-12 * np.abs(gain).max()


def test_a_source_in_the_centre_is_silent() -> None:
    array = sensor_array(20)
    gain = sphere_gain(array.positions, array.orientations, np.array([HEAD_CENTER]))
    assert np.all(gain == 0.0)


def test_dipoles_beyond_the_sensors_are_refused() -> None:
    array = sensor_array(20)
    with pytest.raises(InputError, match="nearer to the centre"):
        sphere_gain(array.positions, array.orientations, 2 * array.positions)


def test_wrong_shapes_are_refused() -> None:
    array = sensor_array(20)
    with pytest.raises(InputError, match=r"\(sensor, 3\)"):
        sphere_gain(array.positions[:, :2], array.orientations, array.positions)
