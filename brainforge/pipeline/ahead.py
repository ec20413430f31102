"""A first run compiles the later kernels in a second process, while pass 1 compiles its own.

Numba compiles under one lock, so that threads take turns; processes share what they compile
through its cache on disk. Where every kernel is on disk already nothing is started.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager

import numpy as np

from brainforge.backend import Backend
from brainforge.kernels.jit import when_cold

#: of the samples that the kernels are tried on: enough for the longest epoch of every measure
_SECONDS, _RATE, _CHANNELS = 24.0, 250.0, 8


@contextmanager
def compiling_ahead(backend: Backend) -> Iterator[None]:
    """Let a second process compile later kernels, if inside any kernel is not on disk.

    It runs on a core that the backend may use, so not beside a single thread, and is stopped
    at the end. Where none can be started, all kernels are compiled here.
    """
    children: list[subprocess.Popen[bytes]] = []
    if backend.name != "cpu" or backend.threads < 2 or not sys.executable:
        yield
        return
    try:
        with when_cold(lambda: children.extend(_started())):
            yield
    finally:
        for child in children:
            child.terminate()
            child.wait()


def _started() -> list[subprocess.Popen[bytes]]:
    # the same modules as here, wherever they came from, and nothing that happens to lie about
    path = os.pathsep.join(p for p in sys.path if p)
    try:
        return [
            subprocess.Popen(
                [sys.executable, "-m", "brainforge.pipeline.ahead"],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
            )
        ]  # fmt: skip
    except OSError:
        # no more processes, or not allowed to: only the first run is the slower for it
        return []


def compile_rest() -> None:
    """Run what comes after pass 1 on a few seconds of noise, as recipe ``resting`` has it."""
    from brainforge.block import Block
    from brainforge.datasets import Phantom
    from brainforge.kernels.graph import graph_metrics
    from brainforge.learners.artifacts import learn_artifacts
    from brainforge.operator import Operator
    from brainforge.pipeline.second_pass import pair_measures
    from brainforge.recipe import load_recipe
    from brainforge.working_copy import WorkingCopy

    recipe, alone, rng = load_recipe("resting"), Backend(n_threads=1), np.random.default_rng(0)
    # what is needed last comes first: the other process may overtake this one in the middle
    noise = rng.random((_CHANNELS, _CHANNELS))
    graph_metrics(noise + noise.T, 0.5)
    info = Phantom(n_channels=_CHANNELS, sfreq=_RATE, duration=_SECONDS).info
    samples = rng.laplace(size=(_CHANNELS, round(_SECONDS * _RATE))).astype(np.float32)
    block = Block(samples, info, 0)
    with closing(WorkingCopy(info)) as working:
        working.write(block)
        fixed = Operator.identity(info.names)
        learn_artifacts(working, fixed, info, recipe.artifacts, backend=alone)
    for measure in pair_measures(info, recipe, alone):
        measure.update(block)
        measure.result()


if __name__ == "__main__":
    compile_rest()
