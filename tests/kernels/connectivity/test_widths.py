"""Packing and pair sums on processors with narrower vectors than this one has."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
#: what a processor says of itself is replaced while the width of vectors is chosen
PROGRAM = """
import sys
import llvmlite.binding as llvm
plain = llvm.get_host_cpu_features
llvm.get_host_cpu_features = lambda: {"avx": True} if sys.argv[1] == "8" else {}
from brainforge.kernels.vectors import WIDTH
llvm.get_host_cpu_features = plain
import numpy as np
from brainforge.kernels.connectivity.fourier import new_chunk, pack
from brainforge.kernels.connectivity.layout import SUMS
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import PairSums
from tests.reference import connectivity as reference

assert str(WIDTH) == sys.argv[1]
rng = np.random.default_rng(4)
for n_tapers in (1, 2):
    x = rng.standard_normal((9, 21, 60)).astype(np.float32)
    x[2, 3] = 1.0
    tapers, bins = dpss_tapers(60, 2.0, n_tapers), np.array([3, 9])
    chunk = new_chunk(2, 21, n_tapers, 9)
    pack(chunk, 0, x, tapers, bins)
    sums = PairSums(2, 21, n_tapers, SUMS)
    sums.add(chunk, 9)
    wanted = reference.sums(reference.cross_spectra(x, tapers, bins))
    upper = np.triu_indices(21, 1)
    for k, name in enumerate(sums.names):
        if name in ("positive", "unit_re", "unit_im"):
            want = wanted[name][upper].T
            np.testing.assert_allclose(sums.values[:, k], want, atol=1e-4, err_msg=name)
"""


@pytest.mark.slow
@pytest.mark.parametrize("width", ["4", "8"])
def test_any_width_gives_the_same_sums(width, tmp_path):
    # a cache of its own: kernels are kept by processor, and this one only pretends
    paths = {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    environment = {**os.environ, **paths}
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, width],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
