"""One file a stage; each has ``build(material)`` that returns its `Comparison`."""

from __future__ import annotations

from importlib import import_module
from typing import Any

#: in the order of the job
STAGES = (
    "read_fif_float",
    "read_fif_int",
    "read_zarr",
    "fir_decimate",
    "fir_full",
    "psd",
    "bad_channels",
    "hfc",
    "ica",
    "artifacts",
    "ecg",
    "eog",
    "apply",
    "muscle",
    "connectivity",
    "multitaper",
    "aec",
    "report",
)
#: those whose accuracy means nothing on seconds of data
NEED_LENGTH = frozenset({"ica", "artifacts", "ecg", "eog"})


def stage_module(name: str) -> Any:
    """Return the module of one stage of `STAGES`; its ``build`` makes the comparison."""
    return import_module(f"benchmarks.stages.{name}")
