"""The conformance suites catch the mistakes they are there for."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from brainforge.block import Block, Cause, Mask
from brainforge.info import Channel, Info
from brainforge.testing.kernel_suite import KernelCase, KernelSuite
from brainforge.testing.measure_suite import MeasureSuite

INFO = Info(100.0, (Channel("A", "mag"), Channel("B", "mag")))


class Sum:
    """A right measure: the sum of the believed samples."""

    def __init__(self):
        self.total = np.zeros(2)

    def update(self, block):
        self.total = self.total + np.where(block.good(), block.data, 0).sum(axis=1, dtype=float)

    def merge(self, other):
        self.total = self.total + other.total

    def result(self):
        return self.total

    def state(self):
        return {"total": self.total.copy()}

    def restore(self, state):
        self.total = state["total"]


class Suite(MeasureSuite):
    measure = Sum
    tolerance = 1e-3

    def make(self):
        return self.measure()

    def recording(self):
        data = np.random.default_rng(0).standard_normal((2, 300)).astype(np.float32)
        return [Block(data, INFO, 40, (Mask(("B",), 90, 100, Cause.RAILED),))]

    def numbers(self, result):
        return {"total": result}


class TestRightMeasure(Suite):
    pass


class CountsMasked(Sum):
    def update(self, block):
        self.total = self.total + np.nan_to_num(block.data).sum(axis=1, dtype=float)


class CountsBlocks(Sum):
    def update(self, block):
        super().update(block)
        self.total = self.total + 1


class KeepsLater(Sum):
    def merge(self, other):
        self.total = other.total


class EmptiesOther(Sum):
    def merge(self, other):
        super().merge(other)
        other.total = np.zeros(2)


class ResultCounts(Sum):
    def result(self):
        self.total = self.total + 1
        return self.total


class Forgets(Sum):
    def restore(self, state):
        self.total = np.zeros(2)


class MovingState(Sum):
    def update(self, block):
        self.total += np.where(block.good(), block.data, 0).sum(axis=1, dtype=float)

    def state(self):
        return {"total": self.total}


@pytest.mark.parametrize(
    "measure, test",
    [
        (CountsMasked, "test_masked_samples_do_not_matter"),
        (CountsBlocks, "test_any_cut_gives_the_same_numbers"),
        (KeepsLater, "test_any_order_of_merging_gives_the_same_numbers"),
        (KeepsLater, "test_an_instance_goes_on_after_a_merge"),
        (KeepsLater, "test_empty_measure"),
        (EmptiesOther, "test_merging_leaves_the_other_alone"),
        (ResultCounts, "test_result_changes_nothing"),
        (Forgets, "test_restore_continues_where_state_was_taken"),
        (MovingState, "test_a_checkpoint_does_not_move"),
    ],
)
def test_wrong_measure_is_caught(measure, test):
    suite = type("Broken", (Suite,), {"measure": measure})()
    with pytest.raises(AssertionError):
        getattr(suite, test)()


class TestRightKernel(KernelSuite):
    table: ClassVar = {
        "double": KernelCase(
            {"cpu": lambda x: 2 * x}, lambda x: x + x, lambda rng, n: (rng.random((n, 3)),)
        )
    }


def writes(x):
    x[...] = 0
    return x


@pytest.mark.parametrize(
    "twin, test, extra",
    [
        (lambda x: 2 * x + 1e-3, "test_twin_equals_reference", (7,)),
        (lambda x: 2 * x.ravel("A").reshape(x.shape), "test_layout_does_not_matter", ()),
        (writes, "test_inputs_are_left_alone", ()),
    ],
)
def test_wrong_kernel_is_caught(twin, test, extra):
    case = KernelCase({"cpu": twin}, lambda x: x + x, lambda rng, n: (rng.random((n, 3)),))
    suite = type("Broken", (KernelSuite,), {"table": {"double": case}})()
    with pytest.raises((AssertionError, ValueError)):
        getattr(suite, test)("double", "cpu", *extra)
