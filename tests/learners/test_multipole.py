"""Multipole models of recordings: origin, bad channels, what is told, refusals, a real one."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from brainforge.datasets.helmet import HEAD_CENTER, opm_channels, sensor_array
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.learners.field import learn_field_correction
from brainforge.learners.head_origin import fit_sphere, head_origin
from brainforge.learners.multipole import learn_multipoles
from brainforge.recipe import recipe_from_toml
from brainforge.units import to_working
from tests.helmets import helmet_info


def opm_info(n=306, layout="triaxial", **fields):
    channels = opm_channels(sensor_array(n, layout), cal=1e-15, rails=(-9, 9))
    return Info(250.0, channels, **fields)


def shifted(info, by):
    """Return an Info whose device frame lies ``by`` metres from the head frame."""
    move = np.eye(4)
    move[:3, 3] = by
    return replace(info, dev_head_t=tuple(map(tuple, move.tolist())))


@pytest.mark.parametrize("model, inside, outside", [("sss", 80, 15), ("amm", 99, 8)])
def test_method_of_the_field_correction(model, inside, outside):
    info = opm_info()
    bads = ("OPM007_RAD", "OPM050_TA1")
    operator = learn_field_correction(info, bads, method=model)
    assert operator.names == info.names
    params = json.loads(json.dumps(operator.params))
    assert (params["method"], params["rank"]) == (model, inside)
    assert (params["n_inside"], params["n_outside"]) == (inside, outside)
    assert params["n_removed"] == 304 - inside
    np.testing.assert_allclose(params["origin"], HEAD_CENTER, atol=2e-3)
    assert operator.pick([n for n in info.names if n not in bads]).rank == inside
    rows = operator.rows(bads)
    assert not operator.matrix[:, rows].any()
    assert f"fitted on 304 channels: {inside} dimensions left" in operator.description
    assert ("axis" in params.get("spheroid", {})) == (model == "amm")


def test_a_bad_channel_is_said_by_the_good_ones():
    info = opm_info()
    plain = learn_field_correction(info, method="sss").matrix
    without = learn_field_correction(info, ("OPM030_RAD",), method="sss").matrix
    x = plain @ np.random.default_rng(0).standard_normal(306)
    np.testing.assert_allclose(without @ x, x, atol=1e-6 * np.abs(x).max())


def test_channels_without_geometry_stay_as_they_are():
    info = opm_info()
    lost = replace(info, channels=(*info.channels, Channel("X", "mag")))
    operator = learn_field_correction(lost, method="amm")
    assert operator.matrix[306, 306] == 1
    assert operator.params["rank"] == 100
    assert operator.pick(lost.names).rank == 100


def test_the_origin():
    info = opm_info()
    origin, source = head_origin(info)
    assert source == "sensors"
    np.testing.assert_allclose(origin, HEAD_CENTER, atol=3e-3)
    moved = shifted(info, (0.01, 0.0, 0.02))
    origin, source = head_origin(moved)
    assert source == "head frame"
    np.testing.assert_allclose(origin, [-0.01, 0.0, 0.02])
    origin, source = head_origin(moved, (0.0, 0.0, 0.05))
    assert source == "given"
    aside = head_origin(shifted(info, (0.0, 0.0, 0.07)))
    assert aside[1] == "sensors"
    np.testing.assert_allclose(aside[0], HEAD_CENTER, atol=3e-3)
    np.testing.assert_allclose(origin, [-0.01, 0.0, 0.03])
    np.testing.assert_allclose(head_origin(info, (0.0, 0.0, 0.05))[0], [0, 0, 0.05])
    given = learn_multipoles(info, model="sss", origin=(0.0, 0.0, 0.045), orders=(6, 2))
    assert given.params["origin"] == [0.0, 0.0, 0.045]
    assert given.params["orders"] == [6, 2]
    with pytest.raises(InputError, match="three finite metres"):
        head_origin(info, (0.0, 0.0))
    with pytest.raises(InputError, match="positions of sensors"):
        head_origin(Info(250.0, (Channel("A", "mag"),)))


def test_a_sphere_is_fitted():
    unit = np.random.default_rng(0).standard_normal((40, 3))
    unit /= np.linalg.norm(unit, axis=1)[:, None]
    centre, radius = fit_sphere(0.09 * unit + [0.01, 0.02, 0.03])
    np.testing.assert_allclose(centre, [0.01, 0.02, 0.03], atol=1e-9)
    assert radius == pytest.approx(0.09)


def test_refusals():
    with pytest.raises(InputError, match="at least 95 good channels for 95 fields, got 64"):
        learn_field_correction(helmet_info(64), method="sss")
    with pytest.raises(InputError, match="at least 120 good channels for 107 fields, got 96"):
        learn_field_correction(opm_info(96), method="amm")
    with pytest.raises(InputError, match="at least 120 good channels for 107 fields, got 119"):
        learn_field_correction(opm_info(120), ("OPM001_RAD",), method="amm")
    for method in ("sss", "amm"):
        with pytest.raises(InputError, match="apart"):
            learn_field_correction(opm_info(306, "radial"), method=method)
        nowhere = Info(250.0, tuple(Channel(f"M{i}", "mag") for i in range(200)))
        with pytest.raises(InputError, match="0 of 200 channels with both"):
            learn_field_correction(nowhere, method=method)
    with pytest.raises(InputError, match="sss or amm"):
        learn_multipoles(opm_info(), model="hfc")


def test_recipes_know_the_methods():
    for method in ("sss", "amm"):
        text = f'name = "a"\n[field_correction]\nmethod = "{method}"'
        assert recipe_from_toml(text).field_correction.method == method


@pytest.mark.shared_data
def test_a_real_recording_gets_the_origin_and_the_signal_that_mne_gives_it(shared_data):
    import mne

    from brainforge.readers.open import open_recording

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    info = open_recording(path).info
    operator = learn_field_correction(info, ("MEG 2443",), method="sss")
    theirs = mne.bem.fit_sphere_to_headshape(
        mne.io.read_info(path, verbose="error"), units="m", verbose="error"
    )[2]
    np.testing.assert_allclose(operator.params["origin"], theirs, atol=1e-6)
    assert operator.params["origin_from"] == "digitised scalp"
    assert operator.params["condition"] < 1000
    raw = mne.io.read_raw_fif(path, verbose="error").crop(0, 1).pick("meg").load_data()
    raw.info["bads"] = ["MEG 2443"]
    scale = np.array([to_working(info.channel(n).kind) for n in operator.names])[:, None]
    got = operator.matrix @ (scale * raw.get_data(list(operator.names)))
    with single_threaded_blas():
        raw = mne.preprocessing.maxwell_filter(raw, regularize=None, verbose="error")
    want = scale * raw.get_data(list(operator.names))
    assert np.linalg.norm(got - want) < 1e-3 * np.linalg.norm(want)
    # below rank 305 by far: nothing but the inside part is left
    assert operator.params["rank"] == operator.params["n_inside"] <= 80


@pytest.mark.shared_data
@pytest.mark.parametrize(
    "file, origin",
    [
        ("ctf275_2400Hz/test_ctf_raw.fif", (0.0, 0.0, 0.04)),
        ("bti248_magnes/test_pdf_linux", (0.0, 0.02, 0.05)),
        ("kit157_1kHz/test.sqd", (0.0, 0.0, -0.02)),
    ],
)
def test_other_arrays_equal_mne(shared_data, file, origin):
    import mne

    from brainforge.readers.open import open_recording

    path = shared_data / file
    kind = file[:3]
    if kind == "ctf":
        raw = mne.io.read_raw_fif(path, verbose="error")
        raw.apply_gradient_compensation(0, verbose="error")
    elif kind == "bti":
        raw = mne.io.read_raw_bti(
            path, path.with_name("test_config_linux"), path.with_name("test_hs_linux"),
            verbose="error",
        )  # fmt: skip
    else:
        raw = mne.io.read_raw_kit(path, verbose="error")
    info = open_recording(path).info
    found = learn_multipoles(info, model="sss", origin=origin, max_condition=None)
    raw.load_data(verbose="error").pick(list(found.names), verbose="error").crop(0, 0.05)
    x = raw.get_data(list(found.names))
    with single_threaded_blas():
        theirs = mne.preprocessing.maxwell_filter(
            raw, origin=origin, regularize=None, bad_condition="ignore", ignore_ref=True,
            verbose="error",
        ).get_data(list(found.names))  # fmt: skip
    got = found.split.matrix() @ x
    assert np.linalg.norm(got - theirs) < 1e-4 * np.linalg.norm(theirs)
