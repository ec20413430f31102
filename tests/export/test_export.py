"""Out to MNE, FIF and BIDS, and back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import mne
import numpy as np
import pytest

from brainforge.archive import import_recording, open_archive
from brainforge.block import Cause, Mask
from brainforge.datasets import sample
from brainforge.errors import InputError, OutputError
from brainforge.export import export_bids, export_fif, to_raw
from brainforge.info import Channel, Info
from brainforge.readers import open_recording
from brainforge.recording import Annotation, Event, Gap, Recording, recording_from_array


def opm(**fields) -> Recording:
    rng = np.random.default_rng(0)
    axis = (0.0, 0.0, 1.0)
    channels = tuple(
        Channel(
            f"L{i} [Z]",
            "mag",
            cal=1e-12,
            position=(0.01 * i, 0.0, 0.1),
            orientation=axis,
            loc=(0.01 * i, 0.0, 0.1, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, *axis),
            coil_type=8002,
            bad=i == 1,
        )
        for i in range(4)
    )
    identity = tuple(tuple(float(i == j) for j in range(4)) for i in range(4))
    info = Info(500.0, channels, line_freq=50.0, dev_head_t=identity)
    return recording_from_array(rng.normal(0, 1, (4, 2500)), info, 300, **fields)


def test_the_sample_as_mne_reads_the_original(shared_data: Path) -> None:
    path = shared_data / "megin306_sample_int16/test_raw.fif"
    theirs = mne.io.read_raw_fif(path, verbose="error")
    ours = to_raw(sample())
    np.testing.assert_array_equal(ours.get_data(), theirs.get_data())
    assert ours.first_samp == theirs.first_samp
    assert ours.ch_names == theirs.ch_names
    assert ours.get_channel_types() == theirs.get_channel_types()
    for a, b in zip(ours.info["chs"], theirs.info["chs"], strict=True):
        np.testing.assert_array_equal(a["loc"], b["loc"])
        assert a["coil_type"] == b["coil_type"]
    assert ours.info["dev_head_t"] == theirs.info["dev_head_t"]
    assert len(ours.info["dig"]) == len(theirs.info["dig"])
    assert ours.info["meas_date"] == theirs.info["meas_date"]
    for a, b in zip(ours.info["projs"], theirs.info["projs"], strict=True):
        np.testing.assert_array_equal(a["data"]["data"], b["data"]["data"])
    events = [mne.find_events(r, "STI 014", verbose="error") for r in (ours, theirs)]
    np.testing.assert_array_equal(*events)


def test_ctf_compensation_survives(shared_data: Path, tmp_path: Path) -> None:
    recording = open_recording(shared_data / "ctf275_2400Hz/test_ctf_raw.fif")
    back = to_raw(open_archive(import_recording(recording, tmp_path / "a.zarr")))
    assert len(back.info["comps"]) == 5


def test_gaps_bads_masks_and_events() -> None:
    recording = opm(
        gaps=(Gap(800, 900, "lost"),),
        events=(Event(1000, 3, "x"),),
        annotations=(Annotation(400, 500, "closed"),),
        masks=(Mask(("L2 [Z]",), 600, 650, Cause.RAILED),),
    )
    raw = to_raw(recording)
    data = raw.get_data()
    assert np.isnan(data[:, 500:600]).all()
    assert np.isfinite(np.delete(data, np.s_[500:600], axis=1)).all()
    assert raw.info["bads"] == ["L1 [Z]"]
    notes = {n["description"]: n for n in raw.annotations}
    assert set(notes) == {"BAD_ACQ_SKIP", "BAD_railed", "closed", "3"}
    assert notes["BAD_ACQ_SKIP"]["onset"] == pytest.approx(1.6)  # from absolute sample 0
    assert notes["BAD_railed"]["ch_names"] == ("L2 [Z]",)
    assert notes["3"]["onset"] == pytest.approx(2.0)
    filtered = raw.filter(1, 40, verbose="error").get_data()
    assert np.isfinite(np.delete(filtered, np.s_[500:600], axis=1)).all()


def test_fif_and_back_with_its_gap(tmp_path: Path) -> None:
    recording = opm(gaps=(Gap(800, 1300, "lost"),))
    path = export_fif(recording, tmp_path / "x_raw.fif")
    back = open_recording(path)
    assert (back.start, back.stop) == (300, 2800)
    assert [(g.start, g.stop) for g in back.gaps] == [(800, 1300)]
    assert back.info.channels[0].coil_type == 8002
    np.testing.assert_allclose(
        back.read(1300, 2800).to_si(), recording.read(1300, 2800).to_si(), rtol=1e-6
    )


def test_fif_refuses(tmp_path: Path) -> None:
    (tmp_path / "x_raw.fif").write_text("mine")
    with pytest.raises(OutputError, match="exists"):
        export_fif(opm(), tmp_path / "x_raw.fif")
    assert (tmp_path / "x_raw.fif").read_text() == "mine"
    with pytest.raises(InputError, match="fif"):
        export_fif(opm(), tmp_path / "x.edf")
    with pytest.raises(OutputError, match="cannot be written"):
        export_fif(opm(), tmp_path / "none" / "x_raw.fif")


def test_bids_keeps_opm_coils(tmp_path: Path) -> None:
    mne_bids = pytest.importorskip("mne_bids")
    path = export_bids(opm(), tmp_path / "bids", "01", "rest")
    assert path.is_file()
    target = mne_bids.BIDSPath(subject="01", task="rest", root=tmp_path / "bids", datatype="meg")
    raw = mne_bids.read_raw_bids(target, verbose="error")
    assert {int(ch["coil_type"]) for ch in raw.info["chs"]} == {8002}
    assert raw.info["bads"] == ["L1 [Z]"]
    assert raw.info["line_freq"] == 50.0
    recording = open_recording(path)
    np.testing.assert_allclose(
        recording.read(300, 2800).to_si(), opm().read(300, 2800).to_si(), rtol=1e-6
    )
    with pytest.raises(OutputError, match="already"):
        export_bids(opm(), tmp_path / "bids", "01", "rest")


def test_bids_says_what_mne_bids_cannot_write(shared_data: Path, tmp_path: Path) -> None:
    pytest.importorskip("mne_bids")
    recording = open_recording(shared_data / "kit157_1kHz/test.sqd")
    with pytest.raises(InputError, match=r"RawKIT.*FIF instead"):
        export_bids(recording, tmp_path / "bids", "01", "rest", line_freq=60)
    assert list(tmp_path.iterdir()) == []


def test_bids_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mne_bids")
    recording = opm()
    unknown = replace(recording, info=replace(recording.info, line_freq=None))
    with pytest.raises(InputError, match="mains"):
        export_bids(unknown, tmp_path, "01", "rest")
    with pytest.raises(InputError, match="label"):
        export_bids(recording, tmp_path, "a_b", "rest")
    monkeypatch.setitem(__import__("sys").modules, "mne_bids", None)
    with pytest.raises(InputError, match=r"brainforge\[bids\]"):
        export_bids(recording, tmp_path, "01", "rest")
    assert list(tmp_path.iterdir()) == []
