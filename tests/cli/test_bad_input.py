"""What is wrong with the input gives one line, exit code 2 and leaves nothing behind."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Cli, write_fif


def _missing(folder: Path) -> Path:
    return folder / "absent_raw.fif"


def _a_folder(folder: Path) -> Path:
    (folder / "empty").mkdir()
    return folder / "empty"


def _empty(folder: Path) -> Path:
    path = folder / "empty_raw.fif"
    path.touch()
    return path


def _truncated(folder: Path) -> Path:
    path = write_fif(folder / "whole_raw.fif")
    cut = folder / "cut_raw.fif"
    cut.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    return cut


def _no_recording(folder: Path) -> Path:
    path = folder / "notes.txt"
    path.write_text("not a recording\n")
    return path


def _text_named_fif(folder: Path) -> Path:
    path = folder / "text_raw.fif"
    path.write_text("not a recording\n" * 100)
    return path


def _not_meg(folder: Path) -> Path:
    return write_fif(folder / "eeg_raw.fif", kind="eeg", scale=1e-5)


def _rate_zero(folder: Path) -> Path:
    path = write_fif(folder / "rate_raw.fif")
    data = bytearray(path.read_bytes())
    tag = struct.pack(">iii", 201, 4, 4)  # FIFF_SFREQ, a float of 4 bytes
    at = data.index(tag)
    data[at + 16 : at + 20] = struct.pack(">f", 0.0)
    path.write_bytes(data)
    return path


def _all_flat(folder: Path) -> Path:
    return write_fif(folder / "flat_raw.fif", change=lambda data: data.fill(1e-12))


def _no_finite_sample(folder: Path) -> Path:
    return write_fif(folder / "nan_raw.fif", change=lambda data: data.fill(np.nan))


def _half_a_second(folder: Path) -> Path:
    return write_fif(folder / "half_raw.fif", seconds=0.5)


def _femtotesla(folder: Path) -> Path:
    return write_fif(folder / "ft_raw.fif", scale=1e3)


def _damaged_archive(folder: Path) -> Path:
    path = folder / "damaged.zarr"
    path.mkdir()
    (path / "zarr.json").write_text('{"zarr_format": 3, "node_type": "group"}')
    return path


@pytest.mark.parametrize(
    "make",
    [
        _missing,
        _a_folder,
        _empty,
        _truncated,
        _no_recording,
        _text_named_fif,
        _not_meg,
        _rate_zero,
        _all_flat,
        _no_finite_sample,
        _half_a_second,
        _femtotesla,
        _damaged_archive,
    ],
    ids=lambda make: make.__name__.strip("_"),
)
def test_a_recording_that_cannot_be_processed(
    make: Callable[[Path], Path], cli: Cli, tmp_path: Path
) -> None:
    file, out = make(tmp_path), tmp_path / "out"
    before = sorted(tmp_path.rglob("*"))
    ran = cli("process", file, "--out", out, "--quiet", "--json")
    assert ran.code == 2, ran
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert ran.err.count("\n") == 1
    assert "expected" in ran.err
    assert "got" in ran.err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--recipe", "resting-state"], "recipe: expected one of"),
        (["--line-freq", "55"], "--line-freq: expected 50, 60 or auto, got '55'"),
        (["--threads", "-1"], "--threads: expected a whole number"),
        (["--bads", "M000,M999"], "M999"),
        (["--sensors", "absent.tsv"], "absent.tsv"),
        (["--no-such-option"], "--no-such-option"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], said: str, cli: Cli, tmp_path: Path
) -> None:
    file = write_fif(tmp_path / "good_raw.fif", seconds=4)
    ran = cli("process", file, "--out", tmp_path / "out", "--quiet", *options)
    assert ran.code == 2, ran
    assert said in ran.err
    assert ran.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--out", "phantom"], "a name ending in .zarr"),
        (["--out", "p.zarr", "--duration", "-1"], "duration"),
        (["--out", "p.zarr", "--sfreq", "0"], "sfreq"),
        (["--out", "p.zarr", "--channels", "0"], "channels"),
        (["--out", "p.zarr", "--layout", "square"], "square"),
    ],
)
def test_a_phantom_that_makes_no_sense(
    options: list[str], said: str, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli("phantom", "--quiet", *options)
    assert ran.code == 2, ran
    assert said in ran.err
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_exist_are_kept(cli: Cli, tmp_path: Path) -> None:
    file = write_fif(tmp_path / "good_raw.fif", seconds=4)
    out = tmp_path / "out"
    out.mkdir()
    (out / "report.html").write_text("the old one")
    ran = cli("process", file, "--out", out, "--quiet")
    assert ran.code == 2
    assert "--overwrite" in ran.err
    assert [p.name for p in out.iterdir()] == ["report.html"]
    assert (out / "report.html").read_text() == "the old one"


def test_an_import_never_replaces_its_own_source(cli: Cli, small_archive: Path) -> None:
    ran = cli("import", small_archive, "--out", small_archive, "--overwrite", "--quiet")
    assert ran.code == 2
    assert "another place" in ran.err
    assert cli("verify", small_archive).code == 0
