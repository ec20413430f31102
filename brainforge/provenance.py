"""Provenance: what made a result, so that it can be made again."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib import metadata
from typing import Any

from brainforge import __version__
from brainforge.backend import Backend
from brainforge.recipe import Recipe

#: raised whenever the numbers that the same recipe gives for the same samples change
ALGORITHM_VERSION = 2

_PACKAGES = ("numpy", "scipy", "numba", "mne", "zarr", "plotly")


def provenance(recipe: Recipe, source: dict[str, Any], backend: Backend) -> dict[str, Any]:
    """Return a JSON-ready account of input, recipe, versions and machine."""
    return {
        "brainforge": __version__,
        "algorithm_version": ALGORITHM_VERSION,
        "input": dict(source),
        "recipe": {"name": recipe.name, "hash": recipe.hash, "resolved": recipe.to_dict()},
        "backend": {"name": backend.name, "threads": backend.threads, "why": backend.why},
        "versions": {
            "python": platform.python_version(),
            **{name: metadata.version(name) for name in _PACKAGES},
        },
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": processor(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        },
    }


def processor() -> str:
    """Return the name of this machine's processor."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        return platform.processor() or platform.machine()
    return platform.processor() or platform.machine()


def peak_rss_bytes() -> int:
    """Return the largest memory this process has held so far, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak) if sys.platform == "darwin" else int(peak) * 1024
