"""From the XML of an LSL stream to an Info, and what is refused on the way."""

from __future__ import annotations

import mne
import numpy as np
import pytest

from brainforge.acquisition.lsl_info import (
    LOC,
    info_from_description,
    parse_description,
    parse_unit,
)
from brainforge.errors import InputError
from brainforge.info import Info


def document(
    channels: str, n: int, *, rate: float = 1000.0, kind: str = "MEG", more: str = ""
) -> str:
    return f"""<?xml version="1.0"?>
    <info><name>OPM</name><type>{kind}</type><channel_count>{n}</channel_count>
    <nominal_srate>{rate}</nominal_srate><channel_format>float32</channel_format>
    <source_id>serial 12</source_id><uid>u-1</uid><hostname>acq</hostname>
    <desc>{more}<channels>{channels}</channels></desc></info>"""


def channel(label: str, kind: str = "", unit: str = "", more: str = "") -> str:
    return f"<channel><label>{label}</label><type>{kind}</type><unit>{unit}</unit>{more}</channel>"


def read(xml: str, unit: str | None = None) -> Info:
    return info_from_description(parse_description(xml), unit)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fT", ("T", 1e-15)), ("pT", ("T", 1e-12)), ("nT", ("T", 1e-9)), ("T", ("T", 1.0)),
        ("ft", ("T", 1e-15)), ("femtotesla", ("T", 1e-15)), ("Tesla", ("T", 1.0)),
        ("fT/cm", ("T/m", 1e-13)), ("T/m", ("T/m", 1.0)),
        ("V", ("V", 1.0)), ("uV", ("V", 1e-6)), ("µV", ("V", 1e-6)), ("\u03bcV", ("V", 1e-6)),
        ("microvolts", ("V", 1e-6)), ("millivolt", ("V", 1e-3)), (" mV ", ("V", 1e-3)),
        ("0", ("*", 1.0)), ("-15", ("*", 1e-15)),
        ("furlong", None), ("", None), ("400", None), ("1e-15", None),
    ],
)  # fmt: skip
def test_units(text: str, expected: tuple[str, float] | None) -> None:
    got = parse_unit(text)
    if expected is None:
        assert got is None
    else:
        assert got is not None
        assert got[0] == expected[0]
        assert got[1] == pytest.approx(expected[1])


def test_kinds_and_units_are_joined() -> None:
    rows = [
        ("A", "MEG", "fT", "mag", 1e-15), ("B", "grad", "fT/cm", "grad", 1e-13),
        ("C", "MEG", "T/m", "grad", 1.0), ("D", "ref_meg", "pT", "ref_mag", 1e-12),
        ("E", "EEG", "microvolts", "eeg", 1e-6), ("F", "", "nT", "mag", 1e-9),
        ("G", "TRIG", "", "stim", 1.0), ("H", "gizmo", "parsec", "misc", 1.0),
        ("I", "ECG", "mV", "ecg", 1e-3), ("J", "mag", "-15", "mag", 1e-15),
    ]  # fmt: skip
    xml = document("".join(channel(*row[:3]) for row in rows), len(rows))
    info = read(xml)
    assert info.names == tuple(row[0] for row in rows)
    assert [c.kind for c in info.channels] == [row[3] for row in rows]
    assert np.allclose([c.cal for c in info.channels], [row[4] for row in rows], rtol=1e-12)
    assert info.sfreq == 1000.0
    assert info.extra["lsl"] == {
        "name": "OPM", "type": "MEG", "host": "acq", "source_id": "serial 12", "uid": "u-1",
    }  # fmt: skip


