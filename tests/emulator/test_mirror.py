"""The mirror promotes as CuPy does, refuses what CuPy refuses, and knows CuPy's signatures."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.kernels.namespace import is_device, namespace, to_device, to_host
from tests.emulator.mirror import put


def test_goes_through_the_two_doors():
    there = put(np.arange(6.0).reshape(2, 3))
    assert is_device(there)
    np.testing.assert_array_equal(to_host(to_device(np.arange(3), like=there)), [0, 1, 2])
    np.testing.assert_array_equal(to_host(there.T[1:]), [[1, 4], [2, 5]])


def test_numpy_scalars_widen_and_python_numbers_do_not():
    there = put(np.zeros(2, np.float32))
    assert (there * 2.0).dtype == (1.5 - there).dtype == np.float32
    assert (there * np.float64(2)).dtype == (np.float64(2) * there).dtype == np.float64


def test_host_arrays_are_no_operands():
    there, host = put(np.zeros(2)), np.zeros(2)
    for together in (lambda: there + host, lambda: host + there, lambda: there @ host):
        with pytest.raises(TypeError):
            together()
    with pytest.raises(TypeError, match=r"numpy\.ndarray"):
        namespace(there).matmul(there, host)


@pytest.mark.parametrize("leak", [bool, float, int, np.asarray])
def test_hidden_transfers_are_refused(leak):
    with pytest.raises(AssertionError, match="a hidden transfer"):
        leak(put(np.ones(())))


def test_new_memory_holds_nothing_useful():
    xp = namespace(put(np.zeros(1)))
    assert np.isnan(to_host(xp.empty((3,), dtype=xp.float32))).all()


def test_a_call_that_cupy_does_not_know_is_an_error():
    pytest.importorskip("cupy", reason="CuPy is not installed: its signatures are not known")
    there = put(np.zeros(3))
    assert to_host(namespace(there).sum(there, axis=0, dtype=np.float64)) == 0
    with pytest.raises(TypeError, match="initial"):
        namespace(there).sum(there, initial=1.0)
