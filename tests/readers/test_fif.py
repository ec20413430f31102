"""FIF: native counts of every type, gaps, splits, absolute samples."""

from __future__ import annotations

from pathlib import Path

import mne
import numpy as np
import pytest

from brainforge.readers import open_recording
from brainforge.recording import Annotation, Gap

SFREQ = 200.0


def make_raw(first: int = 0, dated: bool = False, length: int = 3000):
    rng = np.random.default_rng(2)
    info = mne.create_info(["A", "B", "STI 014"], SFREQ, ["mag", "grad", "stim"])
    if dated:
        info.set_meas_date(1_600_000_000)
    data = rng.normal(0, 1e-12, (3, length))
    data[2] = 0
    data[2, 400:420] = 5
    data[2, 2000:2010] = 9
    return mne.io.RawArray(data, info, first_samp=first, verbose="error")


@pytest.mark.parametrize(("fmt", "dtype"), [("single", "float32"), ("double", "float64")])
@pytest.mark.parametrize("first", [0, 777])
def test_counts_keep_their_type(tmp_path: Path, fmt: str, dtype: str, first: int) -> None:
    raw = make_raw(first)
    raw.save(tmp_path / "x_raw.fif", fmt=fmt, buffer_size_sec=1.7, verbose="error")
    recording = open_recording(tmp_path / "x_raw.fif")
    assert recording.start == first
    block = recording.read(first + 333, first + 1111)
    assert block.data.dtype == dtype
    expected = mne.io.read_raw_fif(tmp_path / "x_raw.fif", verbose="error").get_data()
    np.testing.assert_array_equal(block.to_si(), expected[:, 333:1111])
    assert [(e.sample, e.code) for e in recording.events] == [(first + 400, 5), (first + 2000, 9)]


@pytest.mark.parametrize(("fmt", "dtype"), [("short", "int16"), ("int", "int32")])
def test_integers(tmp_path: Path, fmt: str, dtype: str) -> None:
    counts = np.random.default_rng(0).integers(-30000, 30000, (2, 900)).astype(float)
    raw = mne.io.RawArray(counts, mne.create_info(2, SFREQ, "misc"), verbose="error")
    raw.save(tmp_path / "x_raw.fif", fmt=fmt, verbose="error")
    data = open_recording(tmp_path / "x_raw.fif").read(0, 900).data
    assert data.dtype == dtype
    np.testing.assert_array_equal(data, counts)


@pytest.mark.parametrize("dated", [False, True])
def test_pauses_are_gaps_and_annotations_absolute(tmp_path: Path, dated: bool) -> None:
    raw = make_raw(1000, dated)
    onsets = np.array([3.0, 5.0]) + (raw.first_time if dated else 0.0)
    raw.set_annotations(
        mne.Annotations(onsets, [1.0, 0.5], ["BAD_ACQ_SKIP", "closed"], raw.info["meas_date"])
    )
    raw.save(tmp_path / "x_raw.fif", buffer_size_sec=1.0, verbose="error")
    recording = open_recording(tmp_path / "x_raw.fif")
    assert recording.gaps == (Gap(1600, 1800, "acquisition paused"),)
    assert recording.annotations == (Annotation(2000, 2100, "closed"),)
    assert recording.segments == ((1000, 1600), (1800, 4000))
    expected = raw.get_data()
    for block in recording.blocks(500):
        part = expected[:, block.start - 1000 : block.stop - 1000]
        np.testing.assert_array_equal(block.data, part.astype(np.float32))
    assert [e.sample for e in recording.events] == [1400, 3000]


def test_splits_are_one_recording(tmp_path: Path) -> None:
    info = mne.create_info(40, 1000.0, "mag")
    data = np.random.default_rng(1).normal(0, 1e-12, (40, 15000)).astype(np.float32)
    raw = mne.io.RawArray(data.astype(float), info, first_samp=50, verbose="error")
    raw.save(tmp_path / "x_raw.fif", split_size="2MB", buffer_size_sec=0.5, verbose="error")
    assert len(list(tmp_path.glob("*.fif"))) > 1
    recording = open_recording(tmp_path / "x_raw.fif")
    assert (recording.start, recording.stop) == (50, 15050)
    assert len(recording.source["files"]) == len(list(tmp_path.glob("*.fif")))
    np.testing.assert_array_equal(recording.read(50, 15050).data, data)


def test_bads_and_projectors(tmp_path: Path) -> None:
    raw = make_raw()
    raw.info["bads"] = ["B"]
    raw.add_proj(
        mne.Projection(
            active=False,
            kind=1,
            desc="PCA-v1",
            data={
                "nrow": 1,
                "ncol": 2,
                "row_names": None,
                "col_names": ["A", "B"],
                "data": np.array([[0.6, 0.8]]),
            },
        )
    )
    raw.save(tmp_path / "x_raw.fif", verbose="error")
    info = open_recording(tmp_path / "x_raw.fif").info
    assert info.bads == ("B",)
    assert [(p.description, p.names) for p in info.projs] == [("PCA-v1", ("A", "B"))]
    np.testing.assert_allclose(info.projs[0].vectors, [[0.6, 0.8]], rtol=1e-6)


def test_gzip(tmp_path: Path) -> None:
    make_raw().save(tmp_path / "x_raw.fif.gz", verbose="error")
    recording = open_recording(tmp_path / "x_raw.fif.gz")
    assert recording.n_samples == 3000
    assert recording.read(0, 10).data.dtype == np.float64
