"""The bundled recording is what it says it is, bit for bit."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

import brainforge.datasets
from brainforge.archive import verify_archive
from brainforge.datasets.bundled import COUNTS_SHA256, ORIGIN_SHA256
from brainforge.datasets.make_sample import main


def test_counts_have_their_checksum() -> None:
    recording = brainforge.datasets.sample()
    counts = recording.read(recording.start, recording.stop).data
    assert counts.dtype == np.int16
    assert counts.shape == (376, 14400)
    assert hashlib.sha256(counts.tobytes()).hexdigest() == COUNTS_SHA256
    assert recording.source["origin"]["sha256"] == ORIGIN_SHA256


def test_it_verifies_and_is_small() -> None:
    assert verify_archive(brainforge.datasets.sample_path())["ok"]
    assert brainforge.datasets.sample_path().stat().st_size < 8_000_000


def test_its_truths_are_there() -> None:
    recording = brainforge.datasets.sample()
    kinds = [c.kind for c in recording.info.channels]
    assert (kinds.count("grad"), kinds.count("mag"), kinds.count("eeg")) == (204, 102, 60)
    codes = [e.code for e in recording.events if e.channel == "STI 014"]
    assert {c: codes.count(c) for c in set(codes)} == {1: 7, 2: 8, 3: 8, 4: 6, 5: 1, 32: 1}
    assert recording.start == 25800
    assert recording.info.bads == ()
    assert len(recording.info.projs) == 3


def test_licence_lies_beside_it() -> None:
    folder = brainforge.datasets.sample_path().parent
    assert "MNE-Python authors" in (folder / "LICENSE").read_text()
    assert "familiar" in (folder / "NOTICE").read_text()


def test_equals_the_original(shared_data: Path) -> None:
    import mne

    path = shared_data / "megin306_sample_int16/test_raw.fif"
    raw = mne.io.read_raw_fif(path, verbose="error")
    recording = brainforge.datasets.sample()
    block = recording.read(recording.start, recording.stop)
    assert list(block.info.names) == raw.ch_names
    np.testing.assert_array_equal(block.to_si(), raw.get_data())


def test_the_script_makes_the_same_file_again(shared_data: Path, tmp_path: Path) -> None:
    path = shared_data / "megin306_sample_int16/test_raw.fif"
    assert main([str(path), str(tmp_path / "again.zarr.zip")]) == 0
    first = brainforge.datasets.sample()
    from brainforge.archive import open_archive

    again = open_archive(tmp_path / "again.zarr.zip")
    assert again.info == first.info
    assert again.events == first.events
    np.testing.assert_array_equal(again.reader.read(25800, 40200), first.reader.read(25800, 40200))


def test_the_script_refuses_another_file(shared_data: Path, tmp_path: Path, capsys) -> None:
    path = shared_data / "maxfilter_erm_basic/test_move_anon_erm_raw.fif"
    assert main([str(path), str(tmp_path / "x.zarr.zip")]) == 2
    assert "SHA-256" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
