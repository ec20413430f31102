"""What a figure is worth nothing without: machine, versions, threads and load."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

PACKAGES = (
    "numpy",
    "scipy",
    "numba",
    "mne",
    "mne-connectivity",
    "python-picard",
    "scikit-learn",
    "zarr",
)


def account() -> dict[str, Any]:
    """Return date, machine, versions and threads, JSON-ready."""
    import threadpoolctl

    import brainforge

    pools = threadpoolctl.threadpool_info()
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": len(os.sched_getaffinity(0)),
            "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
            "system": f"{platform.system()} {platform.release()}",
        },
        "versions": {
            "python": platform.python_version(),
            "brainforge": brainforge.__version__,
            **{name: _version(name) for name in PACKAGES},
        },
        "blas": [
            {"library": p.get("internal_api"), "threads": p.get("num_threads")}
            for p in pools
            if p.get("user_api") == "blas"
        ],
        "load_average": load(),
    }


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "absent"


def _processor() -> str:
    fields: dict[str, str] = {}
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        for line in lines:
            key, _, value = line.partition(":")
            fields.setdefault(key.strip(), value.strip())
    name = fields.get("model name", platform.machine())
    return f"{name} (family {fields.get('cpu family')}, model {fields.get('model')})"
