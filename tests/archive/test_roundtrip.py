"""What goes into an archive comes out of it, through our reader and through others."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.archive import ArchiveWriter, import_recording, open_archive, zip_archive
from brainforge.block import Cause, Mask, RawBlock
from brainforge.info import Channel, Info, Projector
from brainforge.recording import Annotation, Event, Gap, Recording, recording_from_array

SFREQ = 20.0  # a shard is 200 samples


def make_info(n: int) -> Info:
    channels = tuple(
        Channel(
            f"C{i}",
            "mag" if i else "stim",
            cal=1e-15 * (i + 1) / 3,
            offset=0.1 * i,
            position=(0.1, 0.2 * i, 0.3) if i % 2 else None,
            orientation=(0.0, 0.0, 1.0) if i % 2 else None,
            loc=tuple(float(k) for k in range(12)) if i % 2 else None,
            coil_type=8002,
            bad=i == 1,
            rails=(-32768.0, 32767.0) if i == 2 else None,
        )
        for i in range(n)
    )
    return Info(
        SFREQ,
        channels,
        line_freq=50.0,
        highpass=0.1,
        lowpass=9.0,
        dev_head_t=tuple(tuple(float(i == j) for j in range(4)) for i in range(4)),
        projs=(Projector("PCA", ("C1", "C2"), ((0.6, 0.8),)),) if n > 2 else (),
        subject="S-7",
        meas_date="2020-01-02T03:04:05+00:00",
        device="test",
    )


def make_recording(dtype: str, n: int = 5, length: int = 950, start: int = 130) -> Recording:
    rng = np.random.default_rng(3)
    data = rng.integers(-3000, 3000, (n, length)).astype(dtype)
    return recording_from_array(
        data,
        make_info(n),
        start,
        gaps=(Gap(start + 300, start + 421, "link lost"), Gap(start + 900, start + 950, "end")),
        events=(Event(start + 5, 7, "C0"), Event(start + 600, 2, "C0")),
        annotations=(Annotation(start + 10, start + 30, "eyes shut"),),
        masks=(Mask(("C1",), start + 40, start + 50, Cause.RAILED),),
        source={"path": "x.dat", "sha256": "0" * 64, "notes": ["a note"]},
    )


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_everything_comes_back(tmp_path: Path, dtype: str) -> None:
    recording = make_recording(dtype)
    path = import_recording(recording, tmp_path / "a.zarr")
    back = open_archive(path)
    assert back.info == recording.info
    for field in ("start", "stop", "gaps", "events", "annotations", "masks", "segments"):
        assert getattr(back, field) == getattr(recording, field)
    assert back.source["origin"] == recording.source
    for a, b in recording.segments:
        data = back.read(a, b).data
        assert data.dtype == np.dtype(dtype)
        np.testing.assert_array_equal(data, recording.read(a, b).data)


def test_bits_of_nan_and_infinity_are_kept(tmp_path: Path) -> None:
    bits = np.array([[0x7FC00001, 0xFF800000, 0x7FA00003, 0x80000000]], dtype=np.uint32)
    recording = recording_from_array(bits.view(np.float32), Info(1.0, (Channel("a", "mag"),)))
    back = open_archive(import_recording(recording, tmp_path / "a.zarr"))
    np.testing.assert_array_equal(back.read(0, 4).data.view(np.uint32), bits)


@settings(deadline=None, max_examples=15, derandomize=True)
@given(
    n=st.sampled_from([1, 2, 5, 129]),
    cuts=st.lists(st.integers(1, 700), max_size=6, unique=True),
    reads=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 700)), min_size=1, max_size=6),
)
def test_any_cut_in_and_out_gives_the_same_samples(tmp_path_factory, n, cuts, reads) -> None:
    rng = np.random.default_rng(n)
    data = rng.integers(-(2**15), 2**15, (n, 701)).astype(np.int16)
    info = make_info(n)
    path = tmp_path_factory.mktemp("cut") / "a.zarr"
    edges = [0, *sorted(cuts), 701]
    with ArchiveWriter(path, info, "int16") as writer:
        for a, b in pairwise(edges):
            writer.write(RawBlock(data[:, a:b], info, a + 11))
    back = open_archive(path)
    for a, b in reads:
        a, b = min(a, b), max(a, b) + 1
        np.testing.assert_array_equal(back.read(a + 11, b + 11).data, data[:, a:b])


def test_gaps_are_no_samples(tmp_path: Path) -> None:
    recording = make_recording("int16")
    path = import_recording(recording, tmp_path / "a.zarr")
    group = zarr.open_group(path, mode="r")
    stored = sum(b - a for a, b in recording.segments)
    assert group["counts"].shape == (5, stored)
    assert int(group["committed"][()]) == stored
    expected = np.concatenate([np.arange(a, b) for a, b in recording.segments])
    np.testing.assert_array_equal(group["time"][:], expected)


def test_a_jump_between_blocks_is_a_gap(tmp_path: Path) -> None:
    info = make_info(3)
    with ArchiveWriter(tmp_path / "a.zarr", info, "int16") as writer:
        writer.write(RawBlock(np.ones((3, 10), np.int16), info, 5))
        writer.write(RawBlock(np.ones((3, 10), np.int16), info, 20))
    back = open_archive(tmp_path / "a.zarr")
    assert back.gaps == (Gap(15, 20, "not received"),)
    assert (back.start, back.stop) == (5, 30)


def test_blocks_are_joined_by_name(tmp_path: Path) -> None:
    info = make_info(3)
    data = np.arange(30, dtype=np.int16).reshape(3, 10)
    with ArchiveWriter(tmp_path / "a.zarr", info, "int16") as writer:
        writer.write(RawBlock(data[::-1], info.pick(["C2", "C1", "C0"]), 0))
    np.testing.assert_array_equal(open_archive(tmp_path / "a.zarr").read(0, 10).data, data)


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_zarr_and_xarray_open_it(tmp_path: Path, zipped: bool) -> None:
    recording = make_recording("int32")
    path = import_recording(recording, tmp_path / "a.zarr")
    if zipped:
        path = zip_archive(path, tmp_path / "a.zarr.zip")
    counts = np.concatenate([recording.read(a, b).data for a, b in recording.segments], axis=1)
    store = zarr.storage.ZipStore(path, mode="r") if zipped else path
    np.testing.assert_array_equal(zarr.open_group(store, mode="r")["counts"][:], counts)
    with xr.open_zarr(store) as ds:
        assert ds.counts.dims == ("channel", "time")
        assert list(ds.channel.values) == list(recording.info.names)
        np.testing.assert_array_equal(ds.counts.values, counts)
        si = (ds.counts * ds.cal + ds.offset).values
        np.testing.assert_allclose(si, counts * ds.cal.values[:, None] + ds.offset.values[:, None])
        np.testing.assert_allclose(ds.time.values[[0, 300]], [130 / SFREQ, 551 / SFREQ])
        assert ds.position.dims == ("channel", "xyz")
        assert ds.bad.values.tolist() == [False, True, False, False, False]
    np.testing.assert_array_equal(open_archive(path).read(130, 430).data, counts[:, :300])


def test_read_into_fills_the_callers_buffer(tmp_path: Path) -> None:
    recording = make_recording("int16")
    reader = open_archive(import_recording(recording, tmp_path / "a.zarr")).reader
    out = np.empty((5, 200), np.int16)
    for start in (130, 200, 230):
        reader.read_into(start, start + 200, out)
        np.testing.assert_array_equal(out, recording.reader.read(start, start + 200))


def test_blocks_stay_what_they_were(tmp_path: Path) -> None:
    """A block handed out must not change when later ones are read (buffers are used again)."""
    recording = make_recording("int16")
    back = open_archive(import_recording(recording, tmp_path / "a.zarr"))
    blocks = list(back.blocks(77))
    for block in blocks:
        np.testing.assert_array_equal(block.data, recording.read(block.start, block.stop).data)


def test_reading_from_threads(tmp_path: Path) -> None:
    from concurrent.futures import ThreadPoolExecutor

    recording = make_recording("int16")
    back = open_archive(import_recording(recording, tmp_path / "a.zarr"))
    spans = [(130 + i, 130 + i + 120) for i in range(0, 180, 7)]
    with ThreadPoolExecutor(4) as pool:
        for span, block in zip(spans, pool.map(lambda s: back.read(*s), spans)):
            np.testing.assert_array_equal(block.data, recording.read(*span).data)


def test_progress_is_told(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    import_recording(make_recording("int16"), tmp_path / "a.zarr", lambda *a: seen.append(a))
    assert seen[-1] == (900, 950)
    assert seen == sorted(seen)
