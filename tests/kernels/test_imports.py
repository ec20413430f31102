"""The kernels need NumPy, SciPy and Numba alone, and nothing compiles when they are imported."""

from __future__ import annotations

import subprocess
import sys

#: refuses every third-party package but the three, and tells what was compiled
PROGRAM = """
import importlib, pkgutil, sys

class Refuse:
    allowed = {"numpy", "scipy", "numba", "llvmlite", "brainforge", "threadpoolctl"}
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        # what belongs to no installed distribution is the standard library's
        if top not in self.allowed and top in third_party:
            raise ImportError(f"kernels may not import {name}")
        return None

from importlib.metadata import packages_distributions
third_party = set(packages_distributions())
sys.meta_path.insert(0, Refuse())
import brainforge.kernels
names = [m.name for m in pkgutil.walk_packages(brainforge.kernels.__path__, "brainforge.kernels.")]
for name in names:
    importlib.import_module(name)
from brainforge.kernels.dispatch import catalogue
from brainforge.kernels.jit import LazyKernel
rows = catalogue()
compiled = [
    f"{name}.{key}" for name in names for key, value in vars(sys.modules[name]).items()
    if isinstance(value, LazyKernel) and value._by_dtypes
]
print(len(names), len(rows), ",".join(compiled))
"""


def test_kernels_import_with_numpy_scipy_and_numba_alone():
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    n_modules, n_kernels, *compiled = run.stdout.split()
    assert int(n_modules) > 50
    assert int(n_kernels) > 2
    assert compiled == [], "compiled at import"
