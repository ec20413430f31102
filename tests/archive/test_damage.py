"""Damaged and hostile archives: one typed error, bounded memory, and verify tells what is lost."""

from __future__ import annotations

import json
import os
import resource
import shutil
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from brainforge.archive import ArchiveWriter, import_recording, open_archive, verify_archive
from brainforge.block import RawBlock
from brainforge.errors import BrainForgeError, InputError, OutputError, ReadError
from brainforge.info import Channel, Info
from brainforge.recording import Gap, recording_from_array

INFO = Info(20.0, tuple(Channel(f"C{i}", "mag", cal=1e-15) for i in range(4)))


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    data = np.random.default_rng(1).integers(-500, 500, (4, 700)).astype(np.int16)
    recording = recording_from_array(data, INFO, 50, gaps=(Gap(150, 170, "link lost"),))
    return import_recording(recording, tmp_path / "a.zarr")


def read_all(path: Path) -> None:
    for _ in open_archive(path).blocks(100):
        pass


def test_verify_accounts_for_every_sample(archive: Path) -> None:
    report = verify_archive(archive)
    assert report["ok"]
    assert (report["received"], report["stored"]) == (700, 680)
    assert (report["state"], report["exact"], report["ledger"]) == ("finished", None, {})
    assert (report["first_sample"], report["last_sample"]) == (50, 749)
    assert report["gaps"] == [{"start": 150, "stop": 170, "cause": "link lost"}]
    assert len(report["checksums"]) == 4
    json.dumps(report)


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize(
    ("damage", "word"), [(Path.unlink, "missing"), (flip, "checksum"), (cut, "bytes")]
)
def test_a_damaged_shard_is_found(archive: Path, damage, word: str) -> None:
    damage(archive / "counts/c/0/1")
    report = verify_archive(archive)
    assert not report["ok"]
    assert any(word in p["problem"] for p in report["problems"])
    assert {p["file"] for p in report["problems"]} == {"counts/c/0/1"}
    assert report["damaged"] == [[270, 470]]
    recording = open_archive(archive)
    recording.read(50, 150)
    recording.read(470, 600)
    with pytest.raises(ReadError, match=r"counts/c/0/1.*stored samples 200 to 400"):
        recording.read(300, 310)


def test_swapped_shards_are_found(archive: Path) -> None:
    a, b = archive / "counts/c/0/0", archive / "counts/c/0/1"
    a.rename(archive / "x")
    b.rename(a)
    (archive / "x").rename(b)
    report = verify_archive(archive)
    assert {p["file"] for p in report["problems"]} == {"counts/c/0/0", "counts/c/0/1"}
    assert report["damaged"] == [[50, 150], [170, 270], [270, 470]]


def test_a_foreign_file_is_named(archive: Path) -> None:
    (archive / "counts/c/0/9").write_bytes(b"x")
    assert verify_archive(archive)["problems"][0]["file"] == "counts/c/0/9"


