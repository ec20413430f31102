"""Compiling on first use: nothing earlier, nothing that no call needs."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from brainforge.kernels.jit import lazy_jit, when_cold

SIGNATURES = [
    f"float64(Array({kind}, 1, 'C', readonly=True), int64)" for kind in ("int16", "float32")
]


def total(x, start):
    out = 0.0
    for i in range(start, x.shape[0]):
        out += x[i]
    return out


def make(signatures, **options):
    return lazy_jit(signatures, cache=False, **options)(total)


def n_compiled(kernel):
    return [len(d.signatures) for d in kernel._by_dtypes.values()]


def test_nothing_compiles_before_the_first_call():
    kernel = make(SIGNATURES)
    assert n_compiled(kernel) == []
    assert kernel.py_func is total
    assert kernel.__name__ == "total"


def test_only_the_signature_that_is_called_compiles():
    kernel = make(SIGNATURES)
    x = np.arange(5)
    assert kernel(x.astype(np.int16), 1) == 10.0
    assert n_compiled(kernel) == [1]
    assert kernel(x.astype(np.float32), np.int64(2)) == 9.0
    assert kernel(x.astype(np.int16), 0) == 10.0
    assert n_compiled(kernel) == [1, 1]


@pytest.mark.parametrize("signatures", [SIGNATURES, SIGNATURES[:1]], ids=["several", "one"])
def test_a_wrong_dtype_or_layout_is_refused(signatures):
    kernel = make(signatures)
    with pytest.raises(TypeError):
        kernel(np.arange(5.0), 0)
    with pytest.raises(TypeError):
        kernel(np.arange(10, dtype=np.int16)[::2], 0)


def test_a_read_only_array_is_taken():
    x = np.arange(5, dtype=np.int16)
    x.flags.writeable = False
    assert make(SIGNATURES)(x, 0) == 10.0


def test_without_signatures_numba_infers_them():
    kernel = make(None)
    assert kernel(np.arange(5.0), 0) == 10.0
    assert kernel(np.arange(5), 0) == 10.0


def test_threads_share_one_compilation():
    kernel, got = make(SIGNATURES), []
    x = np.arange(1000, dtype=np.int16)
    threads = [threading.Thread(target=lambda: got.append(kernel(x, 0))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert got == [x.sum()] * 4
    assert n_compiled(kernel) == [1]


PROGRAM = """
import sys
import numpy as np
from brainforge.kernels.jit import lazy_jit

@lazy_jit(["float64(float64)"])
def twice(x):
    return 2 * x

@lazy_jit(["float64(float64)"])
def four_times(x):
    return twice(twice(x))

print(*(globals()[name](1.5) for name in sys.argv[1:]))
"""


def test_a_kernel_called_by_another_may_be_called_from_python_too(tmp_path):
    """In whatever order, and in whichever process it was compiled."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    env = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for names, want in (
        (["four_times"], "6.0"),
        (["twice"], "3.0"),
        (["twice", "four_times"], "3.0 6.0"),
    ):
        run = subprocess.run(
            [sys.executable, str(program), *names],
            env=env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (run.returncode, run.stdout.strip()) == (0, want), run.stderr


def test_a_kernel_that_is_not_on_disk_is_told_once(tmp_path, monkeypatch):
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    x, told = np.arange(5, dtype=np.int16), []
    with when_cold(lambda: told.append("cold")):
        lazy_jit(SIGNATURES)(total)(x, 0)
        lazy_jit(SIGNATURES)(total)(x.astype(np.float32), 0)
    assert told == ["cold"]
    with when_cold(lambda: told.append("again")):
        lazy_jit(SIGNATURES)(total)(x, 0)
        make(SIGNATURES)(x, 0)
    lazy_jit(SIGNATURES, fastmath=False)(total)(x, 0)
    assert told == ["cold"]
