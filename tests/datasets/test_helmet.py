from __future__ import annotations

import numpy as np
import pytest

from brainforge.datasets.helmet import (
    HEAD_CENTER,
    HEAD_RADIUS,
    helmet_directions,
    opm_channels,
    sensor_array,
    tangents,
)
from brainforge.errors import InputError


@pytest.mark.parametrize("n", [1, 2, 16, 64, 306, 500])
def test_any_number_of_points_is_spread_evenly(n: int) -> None:
    unit = helmet_directions(n)
    assert unit.shape == (n, 3)
    assert np.allclose(np.linalg.norm(unit, axis=1), 1.0)
    if n >= 16:
        gap = np.linalg.norm(unit[:, None] - unit[None], axis=2) + 9 * np.eye(n)
        nearest = gap.min(axis=1)
        assert nearest.max() < 1.4 * nearest.min()


def test_the_helmet_covers_the_head_but_not_the_face() -> None:
    unit = helmet_directions(306)
    assert not np.any((unit[:, 1] > 0.9) & (unit[:, 2] < 0.2))
    assert np.any((unit[:, 1] < -0.8) & (unit[:, 2] < -0.2))
    assert abs(unit[:, 0].mean()) < 0.02


def test_sensors_lie_just_outside_the_head() -> None:
    array = sensor_array(306)
    radius = np.linalg.norm(array.positions - HEAD_CENTER, axis=1)
    assert radius.min() > HEAD_RADIUS + 0.006
    assert radius.max() < HEAD_RADIUS + 0.016
    outward = np.sum(array.orientations * (array.positions - HEAD_CENTER), axis=1) / radius
    assert np.allclose(outward, 1.0)


def test_triaxial_sites_hold_three_right_angles() -> None:
    array = sensor_array(30, "triaxial")
    axes = array.orientations.reshape(10, 3, 3)
    assert np.allclose(axes @ axes.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(axes), 1.0)
    assert array.names[:3] == ("OPM001_RAD", "OPM001_TA1", "OPM001_TA2")
    assert np.array_equal(array.positions[0], array.positions[2])


def test_tangents_are_safe_for_every_direction() -> None:
    unit = np.concatenate([np.eye(3), -np.eye(3), helmet_directions(40)])
    first, second = tangents(unit)
    frame = np.stack([first, second, unit], axis=1)
    assert np.allclose(frame @ frame.transpose(0, 2, 1), np.eye(3), atol=1e-12)
    assert np.allclose(np.linalg.det(frame), 1.0)


def test_channels_say_what_mne_needs() -> None:
    import mne

    array = sensor_array(20)
    channels = opm_channels(array, cal=50e-15, rails=(-32767, 32767))
    info = mne.create_info([c.name for c in channels], 1000.0, "mag")
    for entry, channel in zip(info["chs"], channels, strict=True):
        entry["loc"], entry["coil_type"] = np.array(channel.loc), channel.coil_type
    coil = mne.forward._make_forward._create_meg_coils(info["chs"], "normal")
    assert np.allclose([c["r0"] for c in coil], array.positions)
    # the sensor's own axis is what its weighted integration points measure
    assert np.allclose([c["cosmag"].mean(axis=0) for c in coil], array.orientations)
    assert channels[0].rails == (-32767, 32767)


@pytest.mark.parametrize("n, layout", [(0, "radial"), (-3, "radial"), (10, "triaxial")])
def test_impossible_numbers_are_refused(n: int, layout: str) -> None:
    with pytest.raises(InputError, match="n_channels: expected a positive number"):
        sensor_array(n, layout)


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(InputError, match="radial or triaxial"):
        sensor_array(10, "planar")
