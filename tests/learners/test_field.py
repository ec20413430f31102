"""Field correction: which method for which recording, equality with MNE, rank, bad channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainforge.errors import InputError
from brainforge.info import Channel, Info, Projector
from brainforge.kernels.harmonics import regular_fields
from brainforge.kernels.sensors import SensorPoints
from brainforge.learners.coils import has_geometry, sensor_points
from brainforge.learners.field import learn_field_correction
from tests.helmets import helmet_info

BADS = ("OPM004", "OPM020")


def homogeneous(info: Info) -> np.ndarray:
    return SensorPoints.magnetometers(info.positions(), info.orientations()).measure(
        regular_fields(info.positions(), 1)
    )


def test_magnetometers_get_harmonic_correction_and_rank_is_kept():
    info = helmet_info(64)
    operator = learn_field_correction(info, BADS)
    assert operator.names == info.names
    assert operator.params["method"] == "hfc"
    assert (operator.params["n_removed"], operator.params["rank"]) == (3, 59)
    far = homogeneous(info)
    assert np.abs(operator.matrix @ far).max() < 1e-12 * np.abs(far).max()
    good = [n for n in info.names if n not in BADS]
    assert operator.pick(good).rank == 59
    rows = operator.rows(BADS)
    others = np.setdiff1d(np.arange(64), rows)
    assert not operator.matrix[np.ix_(others, rows)].any()
    assert "order 1 fitted on 62 channels: 3 dimensions removed" in operator.description


def test_bads_of_info_count_and_other_kinds_are_not_in_it():
    info = helmet_info(64).with_bads(BADS)
    wide = replace(info, channels=(Channel("STI", "stim"), *info.channels, Channel("E", "eeg")))
    a, b = learn_field_correction(wide), learn_field_correction(helmet_info(64), BADS)
    assert a.names == b.names
    np.testing.assert_array_equal(a.matrix, b.matrix)


def test_the_order_falls_where_channels_are_few():
    for n, order in ((64, 3), (40, 2), (20, 1)):
        assert learn_field_correction(helmet_info(n), order=3).params["order"] == order
    few = learn_field_correction(helmet_info(11))
    assert few.is_identity
    assert "11 good sensors are too few" in few.description


def test_channels_without_geometry_stay_and_are_not_used():
    info = helmet_info(64)
    lost = replace(info.channels[7], position=None)
    placed = replace(info, channels=(*info.channels[:7], lost, *info.channels[8:]))
    operator = learn_field_correction(placed)
    np.testing.assert_array_equal(operator.matrix[7], np.eye(64)[7])
    np.testing.assert_array_equal(operator.matrix[:, 7], np.eye(64)[7])
    nowhere = replace(
        info, channels=tuple(replace(c, position=None, orientation=None) for c in info.channels)
    )
    none = learn_field_correction(nowhere)
    assert none.is_identity
    assert "unknown" in none.description
    assert not has_geometry(replace(info.channels[0], position=(0.0, 0.0, 0.0)))


def test_axial_gradiometers_are_left_to_references():
    info = helmet_info(64)
    axial = replace(info, channels=tuple(replace(c, coil_type=5001) for c in info.channels))
    operator = learn_field_correction(axial)
    assert operator.is_identity
    assert "axial" in operator.description
    field = regular_fields(sensor_points(axial, axial.names).positions, 1)
    seen = sensor_points(axial, axial.names).measure(field)
    np.testing.assert_allclose(seen, 0, atol=1e-12)


def test_projectors_of_mixed_units_are_the_same_map_as_in_si():
    rng = np.random.default_rng(0)
    channels = (
        *(Channel(f"M{i}", "mag") for i in range(6)),
        *(Channel(f"G{i}", "grad") for i in range(6)),
    )
    names = tuple(c.name for c in channels)
    scale = np.r_[np.full(6, 1e-12), np.full(6, 1e-11)]
    vectors = rng.standard_normal((2, 12)) * scale
    projs = (
        Projector("a", names[::-1], (tuple(vectors[0, ::-1]),)),
        Projector("b", (*names, "EEG"), ((*vectors[1], 0.3),)),
        Projector("c", ("EEG",), ((1.0,),)),
    )
    operator = learn_field_correction(Info(250.0, channels, projs=projs))
    assert operator.params["n_removed"] == 2
    working = vectors * np.r_[np.full(6, 1e15), np.full(6, 1e13)]
    np.testing.assert_allclose(operator.matrix @ working.T, 0, atol=1e-9 * np.abs(working).max())
    assert operator.rank == 10


def test_gradiometers_without_projectors_and_none():
    info = Info(250.0, tuple(Channel(f"G{i}", "grad") for i in range(20)))
    assert "no projectors" in learn_field_correction(info).description
    off = learn_field_correction(helmet_info(64), method="none")
    assert off.is_identity
    assert off.params["rank"] == 64


def test_what_is_asked_for_and_cannot_be_done_is_refused():
    with pytest.raises(InputError, match="projectors in the recording"):
        learn_field_correction(helmet_info(64), method="ssp")
    with pytest.raises(InputError, match="at least 6 good channels"):
        learn_field_correction(helmet_info(5), method="hfc")
    with pytest.raises(InputError, match="field method"):
        learn_field_correction(helmet_info(64), method="magic")


@pytest.mark.shared_data
def test_the_recordings_own_projectors_equal_mne(shared_data):
    import mne

    from brainforge.readers.open import open_recording

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    info = open_recording(path).info
    operator = learn_field_correction(info, ("MEG 2443", "MEG 0111"))
    assert operator.params["method"] == "ssp"
    raw = mne.io.read_raw_fif(path, verbose="error").crop(0, 1).pick("meg").load_data()
    si = raw.get_data()
    raw.info["bads"] = ["MEG 2443", "MEG 0111"]
    want = raw.apply_proj(verbose="error").get_data()
    good = [n for n in operator.names if n not in raw.info["bads"]]
    units = np.where(np.array(raw.get_channel_types()) == "mag", 1e15, 1e13)[:, None]
    assert operator.names == tuple(raw.ch_names)
    got = operator.matrix @ (si * units)
    rows = operator.rows(good)
    np.testing.assert_allclose(got[rows], (want * units)[rows], atol=1e-6)
    assert operator.pick(good).rank == operator.params["rank"] == 304 - 3


@pytest.mark.shared_data
@pytest.mark.parametrize("order", [1, 2, 3])
def test_coil_points_equal_mne(shared_data, order):
    import mne

    from brainforge.kernels.hfc import hfc_basis, subspace
    from brainforge.readers.open import open_recording

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    info = open_recording(path).info
    raw = mne.io.read_raw_fif(path, verbose="error")
    for kind, first in (("mag", 0), ("grad", 3)):
        projs = mne.preprocessing.compute_proj_hfc(
            raw.info, order, picks=kind, exclude=(), accuracy="normal", verbose="error"
        )
        # what gradiometers see of homogeneous fields is rounding, which MNE scales up
        x = np.concatenate([p["data"]["data"] for p in projs]).T[:, first:]
        ours = subspace(hfc_basis(sensor_points(info, info.names_of(kind)), order))
        assert ours.shape[1] == order * (order + 2) - first
        # axes in the file are rounded to 1e-5, and "normal" spreads a coil over four points
        left = np.linalg.norm(x - ours @ (ours.T @ x))
        assert left < {1: 1e-4, 2: 2e-3, 3: 0.02}[order]
