"""What a figure is worth nothing without: machine, versions, threads and load."""

from __future__ import annotations

import hashlib
import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
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
        "date": now(),
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
        "free_cores": free_cores(),
    }


def now() -> str:
    """Return the date and the time, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def free_cores(threads: int = 2, megabytes: int = 24) -> float:
    """Return how many cores ``threads`` busy threads get at present.

    Where another process holds a core, two threads may share the other for a whole run: a ratio
    of CPU to wall-clock seconds near 1 is then the machine's doing.
    """
    piece = bytes(megabytes * 2**20)
    cpu, wall = time.process_time(), time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        # hashing gives the interpreter's lock away
        list(pool.map(lambda _: hashlib.sha256(piece).digest(), range(2 * threads)))
    return (time.process_time() - cpu) / (time.perf_counter() - wall)


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
