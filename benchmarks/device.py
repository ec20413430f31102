"""The product on a GPU: kernels with twins, the whole job, and 50 patients.

``python -m benchmarks.device [--minutes 30] [--patients 50] [--json FILE]``. Times are those of the
device's own events, warm, median of many; the context, and the first call of every row with its
compilation and planning of FFTs, are told separately. Results are compared with the CPU's. Where
no GPU is there it says so and changes nothing but rows that are new: they have not run on
hardware.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np

from benchmarks.device_rows import (
    KERNELS,
    MEASURES,
    PATIENTS,
    PATIENTS_TARGET_S,
    STAGES,
    KernelRow,
    MeasureRow,
)
from benchmarks.machine import account, now
from benchmarks.material import Material
from benchmarks.store import DEVICE, load, rounded
from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.device import choose, cuda_trouble
from brainforge.kernels.device.memory import describe
from brainforge.kernels.dispatch import catalogue
from brainforge.kernels.namespace import to_host
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.processing import process

WAITING = "not run on hardware"
REPEATS = 21


class Gpu(Protocol):
    """What is asked of a device."""

    name: str
    #: seconds to its first array
    context_s: float

    def put(self, array: Any) -> Any:
        """Copy an array to it."""

    def seconds(self, call: Callable[[], Any]) -> float:
        """Return the seconds of a call by the device's clock."""


class Cuda:
    """A CUDA device through CuPy."""

    def __init__(self) -> None:
        begun = time.perf_counter()
        import cupy

        self._cupy = cupy
        cupy.zeros(1).sum().get()
        self.context_s = time.perf_counter() - begun
        self.name = str(describe()["devices"][0]["name"])

    def put(self, array: Any) -> Any:
        return self._cupy.asarray(array)

    def seconds(self, call: Callable[[], Any]) -> float:
        begin, end = self._cupy.cuda.Event(), self._cupy.cuda.Event()
        begin.record()
        call()
        end.record()
        end.synchronize()
        return self._cupy.cuda.get_elapsed_time(begin, end) / 1e3


def waiting() -> list[dict[str, Any]]:
    """Return every row as it stands without a GPU."""
    twins = {k.name for k in catalogue() if k.device}
    measured = {k.name for k in KERNELS}
    rows = [_row(s.name, s.title, s.target_s) for s in STAGES]
    rows.append(_row("patients", PATIENTS, PATIENTS_TARGET_S))
    rows += [_row(m.name, m.title, m.target_s) for m in MEASURES]
    rows += [_row(name, f"kernel {name}", None) for name in sorted(twins & measured)]
    return rows + [
        _row(name, f"kernel {name}, in the job only", None) for name in sorted(twins - measured)
    ]


def _row(name: str, title: str, target_s: float | None) -> dict[str, Any]:
    return {
        "name": name, "title": title, "target_s": target_s, "status": WAITING, "wall_s": None,
        "first_s": None, "cpu_s": None, "error": None,
    }  # fmt: skip


def kernel_result(row: KernelRow, material: Material, gpu: Gpu, repeats: int) -> dict[str, Any]:
    """Return seconds of a kernel on the device and on one CPU thread, and how far they differ."""
    host, call = row.data(material), row.call(material)
    there = gpu.put(host)
    first = gpu.seconds(lambda: call(there))
    walls = [gpu.seconds(lambda: call(there)) for _ in range(repeats)]
    with single_threaded_blas():
        call(host)
        begun = time.perf_counter()
        want = call(host)
        cpu = time.perf_counter() - begun
    return {
        "status": "measured", "wall_s": median(walls), "first_s": first, "cpu_s": cpu,
        "error": difference(call(there), want), "amount": " × ".join(str(n) for n in host.shape),
    }  # fmt: skip


def measure_result(
    row: MeasureRow, material: Material, gpu: Gpu, backend: Backend, repeats: int
) -> dict[str, Any]:
    """Return seconds of a measure on the device and on the CPU's threads, and their difference."""
    here = material.working_blocks
    there = [Block(gpu.put(b.data), b.info, b.start, b.masks) for b in here]
    first = gpu.seconds(lambda: row.run(material, backend, there))
    walls = [gpu.seconds(lambda: row.run(material, backend, there)) for _ in range(repeats)]
    with single_threaded_blas():
        row.run(material, Backend(), here)
        begun = time.perf_counter()
        want = row.run(material, Backend(), here)
        cpu = time.perf_counter() - begun
    return {
        "status": "measured", "wall_s": median(walls), "first_s": first, "cpu_s": cpu,
        "error": difference(row.run(material, backend, there), want),
        "amount": material.working_size,
    }  # fmt: skip


