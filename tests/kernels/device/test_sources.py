"""Every CUDA source compiles for a real architecture, by NVRTC or nvcc, wherever one exists."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from brainforge.kernels.device.launch import OPTIONS, SOURCES, source

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


def _by_nvrtc(nvrtc, file):
    program = nvrtc.createProgram(source(file), f"{file}.cu", [], [])
    try:
        nvrtc.compileProgram(program, [*OPTIONS, f"--gpu-architecture=sm_{ARCHITECTURE}"])
    except nvrtc.NVRTCError:
        pytest.fail(nvrtc.getProgramLog(program))
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
