"""From a header to an Info: names, kinds, units, calibration, Neuromag's own header."""

from __future__ import annotations

import struct
from typing import Any

import mne
import numpy as np
import pytest

from brainforge.acquisition.fieldtrip.codec import ChunkType, Header, data_type_of, name_chunk
from brainforge.acquisition.fieldtrip.driver import driver
from brainforge.acquisition.fieldtrip.kinds import kind_of
from brainforge.acquisition.fieldtrip.layout import Options, info_of, stored_dtype
from brainforge.acquisition.fieldtrip.neuromag import WIDTHS, device_to_head, read_info
from brainforge.archive.document import MNE_INFO
from brainforge.datasets.bundled import sample
from brainforge.errors import InputError
from brainforge.units import MEG_KINDS

NAMES = ("MEG0111", "MEG0112", "EEG 001", "STI101", "humidity")


def header(dtype: str = "float32", names: tuple[str, ...] = NAMES, **chunks: bytes) -> Header:
    more = tuple((int(ChunkType[key]), data) for key, data in chunks.items())
    return Header(len(names), 1000.0, data_type_of(dtype), chunks=(name_chunk(names), *more))


def info(head: Header, **options: Any):
    return info_of(head, Options(**options), "fieldtrip:here:1972")


@pytest.mark.parametrize(
    ("name", "kind", "coil"),
    [
        ("MEG0111", "mag", 3024), ("MEG 0112", "grad", 3012), ("MEG2643", "grad", 3012),
        ("MEG 011", "misc", 0), ("MLC11", "mag", 5001), ("MRT57-4504", "mag", 5001),
        ("BG1", "ref_mag", 5002), ("G11-2908", "ref_mag", 5003), ("R23", "ref_mag", 5003),
        ("STI101", "stim", 0), ("UPPT001", "stim", 0), ("EOG061", "eog", 0), ("VEOG", "eog", 0),
        ("ECG063", "ecg", 0), ("EMG1", "emg", 0), ("EEG 001", "eeg", 0), ("Cz", "misc", 0),
    ],
)  # fmt: skip
def test_kinds_by_name(name, kind, coil) -> None:
    assert kind_of(name) == (kind, coil)


def test_floats_are_si_or_what_the_user_says() -> None:
    assert [c.cal for c in info(header()).channels] == [1.0] * 5
    assert [c.kind for c in info(header()).channels] == ["mag", "grad", "eeg", "stim", "misc"]
    scaled = info(header(), unit="fT").channels
    assert [c.cal for c in scaled] == [1e-15, 1e-13, 1.0, 1.0, 1.0]


def test_integers_need_a_calibration() -> None:
    with pytest.raises(InputError, match="value of one count"):
        info(header("int32"))
    names = ("MEG0111", "MEG0112", "STI101")
    counted = info(header("int16", names), scale=2.0, unit="fT").channels
    assert [c.cal for c in counted] == pytest.approx([2e-15, 2e-13, 1.0])
    gains = np.array([1e-15, 1e-13, 0.5, 1, 1]).tobytes()
    counted = info(header("int16", RESOLUTIONS=gains)).channels
    assert [c.cal for c in counted] == pytest.approx([1e-15, 1e-13, 0.5e-6, 1, 1])
    for bad in (gains[:-8], np.array([1, np.nan, 1, 1, 1.0]).tobytes(), bytes(40)):
        with pytest.raises(InputError, match="value of one count"):
            info(header("int16", RESOLUTIONS=bad))


def test_names_that_say_nothing() -> None:
    with pytest.raises(InputError, match="kind=mag"):
        info(Header(3, 1000.0, 9))
    assert info(Header(3, 1000.0, 9), kind="mag").names == ("CH001", "CH002", "CH003")
    with pytest.raises(InputError, match="more than once"):
        info(header(names=("MEG0111", "MEG0111")))


