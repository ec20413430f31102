"""Bad input: one line, typed, naming the file; nothing else comes out."""

from __future__ import annotations

import shutil
import tracemalloc
from pathlib import Path

import mne
import numpy as np
import pytest

from brainforge.errors import BrainForgeError, InputError, ReadError
from brainforge.readers import open_recording


def make_raw(n: int = 6, length: int = 1500, scale: float = 1e-13, sfreq: float = 300.0):
    rng = np.random.default_rng(5)
    info = mne.create_info([f"M{i}" for i in range(n)], sfreq, "mag")
    return mne.io.RawArray(rng.normal(0, scale, (n, length)), info, verbose="error")


@pytest.fixture
def fif(tmp_path: Path) -> Path:
    make_raw().save(tmp_path / "x_raw.fif", buffer_size_sec=1.0, verbose="error")
    return tmp_path / "x_raw.fif"


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("x_raw.fif", b"", "empty"),
        ("x_raw.fif", b"\x89PNG\r\n\x1a\n" + bytes(400), "another kind of file"),
        ("x_raw.fif", b"some text\n" * 50, "another kind of file"),
        ("x_raw.fif", b"abc", "inside a tag"),
        ("x.sqd", b"\x00" * 900, "."),
        ("x.vhdr", b"not a header", "."),
        ("x.set", b"not a MATLAB file", "."),
        ("x.cMEG", b"\x00" * 64, "SessionInfo"),
        ("x.lvm", b"\x89PNG\r\n", "LabVIEW"),
        ("x.lvm", b"LabVIEW Measurement\t\nWriter", "byte 27"),
        ("x.zarr.zip", b"PK nothing", "zip"),
        ("x.unknown", b"123", "."),
        ("x", b"123", "."),
    ],
)
def test_files_that_are_none(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ReadError, match=word) as caught:
        open_recording(tmp_path / name)
    assert name in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_dangling(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="nothing there"):
        open_recording(tmp_path / "none.fif")
    (tmp_path / "link.fif").symlink_to(tmp_path / "none.fif")
    with pytest.raises(ReadError, match="a link to nothing"):
        open_recording(tmp_path / "link.fif")
    with pytest.raises(InputError, match="folder"):
        open_recording(tmp_path)


def test_truncated_at_any_byte(fif: Path, tmp_path: Path) -> None:
    whole = fif.read_bytes()
    cut = tmp_path / "cut_raw.fif"
    for size in np.linspace(17, len(whole) - 40, 25).astype(int):
        cut.write_bytes(whole[:size])
        with pytest.raises(ReadError, match=r"byte \d+ of"):
            open_recording(cut)


def test_flipped_bytes_give_typed_errors_only(fif: Path, tmp_path: Path) -> None:
    whole = fif.read_bytes()
    rng = np.random.default_rng(8)
    tracemalloc.start()
    for _ in range(60):
        data = bytearray(whole)
        for at in rng.integers(0, 5000, 3):
            data[at] ^= 1 << int(rng.integers(8))
        (tmp_path / "flip_raw.fif").write_bytes(data)
        try:
            recording = open_recording(tmp_path / "flip_raw.fif")
            for _ in recording.blocks(500):
                pass
        except BrainForgeError:
            continue
    assert tracemalloc.get_traced_memory()[1] < 200 << 20
    tracemalloc.stop()


def test_a_file_cut_after_it_was_opened(fif: Path) -> None:
    recording = open_recording(fif)
    with fif.open("r+b") as file:
        file.truncate(fif.stat().st_size // 2)
    with pytest.raises(ReadError, match="byte"):
        recording.read(recording.stop - 100, recording.stop)


def test_tesla_that_are_femtotesla(tmp_path: Path) -> None:
    make_raw(scale=1e2).save(tmp_path / "x_raw.fif", verbose="error")
    with pytest.raises(ReadError, match=r"looks like femtotesla.*--sensors"):
        open_recording(tmp_path / "x_raw.fif")
    table = "name\tunit\n" + "".join(f"M{i}\tfT\n" for i in range(6))
    (tmp_path / "s.tsv").write_text(table)
    recording = open_recording(tmp_path / "x_raw.fif", sensors=tmp_path / "s.tsv")
    assert 1e-14 < recording.read(0, 500).to_si().std() < 1e-12


def test_values_scaled_twice(tmp_path: Path) -> None:
    make_raw(scale=1e-28).save(tmp_path / "x_raw.fif", fmt="double", verbose="error")
    with pytest.raises(ReadError, match="twice"):
        open_recording(tmp_path / "x_raw.fif")


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_flat_and_nan_are_for_the_quality_stage(tmp_path: Path, value: float) -> None:
    raw = make_raw()
    raw._data[:] = value
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    data = open_recording(tmp_path / "x_raw.fif").read(0, 10).data
    np.testing.assert_array_equal(data, np.full((6, 10), value, np.float32))


def test_options_that_do_not_fit(fif: Path) -> None:
    with pytest.raises(InputError, match="NOPE"):
        open_recording(fif, bads=["NOPE"])
    with pytest.raises(InputError, match="50 or 60"):
        open_recording(fif, line_freq=-50.0)
    recording = open_recording(fif, bads=["M2"], line_freq=50, subject="S-1")
    assert recording.info.bads == ("M2",)
    assert recording.info.line_freq == 50.0
    assert recording.info.subject == "S-1"


def test_lvm_with_a_broken_row(shared_data: Path, tmp_path: Path) -> None:
    whole = (shared_data / "opm_quspin_n1_lvm/quspin_N1_test_data.lvm").read_text().split("\n")
    path = tmp_path / "x.lvm"
    path.write_text("\n".join([*whole[:30], whole[30].replace("\t", "\toops", 1), *whole[31:]]))
    with pytest.raises(ReadError, match="sample 7 at byte"):
        open_recording(path)
    path.write_text("\n".join(whole)[:-2])
    recording = open_recording(path)
    assert recording.n_samples == 38
    assert any("cut short" in n for n in recording.source["notes"])
    path.write_text("\n".join(whole).replace("0.002667", "0.0"))
    with pytest.raises(ReadError, match="Delta_X"):
        open_recording(path)


def test_cerca_cut_short(shared_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cerca"
    shutil.copytree(shared_data / "opm_cerca64_raw", folder)
    path = folder / "20220623_095714.cMEG"
    path.chmod(0o644)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - 1000])
    with pytest.raises(ReadError, match="inside the block at byte"):
        open_recording(path)
    for name in ("20220623_095714_sensor_order.mat", "helmet_orange_adult_S.mat"):
        whole = (folder / name).read_bytes()
        path.write_bytes(data)
        (folder / name).chmod(0o644)
        for size in (0, 100, len(whole) // 2):
            (folder / name).write_bytes(whole[:size])
            with pytest.raises(ReadError, match=name):
                open_recording(path)
        (folder / name).write_bytes(whole)
