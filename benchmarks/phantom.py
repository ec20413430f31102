"""How fast the phantom streams: ``python benchmarks/phantom.py [SECONDS]``."""

from __future__ import annotations

import resource
import sys
import time

from brainforge.datasets import Phantom


def measure(phantom: Phantom) -> str:
    cpu, wall = time.process_time(), time.perf_counter()
    with phantom.source(1000) as source:
        n_samples = sum(block.data.shape[1] for block in source)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    seconds = n_samples / phantom.sfreq
    return (
        f"{phantom.n_channels} {phantom.layout} channels, {phantom.sfreq:g} Hz, {phantom.dtype}: "
        f"{1e3 * cpu / seconds:.1f} ms of CPU a second ({seconds / cpu:.0f} x real time), "
        f"{1e3 * wall / seconds:.1f} ms of wall clock"
    )


def main() -> None:
    duration = float(sys.argv[1]) if len(sys.argv) > 1 else 120.0
    for phantom in (
        Phantom(duration=duration),
        Phantom(duration=duration, layout="triaxial"),
        Phantom(duration=duration, dtype="int32", lsb=1e-15),
        Phantom(duration=duration, n_channels=64),
    ):
        print(measure(phantom))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of the process {peak:.0f} MiB")


if __name__ == "__main__":
    main()
