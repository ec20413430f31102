"""Reading from the page cache: a FIF file of float32 against the archive."""

from __future__ import annotations

from typing import Any

from benchmarks.comparison import Comparison
from benchmarks.material import Material
from benchmarks.reading import reading, tesla_error


def build(material: Material) -> Comparison:
    def peer(_: int) -> Any:
        import mne

        return mne.io.read_raw_fif(material.fif, preload=True, verbose="error")

    return reading(
        material,
        "read, FIF float32",
        "mne.io.read_raw_fif(preload=True), float32 FIF to float64 in memory",
        peer,
        lambda: material.fif,
        lambda raw: tesla_error(material, raw._data),
    )
