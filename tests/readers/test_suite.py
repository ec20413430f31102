"""Every reader keeps to the suite."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from brainforge.archive import import_recording
from brainforge.datasets import sample
from brainforge.testing.reader_suite import ReaderSuite

SHARED = Path(__file__).resolve().parents[3] / "shared/data"


def copy(folder: Path, source: str) -> Path:
    if not SHARED.is_dir():
        pytest.skip("the real recordings are not here: expected them in ../shared/data")
    target = folder / source.split("/", maxsplit=1)[0]
    shutil.copytree(SHARED / target.name, target)
    for path in target.iterdir():
        path.chmod(0o644)
    target.chmod(0o755)
    return folder / source


class TestFif(ReaderSuite):
    n_damages = 3

    def make(self, folder: Path) -> Path:
        return copy(folder, "maxfilter_erm_basic/test_move_anon_erm_raw.fif")


class TestKit(ReaderSuite):
    n_damages = 3

    def make(self, folder: Path) -> Path:
        return copy(folder, "kit157_1kHz/test.sqd")


class TestBti(ReaderSuite):
    part = "test_pdf_linux"
    n_damages = 1

    def make(self, folder: Path) -> Path:
        return copy(folder, "bti248_magnes")


class TestBtiConfig(TestBti):
    part = "test_config_linux"


class TestBrainVision(ReaderSuite):
    has_meg = False

    def make(self, folder: Path) -> Path:
        return copy(folder, "eeg_brainvision_int16_1kHz/test.vhdr")


class TestBrainVisionSamples(TestBrainVision):
    part = "test.eeg"
    n_damages = 3


class TestEeglab(ReaderSuite):
    has_meg = False
    n_damages = 3

    def make(self, folder: Path) -> Path:
        return copy(folder, "eeg_eeglab32/eeglab_data.set")


class TestCerca(ReaderSuite):
    n_damages = 3

    def make(self, folder: Path) -> Path:
        return copy(folder, "opm_cerca64_raw/20220623_095714.cMEG")


class TestCercaOrder(TestCerca):
    part = "20220623_095714_sensor_order.mat"


class TestLvm(ReaderSuite):
    def make(self, folder: Path) -> Path:
        return copy(folder, "opm_quspin_n1_lvm/quspin_N1_test_data.lvm")


class TestArchive(ReaderSuite):
    part = "counts/c/0/0"
    n_damages = 6

    def make(self, folder: Path) -> Path:
        recording = sample()
        start = recording.start
        return import_recording(recording.crop(start, start + 1200), folder / "a.zarr", level=1)


class TestArchiveDocument(TestArchive):
    part = "zarr.json"


class TestArchiveManifest(TestArchive):
    part = "manifest.json"
