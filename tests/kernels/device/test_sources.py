"""Every CUDA source compiles for a real architecture, by NVRTC or nvcc, wherever one exists."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from brainforge.kernels.connectivity.layout import LANES, SUMS
from brainforge.kernels.device import raw_scan
from brainforge.kernels.device.aec import envelope_correlation
from brainforge.kernels.device.decimate import decimate
from brainforge.kernels.device.ica_moments import source_moments
from brainforge.kernels.device.iir import sosfilt
from brainforge.kernels.device.launch import LAUNCHERS, OPTIONS, SOURCES, definitions, source
from brainforge.kernels.device.sums import add_epochs
from tests.emulator.mirror import put

#: compute capability of an H200
ARCHITECTURE = "90"
FILES = sorted(path.stem for path in SOURCES.glob("*.cu"))


def _nvrtc():
    try:
        from cupy.cuda import nvrtc

        nvrtc.getVersion()
    except (ImportError, RuntimeError):
        return None
    return nvrtc


def _by_nvrtc(nvrtc, file, constants=()):
    program = nvrtc.createProgram(source(file), f"{file}.cu", [], [])
    # CuPy adds -ftz=true to whatever it is given
    options = [*OPTIONS, *definitions(constants), "-ftz=true"]
    try:
        nvrtc.compileProgram(program, [*options, f"--gpu-architecture=sm_{ARCHITECTURE}"])
    except nvrtc.NVRTCError:
        pytest.fail(f"{file} {constants}: {nvrtc.getProgramLog(program)}")
    finally:
        nvrtc.destroyProgram(program)


def _by_nvcc(nvcc, file, folder):
    made = subprocess.run(
        [nvcc, *OPTIONS, f"-arch=sm_{ARCHITECTURE}", "-cubin", str(SOURCES / f"{file}.cu"),
         "-o", str(folder / f"{file}.cubin")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr


@pytest.mark.parametrize("file", FILES)
def test_compiles(file, tmp_path):
    """Macros have defaults in the source (#ifndef), so that each file compiles as it is."""
    nvcc, nvrtc = shutil.which("nvcc"), _nvrtc()
    if not (nvcc or nvrtc):
        pytest.skip("neither NVRTC nor nvcc on this machine: CUDA sources are not compiled")
    if nvcc:
        _by_nvcc(nvcc, file, tmp_path)
    if nvrtc:
        _by_nvrtc(nvrtc, file)


def _reached(monkeypatch):
    """Return sources with the constants that twins give them, the largest ones among them."""
    found = set()

    def record(file, function, grid, block, args, constants):
        found.add((file, constants))

    monkeypatch.setitem(LAUNCHERS, "tests.emulator.mirror", record)
    for kind in ("int16", "int32", "float32", "float64"):
        counts = put(np.zeros((1, 9000), kind))
        raw_scan.scan(counts, np.array([[0, 0, 9]]))
        for shape in ((4, 28), (10, 538), (1, 5498)):
            decimate(counts, np.zeros(shape, np.float32), 3)
    for kind in ("float32", "float64"):
        sosfilt(put(np.zeros((3, 1), kind)), np.ones((7, 6)), put(np.zeros((7, 2, 1))))
    for n_tapers in (1, 2, 7, 31, 62):
        chunk = put(np.zeros((1, 1, 2, 2 * n_tapers, LANES), np.float32))
        add_epochs(chunk, 2, put(np.zeros((1, len(SUMS), 1))), put(np.zeros((1, 2))), SUMS)
    for curvature in (True, False):
        source_moments(put(np.zeros((2, 50), np.float32)), np.eye(2), curvature=curvature)
    envelope_correlation(put(np.zeros((2, 50), np.complex64)))
    return sorted(found)


def test_compiles_with_the_constants_in_use(monkeypatch):
    """The assembler refuses more static shared memory than the 48 KiB that every device has."""
    nvrtc = _nvrtc()
    if nvrtc is None:
        pytest.skip("no NVRTC on this machine: sources are compiled with their defaults only")
    reached = _reached(monkeypatch)
    assert len({file for file, _ in reached}) == 6
    for file, constants in reached:
        _by_nvrtc(nvrtc, file, constants)