def test_any_flipped_or_cut_byte_gives_typed_errors_only(archive: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(20)
    files = [p for p in sorted(archive.rglob("*")) if p.is_file()]
    noticed = 0
    for trial in range(120):
        copy = tmp_path / "copy.zarr"
        shutil.copytree(archive, copy)
        target = copy / files[trial % len(files)].relative_to(archive)
        data = bytearray(target.read_bytes())
        at = int(rng.integers(len(data)))
        if trial % 3:
            data[at] ^= 1 << int(rng.integers(8))
        else:
            del data[at:]
        target.write_bytes(data)
        try:
            read_all(copy)
            report = verify_archive(copy)
            noticed += not report["ok"]
        except ReadError:
            noticed += 1
        shutil.rmtree(copy)
    assert noticed == 120


def test_truncated_zip(archive: Path, tmp_path: Path) -> None:
    from brainforge.archive import zip_archive

    whole = zip_archive(archive, tmp_path / "a.zarr.zip").read_bytes()
    for size in (0, 10, len(whole) // 2, len(whole) - 5):
        (tmp_path / "b.zarr.zip").write_bytes(whole[:size])
        with pytest.raises(ReadError):
            open_archive(tmp_path / "b.zarr.zip")
    flipped = bytearray(whole)
    flipped[whole.index(b"counts/c/0/0") + 60] ^= 1
    (tmp_path / "b.zarr.zip").write_bytes(flipped)
    with pytest.raises(ReadError):
        read_all(tmp_path / "b.zarr.zip")


def test_compressed_zip_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.zarr.zip", "w", zipfile.ZIP_DEFLATED) as out:
        out.writestr("zarr.json", b"0" * 1_000_000)
    with pytest.raises(ReadError, match="compressed"):
        open_archive(tmp_path / "bomb.zarr.zip")


def test_links_and_pipes_are_refused(archive: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("x")
    link = archive / "counts/c/0/1"
    link.unlink()
    link.symlink_to(secret)
    with pytest.raises(ReadError, match="a link out of the archive"):
        open_archive(archive)
    link.unlink()
    os.mkfifo(link)
    with pytest.raises(ReadError, match="not a file"):
        open_archive(archive)


def test_a_lying_shard_does_not_fill_the_memory(archive: Path) -> None:
    with (archive / "counts/c/0/0").open("r+b") as file:
        file.truncate(8 << 30)  # sparse
    tracemalloc.start()
    with pytest.raises(ReadError):
        read_all(archive)
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(version=99),
        lambda d: d["info"].update(sfreq=0),
        lambda d: d["info"]["channels"]["cal"].__setitem__(0, float("nan")),
        lambda d: d["info"]["channels"]["name"].__setitem__(0, "C1"),
        lambda d: d.update(segments=[[50, 750, 0]]),
        lambda d: d.update(segments=[]),
        lambda d: d["info"]["channels"].pop("kind"),
        lambda d: d.update(masks=[[None, 0, 1, "__import__"]]),
    ],
)
def test_a_rewritten_document_is_refused(archive: Path, change) -> None:
    """Even where the manifest was rewritten with it."""
    from brainforge.archive.manifest import NAME, write_manifest

    root = json.loads((archive / "zarr.json").read_text())
    change(root["attributes"]["brainforge"])
    (archive / "zarr.json").write_text(json.dumps(root))
    (archive / NAME).unlink()
    write_manifest(archive, {})
    with pytest.raises(ReadError, match="a document that does not hold"):
        open_archive(archive)


def test_other_zarr_stores_are_refused(tmp_path: Path) -> None:
    import zarr

    zarr.create_group(tmp_path / "other.zarr").create_array("x", shape=(3,), dtype="f4")
    with pytest.raises(ReadError):
        open_archive(tmp_path / "other.zarr")
    with pytest.raises(ReadError, match="nothing there"):
        open_archive(tmp_path / "none.zarr")


def test_deep_json_is_refused(archive: Path) -> None:
    (archive / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(ReadError):
        open_archive(archive)


def test_an_error_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with ArchiveWriter(tmp_path / "a.zarr", INFO, "int16") as writer:
            writer.write(RawBlock(np.zeros((4, 500), np.int16), INFO, 0))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_output_is_kept(archive: Path) -> None:
    before = verify_archive(archive)["sha256"]
    with pytest.raises(OutputError, match="exists already"):
        ArchiveWriter(archive, INFO, "int16")
    assert verify_archive(archive)["sha256"] == before


def test_an_output_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    def write() -> None:
        with ArchiveWriter(tmp_path / "a.zarr", INFO, "int16") as writer:
            writer.write(RawBlock(np.zeros((4, 10), np.int16), INFO, 0))
            (tmp_path / "a.zarr").mkdir()

    with pytest.raises(OutputError, match="exists already"):
        write()
    assert [p.name for p in tmp_path.iterdir()] == ["a.zarr"]


def test_a_full_disk_is_one_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(-30000, 30000, (4, 20_000)).astype(np.int16)
    info = Info(2000.0, INFO.channels)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(OutputError, match="full") as caught:
            import_recording(recording_from_array(noise, info), tmp_path / "a.zarr")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot be written"):
        ArchiveWriter(tmp_path / "file" / "a.zarr", INFO, "int16")


@pytest.mark.parametrize(
    "block",
    [
        RawBlock(np.zeros((4, 5), np.float32), INFO, 20),
        RawBlock(np.zeros((3, 5), np.int16), INFO.pick(["C0", "C1", "C2"]), 20),
        RawBlock(np.zeros((4, 5), np.int16), INFO, 4),
    ],
)
def test_blocks_that_do_not_fit_are_refused(tmp_path: Path, block: RawBlock) -> None:
    writer = ArchiveWriter(tmp_path / "a.zarr", INFO, "int16")
    writer.write(RawBlock(np.zeros((4, 10), np.int16), INFO, 0))
    with pytest.raises(InputError):
        writer.write(block)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrainForgeError, match="samples to store"):
        ArchiveWriter(tmp_path / "a.zarr", INFO, "int16").close()
    assert list(tmp_path.iterdir()) == []
