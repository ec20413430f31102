"""One file a stage; each has ``build(material)`` that returns its `Comparison`."""

from __future__ import annotations

from importlib import import_module

from benchmarks.comparison import Comparison
from benchmarks.material import Material

#: in the order of the job
STAGES = (
    "read",
    "muscle",
    "fir_decimate",
    "fir_full",
    "psd",
    "bad_channels",
    "hfc",
    "ica",
    "artifacts",
    "apply",
    "connectivity",
    "multitaper",
    "aec",
)


def build(name: str, material: Material) -> Comparison:
    """Return the comparison of one stage of `STAGES`."""
    return import_module(f"benchmarks.stages.{name}").build(material)