@pytest.mark.parametrize(
    ("dtype", "stored"),
    [("int8", "int16"), ("uint8", "int16"), ("int16", "int16"), ("uint16", "int32"),
     ("int32", "int32"), ("uint32", "float64"), ("float32", "float32"), ("float64", "float64")],
)  # fmt: skip
def test_what_is_stored_is_exact(buffer, dtype, stored) -> None:
    assert stored_dtype(header(dtype)) == stored
    box = buffer()
    writer = box.writer(2, dtype=dtype)
    limits = np.iinfo(dtype) if dtype[0] in "iu" else np.finfo(dtype)
    data = np.array([[limits.min, limits.max], [0, 1]], dtype=dtype)
    it = driver(box.address, kind="mag", scale=1e-15)
    it.open(None)
    writer.put_data(data)
    packets: list[Any] = []
    while not packets:
        packets = it.receive(1.0)
    it.close()
    assert packets[0].data.dtype == stored
    assert np.array_equal(packets[0].data.astype(dtype), data)


@pytest.mark.parametrize("dtype", ["int64", "uint64"])
def test_what_cannot_be_stored_is_refused(buffer, dtype) -> None:
    box = buffer()
    box.writer(2, dtype=dtype)
    with pytest.raises(InputError, match="at most 32 bits"):
        driver(box.address, kind="mag", scale=1.0).open(None)


def test_what_may_name_the_subject_stays_behind(mne_info, tmp_path) -> None:
    named = mne_info[0].copy()
    with named._unlock():
        named["subject_info"] = {"last_name": "Doe", "first_name": "Jane", "his_id": "Jane Doe"}
    mne.io.write_info(tmp_path / "x-info.fif", named)
    fif = (tmp_path / "x-info.fif").read_bytes()
    assert b"Jane" in fif
    res4 = b"MEG41RS\0Jane Doe" + bytes(100)
    got = info(header("float32", tuple(named["ch_names"]), CTF_RES4=res4, NEUROMAG_HEADER=fif))
    kept = dict(got.extra)
    assert b"Jane" not in kept.pop(MNE_INFO)
    assert not kept


# Neuromag


def swap(data: bytes, *, cut_end: bool) -> bytes:
    """Write a FIF file's tags in the other byte order, as the acquisition machine does."""
    at, parts = 0, []
    while at + 16 <= len(data):
        kind, type_, size, following = struct.unpack_from(">iIii", data, at)
        body = data[at + 16 : at + 16 + size]
        width = WIDTHS.get(type_ & 0xFFF, 1)
        tail = b""
        if type_ & 0x40000000:
            n = 4 * (int.from_bytes(body[-4:], "big") + 1)
            body, tail = body[:-n], body[-n:]
        elif type_ == 30:
            body, tail = body[:80], body[80:]
        if len(body) % width == 0:
            body = b"".join(body[k : k + width][::-1] for k in range(0, len(body), width))
        if type_ & 0x40000000:
            tail = b"".join(tail[k : k + 4][::-1] for k in range(0, len(tail), 4))
        last = following < 0
        following = 0 if last and cut_end else following
        parts.append(struct.pack("<iIii", kind, type_, size, following) + body + tail)
        if last:
            break
        at = following or at + 16 + size
    return b"".join(parts)


@pytest.fixture(scope="module")
def mne_info(tmp_path_factory: pytest.TempPathFactory) -> tuple[mne.Info, bytes]:
    """A Vectorview system's info, and the bytes of its FIF file."""
    channels = [f"MEG {k:03d}{j}" for k in range(11, 30) for j in (1, 2, 3)]
    made = mne.create_info([*channels, "STI101"], 1000.0, [*["grad"] * len(channels), "stim"])
    rng = np.random.default_rng(5)
    with made._unlock():
        for row, ch in enumerate(made["chs"][:-1]):
            magnetometer = ch["ch_name"].endswith("1")
            ch["coil_type"] = 3024 if magnetometer else 3012
            ch["unit"] = 112 if magnetometer else 201
            ch["cal"], ch["range"] = 1e-9 * (row + 1), 1.0
            axes = np.linalg.qr(rng.standard_normal((3, 3)))[0]
            ch["loc"] = np.r_[0.1 * rng.standard_normal(3), axes.ravel()]
        made["dev_head_t"] = None
        made["line_freq"] = 60.0
    path = tmp_path_factory.mktemp("fif") / "x-info.fif"
    mne.io.write_info(path, made)
    return made, path.read_bytes()