def test_places_in_millimetres_and_axes() -> None:
    place = "<location><X>10</X><Y>-20</Y><Z>90.5</Z></location>"
    axis = "<orientation><X>0</X><Y>0</Y><Z>1.001</Z></orientation>"
    torn = "<location><X>10</X><Y>nonsense</Y><Z>90.5</Z></location>"
    info = read(
        document(
            channel("A", "mag", "fT", place + axis)
            + channel("B", "mag", "fT", place)
            + channel("C", "mag", "fT", torn),
            3,
        )
    )
    a, b, c = info.channels
    assert a.position == pytest.approx((0.01, -0.02, 0.0905))
    assert a.orientation == pytest.approx((0, 0, 1))
    assert a.loc is not None
    assert a.coil_type == 2000
    assert b.position == a.position
    assert (b.orientation, b.loc) == (None, None)
    assert c.position is None


def test_what_mne_lsl_says_is_understood() -> None:
    mne_lsl = pytest.importorskip("mne_lsl.lsl")
    said = mne.create_info(
        ["M1", "M2", "G1", "E1", "S1"], 600.0, ["mag", "mag", "grad", "eeg", "stim"]
    )
    rng = np.random.default_rng(3)
    for row in said["chs"][:3]:
        row["loc"][:] = np.r_[rng.normal(0, 0.05, 3), np.eye(3).ravel()]
        row["coil_type"] = mne.io.constants.FIFF.FIFFV_COIL_QUSPIN_ZFOPM_MAG
    stream = mne_lsl.StreamInfo("player", "meg", 5, 600.0, "float32", "x")
    stream.set_channel_info(said)
    info = read(stream.as_xml)
    assert info.names == tuple(said["ch_names"])
    assert [c.kind for c in info.channels] == ["mag", "mag", "grad", "eeg", "stim"]
    assert [c.cal for c in info.channels] == [1.0] * 5
    for row, got in zip(said["chs"][:3], info.channels, strict=False):
        assert np.allclose(got.loc, row["loc"])
        assert got.coil_type == row["coil_type"]


def test_without_descriptions_the_stream_type_and_the_unit_option_count() -> None:
    xml = document("", 3)
    with pytest.raises(InputError, match=r"channel CH001 \(mag\): expected a unit of T, got none"):
        read(xml)
    info = read(xml, "pT")
    assert info.names == ("CH001", "CH002", "CH003")
    assert {(c.kind, c.cal) for c in info.channels} == {("mag", 1e-12)}
    assert {c.kind for c in read(document("", 2, kind="gaze")).channels} == {"misc"}


@pytest.mark.parametrize(
    ("xml", "message"),
    [
        (document(channel("A", "MEG", "V"), 1), "expected a unit of T, got 'V'"),
        (document(channel("A", "EEG", "fT"), 1), "expected a unit of V, got 'fT'"),
        (document(channel("A", "MEG", "gauss"), 1), "got 'gauss'; the sender has to name it"),
        (document(channel("A", "MEG", "fT"), 2), "descriptions of 2 channels, got 1 of them"),
        (document(channel("A", "MEG", "fT") * 2, 2), "A more than once"),
        (document(channel("A", "MEG", "fT"), 1, rate=0), "a regular sampling rate"),
        (document(channel("A", "MEG", "fT"), 1, rate=float("nan")), "a regular sampling rate"),
        ("<info><name>", "a stream's description"),
        ("<info><channel_count>many</channel_count></info>", "a stream's description"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><info/>', "declares entities"),
    ],
)  # fmt: skip
def test_what_is_refused(xml: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read(xml, "fT")
    assert "\n" not in str(caught.value)


def test_the_unit_option_does_not_override_what_a_stream_says() -> None:
    xml = document(channel("A", "MEG", "pT") + channel("B", "MEG", "none"), 2)
    assert [c.cal for c in read(xml, "fT").channels] == [1e-12, 1e-15]


def test_filters_and_maker() -> None:
    more = (
        "<filters><highpass>0.1</highpass><lowpass>150</lowpass></filters>"
        "<acquisition><manufacturer>ACME</manufacturer></acquisition>"
    )
    info = read(document(channel("A", "MEG", "fT"), 1, more=more))
    assert (info.highpass, info.lowpass, info.device) == (0.1, 150.0, "ACME")
    assert len(LOC) == 12
