"""What twins need again and again travels to the device once."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.device import constants
from brainforge.kernels.device.constants import constant
from brainforge.kernels.namespace import TRAFFIC, to_host
from tests.emulator.strict import put


def test_equal_keys_travel_once():
    like, before = put(np.zeros(1)), TRAFFIC.to_device
    first = constant(("a test", 1), lambda: np.arange(3), like)
    second = constant(("a test", 1), lambda: np.arange(9), like)
    assert second is first
    assert TRAFFIC.to_device == before + 1
    np.testing.assert_array_equal(to_host(first), [0, 1, 2])
    assert constant(("a test", 2), lambda: np.arange(9), like).shape == (9,)


def test_the_oldest_are_let_go(monkeypatch):
    monkeypatch.setattr(constants, "MOST", 2)
    like = put(np.zeros(1))
    kept = [constant(("another", i), lambda: np.zeros(2), like) for i in range(3)]
    assert constant(("another", 2), lambda: np.ones(2), like) is kept[2]
    assert constant(("another", 0), lambda: np.ones(2), like) is not kept[0]
