"""Reading from the page cache: a FIF file of int32 against the archive."""

from __future__ import annotations

from typing import Any

from benchmarks.comparison import Comparison
from benchmarks.material import Material
from benchmarks.reading import reading, tesla_error


def build(material: Material) -> Comparison:
    def peer(_: int) -> Any:
        import mne

        return mne.io.read_raw_fif(material.fif_int, preload=True, verbose="error")

    return reading(
        material,
        "read, FIF int32",
        "mne.io.read_raw_fif(preload=True), int32 FIF to float64 in memory",
        peer,
        lambda: material.fif_int,
        lambda raw: tesla_error(material, raw._data),
    )
