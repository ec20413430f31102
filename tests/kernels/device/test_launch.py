"""What a launch refuses, before a pointer reaches a device."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.device import launch
from brainforge.kernels.device.aec import envelope_correlation
from brainforge.kernels.namespace import contiguous, to_host
from tests.emulator.mirror import mirror_device
from tests.emulator.mirror import put as put_mirror
from tests.emulator.strict import put as put_strict


def _launch(grid, block, *args):
    launch.launch("event_sums", "add_stretches", grid, block, args, like=put_mirror(np.zeros(1)))


@pytest.mark.parametrize("cut", [np.s_[:, ::2], np.s_[::-1], np.s_[:, 1:]])
def test_memory_with_steps_is_refused(cut):
    with pytest.raises(KernelInputError, match=r"argument 0: expected a C-contiguous array"):
        _launch((1,), (1,), put_mirror(np.zeros((4, 6)))[cut])


@pytest.mark.parametrize(
    "grid, block",
    [((1, 65_536), (1,)), ((1, 1, 65_536), (1,)), ((2**31,), (1,)), ((1,), (1025,)),
     ((1,), (32, 33))],
)  # fmt: skip
def test_more_than_cuda_allows_is_refused(grid, block):
    with pytest.raises(KernelInputError, match=r"expected at most .* got .*fewer rows"):
        _launch(grid, block)


def test_another_kind_of_argument_is_refused():
    with pytest.raises(KernelInputError, match="argument 1: expected a device array or a NumPy"):
        _launch((1,), (1,), np.int32(1), 2)


def test_an_empty_grid_runs_nothing():
    # nothing is compiled either: there is no such source
    like = put_mirror(np.ones(1))
    assert launch.launch("no_such_source", "f", (0, 70_000), (1,), (), like=like) is None


@pytest.mark.parametrize("put", [put_mirror, put_strict])
@pytest.mark.parametrize("shape", [(4, 6), (1, 6), (6, 1), (3, 0)])
def test_contiguous_leaves_no_steps(put, shape):
    """Every other column of an even number of them can be flattened without a copy: a trap."""
    host = np.arange(2.0 * shape[0] * shape[1]).reshape(shape[0], -1)
    made = contiguous(put(host)[:, ::2])
    assert made._array.flags.c_contiguous
    np.testing.assert_array_equal(to_host(made), host[:, ::2])


def test_the_launcher_of_the_tests_stays_in_its_context():
    with mirror_device():
        assert "tests.emulator.mirror" in launch.LAUNCHERS
    assert "tests.emulator.mirror" not in launch.LAUNCHERS


def test_more_epochs_than_a_launch_can_have_take_turns(monkeypatch):
    grids = []

    def record(file, function, grid, block, args, constants):
        grids.append(grid)

    monkeypatch.setitem(launch.LAUNCHERS, "tests.emulator.mirror", record)
    found = envelope_correlation(put_mirror(np.zeros((65_540, 2, 2), np.complex64)))
    assert found.shape == (65_540, 1)
    assert grids == [(1, 65_535), (1, 1, 65_535), (1, 5), (1, 1, 5)]