@pytest.mark.parametrize("way", ["big", "little", "little without an end"])
def test_neuromag_headers_in_either_order(mne_info, way) -> None:
    made, data = mne_info
    sent = data if way == "big" else swap(data, cut_end=way != "little")
    got = read_info(sent)
    assert got["ch_names"] == made["ch_names"]
    for a, b in zip(got["chs"], made["chs"], strict=True):
        assert np.allclose(a["loc"], b["loc"], rtol=1e-6, equal_nan=True)
        assert (a["coil_type"], a["unit"]) == (b["coil_type"], b["unit"])
        assert a["cal"] == pytest.approx(b["cal"])
    assert got["line_freq"] == 60.0


def test_geometry_from_a_neuromag_header(mne_info) -> None:
    made, data = mne_info
    names = tuple(reversed(made["ch_names"][3:]))
    trans = np.eye(4, dtype=">f4")
    trans[:3, 3] = 0.01, 0.02, 0.03
    body = struct.pack(">ii", 1, 4) + trans[:3, :3].tobytes() + trans[:3, 3].tobytes()
    body += bytes(48)
    hpi = struct.pack(">iIii", 100, 31, 20, 0) + bytes(20)
    hpi += struct.pack(">iIii", 222, 35, len(body), -1) + body
    chunks = {"NEUROMAG_HEADER": swap(data, cut_end=True), "NEUROMAG_HPI": hpi}
    got = info(header("float32", names, **chunks))
    assert got.names == names
    assert got.line_freq == 60.0
    assert got.channel("MEG 0121").kind == "mag"
    assert got.channel("MEG 0121").cal == 1.0  # floats are calibrated already
    assert got.channel("MEG 0121").coil_type == 3024
    row = made["ch_names"].index("MEG 0121")
    assert np.allclose(got.channel("MEG 0121").loc, made["chs"][row]["loc"], atol=1e-6)
    assert got.dev_head_t is not None
    assert np.allclose(np.array(got.dev_head_t)[:3, 3], (0.01, 0.02, 0.03))
    assert device_to_head(hpi) == got.dev_head_t
    counted = info(header("int32", names, **chunks))
    assert counted.channel("MEG 0121").cal == pytest.approx(1e-9 * (row + 1))
    # without names the order of the header is that of the samples
    bare = Header(len(made["ch_names"]), 1000.0, 9, chunks=((8, chunks["NEUROMAG_HEADER"]),))
    assert info(bare).names == tuple(made["ch_names"])
    assert info(header("float32", names, **chunks), neuromag=False).channels[1].loc is None
    # a sender that has thinned the samples out says so in the buffer's own header
    thinned = Header(len(names), 250.0, 9, chunks=header("float32", names, **chunks).chunks)
    assert info(thinned).sfreq == 250.0


def test_a_header_of_other_channels_says_nothing(mne_info) -> None:
    got = info(header(NEUROMAG_HEADER=mne_info[1]))
    assert got.names == NAMES
    assert got.channel("MEG0111").loc is None


def test_the_real_recording_through_a_header() -> None:
    recording = sample()
    meg = recording.info.names_of(*MEG_KINDS)
    data = recording.info.extra[MNE_INFO]
    assert isinstance(data, bytes)
    names = tuple(n for n in recording.info.names if n in meg)
    got = info(header("float32", names, NEUROMAG_HEADER=swap(data, cut_end=True)))
    for name in names:
        a, b = got.channel(name), recording.info.channel(name)
        assert (a.kind, a.coil_type) == (b.kind, b.coil_type)
        assert a.loc == pytest.approx(b.loc)


@pytest.mark.parametrize("seed", range(20))
def test_broken_neuromag_headers_are_refused_in_one_line(mne_info, seed) -> None:
    data = bytearray(swap(mne_info[1], cut_end=bool(seed % 2)))
    rng = np.random.default_rng(seed)
    print("seed", seed)
    for _ in range(20):
        data[int(rng.integers(len(data)))] = int(rng.integers(256))
    del data[int(rng.integers(len(data) // 2, len(data))) :]
    said = ""
    try:
        read_info(bytes(data))
    except InputError as error:
        said = str(error)
    assert "\n" not in said
    assert not said or "neuromag=off" in said


def test_no_fif_at_all() -> None:
    with pytest.raises(InputError, match="FIF"):
        info(header(NEUROMAG_HEADER=b"hello"))
