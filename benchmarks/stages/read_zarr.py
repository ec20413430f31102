"""Reading from the page cache: the archive by zarr-python, and by the product."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from benchmarks.reading import reading


def build(material: Material) -> Comparison:
    def peer(_: int) -> Any:
        import zarr

        return zarr.open_group(material.archive, mode="r")["counts"][:]

    def compare(counts: Any) -> Figure:
        want = material.recording.reader.read(0, material.recording.stop)
        differing = float(np.sum(counts != want))
        return Figure("counts of zarr-python that differ", differing, 0)

    return reading(
        material,
        "read, Zarr int16",
        "zarr-python, the same archive to int16 in memory",
        peer,
        lambda: material.archive,
        compare,
    )