def job_results(
    material: Material, gpu: Gpu, backend: Backend, patients: int, repeats: int = 3
) -> dict[str, dict[str, Any]]:
    """Return the whole job's rows: warm medians by stage, the CPU's beside them."""
    recording = material.open_archive()

    def run(chosen: Backend) -> Any:
        begun = time.perf_counter()
        result = process(recording, backend=chosen)
        middle = time.perf_counter()
        result.report(material.folder / "report.html", overwrite=True)
        end = time.perf_counter()
        return result, {**result.timings, "report_s": end - middle, "total_s": end - begun}

    _, first = run(backend)
    runs = [run(backend) for _ in range(repeats)]
    run(Backend())
    want, cpu = run(Backend())
    begun = time.perf_counter()
    for _ in range(patients):
        run(backend)
    spent = time.perf_counter() - begun
    told = {"status": "measured", "amount": material.size}
    error = difference(runs[-1][0].connectivity.values, want.connectivity.values)
    rows = {
        s.name: {
            **told, "wall_s": median(times[s.key] for _, times in runs),
            "first_s": first[s.key], "cpu_s": cpu[s.key], "error": error,
        }
        for s in STAGES
    }  # fmt: skip
    if patients:
        rows["patients"] = {**told, "wall_s": spent, "first_s": None, "cpu_s": cpu["total_s"],
                            "error": None, "patients": patients}  # fmt: skip
    return rows


def difference(got: Any, want: Any) -> float:
    """Return the largest difference of two results over the largest value of each array."""
    if isinstance(want, dict):
        return max((difference(got[k], v) for k, v in want.items()), default=0.0)
    if is_dataclass(want):
        named = [f.name for f in fields(want)]
        return max(difference(getattr(got, n), getattr(want, n)) for n in named)
    if isinstance(want, tuple | list):
        return max((difference(g, w) for g, w in zip(got, want, strict=True)), default=0.0)
    ours, theirs = np.asarray(to_host(got), float), np.asarray(want, float)
    finite = np.isfinite(theirs)
    if not finite.any():
        return 0.0
    size = float(np.abs(theirs[finite]).max()) or 1.0
    return float(np.abs(ours[finite] - theirs[finite]).max() / size)


def measure(
    gpu: Gpu, backend: Backend, minutes: float, n_channels: int, *, patients: int, repeats: int
) -> dict[str, Any]:
    """Run every row on a device; one that fails says why and leaves the others alone."""
    found: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="brainforge-device-") as place:
        material = Material(minutes, Path(place), n_channels)
        for row in KERNELS:
            found[row.name] = _tried(lambda row=row: kernel_result(row, material, gpu, repeats))
        for row in MEASURES:
            found[row.name] = _tried(
                lambda row=row: measure_result(row, material, gpu, backend, repeats)
            )
        jobs = _tried(lambda: job_results(material, gpu, backend, patients))
    found.update({s.name: jobs for s in STAGES} if "status" in jobs else jobs)
    told = {"device": gpu.name, "date": now()}
    rows = [{**row, **found[row["name"]], **told} if row["name"] in found else row
            for row in waiting()]  # fmt: skip
    return {**account(), "context_s": gpu.context_s, "rows": rows}


def _tried(run: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return run()
    except Exception as error:
        # a row of hours on a lent machine must not take the other rows with it
        return {"status": f"failed on hardware: {type(error).__name__}: {error}"[:300]}


def without_gpu(path: Path) -> list[str]:
    """Add the rows that are new to a file as not run; return their names."""
    known = load(path) or {"rows": []}
    names = {row["name"] for row in known["rows"]}
    new = [row for row in waiting() if row["name"] not in names]
    if new:
        _save(path, {**known, "rows": known["rows"] + new})
    return [row["name"] for row in new]


def _save(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(rounded(result), indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.device", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30.0, help="of phantom")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--patients", type=int, default=50, help="0: leave that row out")
    parser.add_argument("--json", type=Path, default=DEVICE, metavar="FILE")
    given = parser.parse_args(arguments)
    trouble = cuda_trouble()
    if trouble:
        new = without_gpu(given.json)
        print(f"no GPU: {trouble}. {len(new)} new rows, {WAITING}")
        return 0
    result = measure(Cuda(), choose("cuda"), given.minutes, given.channels,
                     patients=given.patients, repeats=REPEATS)  # fmt: skip
    _save(given.json, result)
    for row in result["rows"]:
        reached = row["status"] if row["wall_s"] is None else f"{1e3 * row['wall_s']:.3g} ms"
        print(f"{row['title']}: {reached}")
    print(given.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
