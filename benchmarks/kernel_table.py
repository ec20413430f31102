"""The capability table as a page: ``python -m benchmarks.kernel_table`` writes docs/kernels.md."""

from __future__ import annotations

from pathlib import Path

from brainforge.kernels.dispatch import Kernel, catalogue

PAGE = Path(__file__).resolve().parents[1] / "docs" / "kernels.md"
HEAD = """# Kernels and where they run

Generated from the declarations in `kernels/` by `python -m benchmarks.kernel_table`;
`brainforge diagnose --kernels` prints the same. The array that a kernel is given chooses its
body: NumPy runs the CPU's, a device array the twin. *Tolerance* is the largest difference of any
body to the plain float64 reference, relative to the largest value of the result; the conformance
suite (`tests/kernels/conformance/`) holds every body to it: the CPU's, the twin on strict arrays
of a fake device with CUDA sources in an emulator, and the twin on a real GPU where there is one.

**No twin has run on hardware yet**: no GPU could be reached. See
[decisions/0008-twins.md](decisions/0008-twins.md).

| kernel | CPU | device | tolerance | what the twin cannot do, or why there is none |
|---|---|---|---|---|
"""


def row(kernel: Kernel) -> str:
    """Return a kernel's row."""
    how = "–" if kernel.device is None else "CUDA source" if kernel.raw else "portable"
    tolerance = f"{kernel.tolerance:.0e}" if kernel.device else ""
    note = (kernel.supports or kernel.why_not).replace("|", "\\|")
    return f"| `{kernel.name}` | yes | {how} | {tolerance} | {note} |\n"


def page() -> str:
    """Return the page."""
    return HEAD + "".join(row(kernel) for kernel in catalogue())


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
