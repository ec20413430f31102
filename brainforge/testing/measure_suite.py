"""What every measure has to pass: any cut, any order of merging, any checkpoint, no masked sample.

Subclass `MeasureSuite` in a test file; say how to make the measure, what to feed it and which
numbers its result holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from brainforge.block import Block, good_samples

Array = npt.NDArray[Any]


def part(block: Block, start: int, stop: int) -> Block:
    """Return samples [start, stop) of a block, absolute indices, with the masks that touch it."""
    masks = tuple(
        replace(mask, start=max(mask.start, start), stop=min(mask.stop, stop))
        for mask in block.masks
        if mask.start < stop and start < mask.stop
    )
    data = block.data[:, start - block.start : stop - block.start]
    return Block(np.ascontiguousarray(data), block.info, start, masks)


def cut(block: Block, rng: np.random.Generator, n_parts: int) -> list[Block]:
    """Cut a block at ``n_parts - 1`` random places, some of them perhaps the same."""
    inner = np.sort(rng.integers(block.start, block.stop + 1, n_parts - 1))
    edges = [block.start, *(int(e) for e in inner), block.stop]
    return [part(block, a, b) for a, b in pairwise(edges)]


class MeasureSuite:
    """Properties of a measure. Override `make`, `recording` and `numbers`."""

    #: largest difference between two orders of merging
    tolerance: ClassVar[float] = 1e-6
    seeds: ClassVar[Sequence[int]] = (0, 1, 2)

    def make(self) -> Any:
        """Return a fresh measure."""
        raise NotImplementedError

    def recording(self) -> list[Block]:
        """Return blocks in order; a jump between two is a gap. Some samples masked, please."""
        raise NotImplementedError

    def numbers(self, result: Any) -> Mapping[str, Any]:
        """Return what a result holds, by name."""
        raise NotImplementedError

    def _fed(self, blocks: Iterable[Block]) -> Any:
        measure = self.make()
        for block in blocks:
            measure.update(block)
        return measure

    def _numbers(self, measure: Any) -> dict[str, Array]:
        return {k: np.array(v) for k, v in self.numbers(measure.result()).items()}

    def _same(self, got: Any, wanted: Any, tolerance: float, what: str) -> None:
        ours, theirs = self._numbers(got), self._numbers(wanted)
        assert ours.keys() == theirs.keys(), what
        for name, value in ours.items():
            assert value.shape == theirs[name].shape, f"{what}: {name}"
            np.testing.assert_allclose(
                value, theirs[name], rtol=0, atol=tolerance, err_msg=f"{what}: {name}"
            )

    def _pieces(self, seed: int, n_parts: int = 4) -> list[Block]:
        rng = np.random.default_rng(seed)
        return [piece for block in self.recording() for piece in cut(block, rng, n_parts)]

    def test_any_cut_gives_the_same_numbers(self) -> None:
        """Cut every block at random places."""
        whole = self._fed(self.recording())
        for seed in self.seeds:
            for n_parts in (2, 7):
                pieces = self._pieces(seed, n_parts)
                self._same(self._fed(pieces), whole, self.tolerance, f"seed {seed}")

    def test_any_order_of_merging_gives_the_same_numbers(self) -> None:
        """Give each piece to its own instance and merge them in random orders."""
        whole = self._fed(self.recording())
        for seed in self.seeds:
            rng = np.random.default_rng(seed)
            parts = [self._fed([piece]) for piece in self._pieces(seed)]
            while len(parts) > 1:
                first, second = (parts.pop(int(rng.integers(len(parts)))) for _ in range(2))
                first.merge(second)
                parts.append(first)
            self._same(parts[0], whole, self.tolerance, f"seed {seed}")

    def test_an_instance_goes_on_after_a_merge(self) -> None:
        """Merge a later stretch first, then feed what lies before it."""
        whole = self._fed(self.recording())
        pieces = self._pieces(5)
        middle = len(pieces) // 2
        measure = self._fed(pieces[:1])
        measure.merge(self._fed(pieces[middle:]))
        for piece in pieces[1:middle]:
            measure.update(piece)
        self._same(measure, whole, self.tolerance, "seed 5")

    def test_merging_leaves_the_other_alone(self) -> None:
        """The merged instance still gives its own result."""
        pieces = self._pieces(3)
        first, second = self._fed(pieces[:2]), self._fed(pieces[2:])
        before = self._numbers(second)
        first.merge(second)
        first.result()
        for name, value in self._numbers(second).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)

    def test_empty_measure(self) -> None:
        """No block gives a result, and merging nothing changes nothing."""
        whole, empty = self._fed(self.recording()), self.make()
        self._numbers(empty)
        before = self._numbers(whole)
        whole.merge(empty)
        for name, value in self._numbers(whole).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)
        empty.merge(whole)
        self._same(empty, whole, self.tolerance, "empty merged with whole")

    def test_result_changes_nothing(self) -> None:
        """Asking in between gives bit for bit what not asking gives."""
        quiet, asked = self._fed([]), self._fed([])
        for piece in self._pieces(4):
            quiet.update(piece)
            asked.update(piece)
            asked.result()
        self._same(asked, quiet, 0.0, "seed 4")

    def test_restore_continues_where_state_was_taken(self) -> None:
        """Checkpoint after each piece, in plain values, and go on in a fresh instance."""
        pieces = self._pieces(6)
        straight, hopping = self.make(), self.make()
        for piece in pieces:
            straight.update(piece)
            hopping.update(piece)
            state = stored(hopping.state())
            hopping = self.make()
            hopping.restore(state)
        self._same(hopping, straight, 0.0, "seed 6")

    def test_a_checkpoint_does_not_move(self) -> None:
        """What is fed after a state was taken does not show in it."""
        pieces = self._pieces(7)
        measure = self._fed(pieces[:3])
        state, before = measure.state(), self._numbers(measure)
        for piece in pieces[3:]:
            measure.update(piece)
        measure.restore(state)
        for name, value in self._numbers(measure).items():
            np.testing.assert_array_equal(value, before[name], err_msg=name)

    def test_masked_samples_do_not_matter(self) -> None:
        """Put NaN and huge values where a mask is."""
        whole = self._fed(self.recording())
        for poison in (np.nan, 1e9):
            spoilt = [poisoned(block, poison) for block in self.recording()]
            self._same(self._fed(spoilt), whole, 0.0, f"masked samples set to {poison}")


def poisoned(block: Block, value: float) -> Block:
    """Return the block with ``value`` in every masked sample."""
    data = np.array(block.data)
    data[~good_samples(block.masks, block.info, block.start, block.stop)] = value
    return Block(data, block.info, block.start, block.masks)


def stored(state: Any) -> Any:
    """Return a checkpoint as it comes back from storage: arrays copied, the rest through JSON."""
    if isinstance(state, np.ndarray):
        assert state.dtype != object, "a checkpoint holds arrays of numbers"
        return state.copy()
    if isinstance(state, dict):
        assert all(isinstance(key, str) for key in state), "a checkpoint's keys are strings"
        return {key: stored(value) for key, value in state.items()}
    return json.loads(json.dumps(state))
