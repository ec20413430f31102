"""Every real recording at hand opens with the samples that MNE gives, or is refused plainly."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from brainforge.archive import import_recording, open_archive, verify_archive
from brainforge.errors import BrainForgeError, ReadError
from brainforge.readers import open_recording

#: path, dtype, channels, MEG channels, channels with a place, events, annotations
SSS = "maxfilter_erm_basic/test_move_anon_erm"
OPENED = [
    ("megin306_sample_int16/test_raw.fif", "int16", 376, 306, 366, 31, 0),
    ("ctf275_2400Hz/test_ctf_raw.fif", "float32", 309, 275, 304, 2, 0),
    (f"{SSS}_raw.fif", "float32", 392, 306, 366, 0, 0),
    (
        f"{SSS}_crossTalk_raw_sss.fif",
        "float32",
        392,
        306,
        366,
        0,
        0,
    ),
    (
        f"{SSS}_devOrigin_raw_sss.fif",
        "float32",
        392,
        306,
        366,
        0,
        0,
    ),
    ("kit157_1kHz/test_5s.sqd", "int16", 193, 157, 157, 4, 0),
    ("kit157_1kHz/test.sqd", "int16", 193, 157, 157, 2, 0),
    ("bti248_magnes", "float64", 280, 248, 271, 15, 0),
    ("bti248_magnes/test_pdf_linux", "float64", 280, 248, 271, 15, 0),
    ("eeg_brainvision_int16_1kHz/test.vhdr", "int16", 32, 0, 0, 0, 13),
    ("eeg_eeglab32/eeglab_data.set", "float64", 32, 0, 32, 0, 154),
    ("opm_cerca64_raw/20220623_095714.cMEG", "float64", 136, 128, 128, 0, 0),
    ("opm_quspin_n1_lvm/quspin_N1_test_data.lvm", "float64", 224, 192, 0, 0, 0),
]
REFUSED = [
    ("megin306_sample_int16", "folder"),
    ("megin306_sample_int16/test-cov.fif", "measurement data"),
    ("megin306_sample_int16/test_raw-eve.fif", "measurement data"),
    ("maxfilter_erm_basic/ct_sparse.fif", "measurement data"),
    ("maxfilter_erm_basic/sss_cal_3053.dat", "any of the possible readers"),
    ("maxfilter_erm_basic/README.md", "."),
    ("kit157_1kHz/test_mrk.sqd", "epochs"),
    ("opm_cerca64_raw/helmet_orange_adult_S.mat", "."),
    ("eeg_brainvision_int16_1kHz/test.vmrk", "."),
]


@pytest.mark.parametrize(
    ("name", "dtype", "n", "n_meg", "n_placed", "n_events", "n_notes"),
    OPENED,
    ids=[row[0] for row in OPENED],
)
def test_opens(shared_data, tmp_path, name, dtype, n, n_meg, n_placed, n_events, n_notes) -> None:
    recording = open_recording(shared_data / name)
    info = recording.info
    assert recording.reader.read(recording.start, recording.start + 1).dtype == dtype
    assert info.n_channels == n
    assert len(info.names_of("mag", "grad")) == n_meg
    assert np.isfinite(info.positions()).all(axis=1).sum() == n_placed
    assert len(recording.events) == n_events
    assert len(recording.annotations) == n_notes
    assert len(recording.source["sha256"]) == 64
    radius = np.linalg.norm(info.positions(info.names_of("mag", "grad")), axis=1)
    assert np.all((radius > 0.03) & (radius < 0.35) | np.isnan(radius))
    path = import_recording(recording, tmp_path / "a.zarr")
    assert verify_archive(path)["ok"]
    back = open_archive(path)
    assert back.info == info
    for block in recording.blocks(999):
        stored = back.read(block.start, block.stop).data
        np.testing.assert_array_equal(stored.view(np.uint8), block.data.copy().view(np.uint8))


@pytest.mark.parametrize(("name", "word"), REFUSED, ids=[row[0] for row in REFUSED])
def test_is_refused(shared_data: Path, name: str, word: str) -> None:
    with pytest.raises(BrainForgeError, match=word) as caught:
        open_recording(shared_data / name)
    assert caught.value.exit_code == 2
    assert Path(name).name in str(caught.value)
    assert "\n" not in str(caught.value)


READ_BY_MNE = [row[0] for row in OPENED if not row[0].startswith(("opm", "bti248_magnes/"))]


@pytest.mark.parametrize("name", READ_BY_MNE)
def test_si_values_are_mnes(shared_data: Path, name: str) -> None:
    path = shared_data / name
    if path.is_dir():
        raw = mne.io.read_raw_bti(
            *(path / f"test_{f}_linux" for f in ("pdf", "config", "hs")), verbose="error"
        )
    elif path.suffix == ".fif":
        raw = mne.io.read_raw_fif(path, allow_maxshield="yes", verbose="error")
    else:
        raw = mne.io.read_raw(path, verbose="error")
    recording = open_recording(path)
    assert list(recording.info.names) == raw.ch_names
    assert (recording.start, recording.stop) == (raw.first_samp, raw.last_samp + 1)
    ours = np.concatenate([b.to_si() for b in recording.blocks(777)], axis=1)
    np.testing.assert_array_equal(ours, raw.get_data())


def test_events_are_those_of_mne(shared_data: Path) -> None:
    path = shared_data / "megin306_sample_int16/test_raw.fif"
    raw = mne.io.read_raw_fif(path, verbose="error")
    theirs = mne.find_events(raw, "STI 014", shortest_event=1, verbose="error")
    ours = [(e.sample, e.code) for e in open_recording(path).events]
    assert ours == [(int(s), int(c)) for s, _, c in theirs]


def test_annotations_in_absolute_samples(shared_data: Path) -> None:
    path = shared_data / "eeg_brainvision_int16_1kHz/test.vhdr"
    raw = mne.io.read_raw(path, verbose="error")
    codes, _ = mne.events_from_annotations(raw, verbose="error")
    starts = {n.start for n in open_recording(path).annotations}
    assert {int(s) for s in codes[:, 0]} <= starts


def test_maxshield_is_noted_and_nothing_leaks(shared_data: Path, capsys) -> None:
    path = shared_data / f"{SSS}_raw.fif"
    assert any("MaxShield" in n for n in open_recording(path).source["notes"])
    assert capsys.readouterr() == ("", "")


def test_cerca_truths(shared_data: Path) -> None:
    from scipy.signal import welch

    recording = open_recording(shared_data / "opm_cerca64_raw/20220623_095714.cMEG")
    assert recording.info.sfreq == 1200
    assert recording.n_samples == 1200
    block = recording.read(0, 1200)
    rows = recording.info.rows(recording.info.names_of("mag"))
    freqs, psd = welch(block.to_si()[rows] * 1e15, 1200.0, nperseg=1200)
    density = np.sqrt(np.median(psd, axis=0))
    assert 10 < np.median(density[(freqs > 10) & (freqs < 30)]) < 60
    for line in (50, 100, 150):
        assert density[freqs == line] > 5 * density[freqs == line + 9]
    axes = recording.info.orientations(["LJ [Y]", "LJ [Z]"])
    assert abs(axes[0] @ axes[1]) < 1e-3


def test_cerca_without_its_companions(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "opm_cerca64_raw"
    stem = "20220623_095714"
    (tmp_path / f"{stem}.cMEG").write_bytes((folder / f"{stem}.cMEG").read_bytes())
    with pytest.raises(ReadError, match="SessionInfo"):
        open_recording(tmp_path / f"{stem}.cMEG")
    session = (folder / f"{stem}_SessionInfo.txt").read_text()
    (tmp_path / f"{stem}_SessionInfo.txt").write_text(session)
    recording = open_recording(tmp_path / f"{stem}.cMEG")
    assert not np.isfinite(recording.info.positions()).any()
    assert any("no geometry" in n for n in recording.source["notes"])
    (tmp_path / f"{stem}_SessionInfo.txt").write_text(session.replace("LJ [Y], ", ""))
    with pytest.raises(ReadError, match="136 rows"):
        open_recording(tmp_path / f"{stem}.cMEG")


def test_lvm_values(shared_data: Path) -> None:
    path = shared_data / "opm_quspin_n1_lvm/quspin_N1_test_data.lvm"
    recording = open_recording(path)
    rows = path.read_text().split("\n")[23:]
    assert recording.n_samples == len(rows) == 39
    data = np.array([[float(c) for c in row.split("\t")[1:225]] for row in rows]).T
    np.testing.assert_array_equal(recording.read(0, 39).data, data)
    assert recording.info.channels[0].cal == 1e-12
    assert recording.info.sfreq == 375.0
