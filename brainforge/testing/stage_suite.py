"""What every stage has to pass. Subclass `StageSuite` in a test file.

Give it a ``stage`` and a ``recording`` fixture. The recording is long enough for the stage to
put out several blocks, and holds two segments with a gap between them that the stage has to
treat as one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask, RawBlock
from brainforge.flow import Stage, Step
from brainforge.recording import Recording

BACKEND = Backend(n_threads=1)


def cut(recording: Recording, sizes: Sequence[int]) -> Iterator[RawBlock]:
    """Yield the samples of a recording in blocks of the given sizes, over and over."""
    turn = 0
    for start, stop in recording.segments:
        at = start
        while at < stop:
            end = min(at + max(sizes[turn % len(sizes)], 1), stop)
            yield recording.read(at, end)
            at, turn = end, turn + 1


def run(step: Step, blocks: Iterator[RawBlock]) -> list[Block]:
    """Feed all blocks to a step and return all that comes out."""
    out = [piece for block in blocks for piece in step.process(block)]
    return out + step.finish()


def signal_of(blocks: list[Block]) -> dict[int, npt.NDArray[np.float32]]:
    """Return the continuous stretches of an output: first sample -> array (channel, sample)."""
    found: dict[int, list[npt.NDArray[np.float32]]] = {}
    stop, first = None, 0
    for block in blocks:
        if block.start != stop:
            first = block.start
            found[first] = []
        found[first].append(block.data)
        stop = block.stop
    return {start: np.concatenate(parts, axis=1) for start, parts in found.items()}


def good_of(blocks: list[Block]) -> npt.NDArray[np.bool_]:
    """Return which output samples can be believed, axes (channel, sample), blocks in a row."""
    return np.concatenate([block.good() for block in blocks], axis=1)


def same_signal(a: list[Block], b: list[Block]) -> None:
    """Assert that two outputs hold exactly the same samples and masks."""
    left, right = signal_of(a), signal_of(b)
    assert list(left) == list(right)
    for start, data in left.items():
        np.testing.assert_array_equal(data, right[start])
    np.testing.assert_array_equal(good_of(a), good_of(b))


class _Overwritten:
    """A reader that gives other counts inside some intervals."""

    def __init__(self, recording: Recording, masks: tuple[Mask, ...], seed: int) -> None:
        self._recording, self._masks = recording, masks
        self._rng = np.random.default_rng(seed)

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        data = np.array(self._recording.reader.read(start, stop))
        for mask in self._masks:
            lo, hi = max(mask.start, start) - start, min(mask.stop, stop) - start
            if lo < hi:
                info = self._recording.info
                rows = info.rows(info.names if mask.channels is None else mask.channels)
                data[rows[:, None], np.arange(lo, hi)] = self._rng.integers(
                    -30000, 30000, (len(rows), hi - lo)
                )
        return data


class StageSuite:
    """Chunk invariance, gaps, masks, latency, parameters, checkpoints, read-only outputs."""

    def test_parameters_are_frozen_and_serialise(self, stage: Any) -> None:
        assert type(stage).__dataclass_params__.frozen
        values = json.loads(json.dumps(asdict(stage)))
        assert set(values) == {f.name for f in fields(stage)}
        again = type(stage)(**{k: _tupled(v) for k, v in values.items()})
        assert again == stage

    def test_states_its_output_and_latency_before_data_flows(
        self, stage: Stage, recording: Recording
    ) -> None:
        step = stage.bind(recording.info, BACKEND)
        assert np.isfinite(step.latency)
        assert step.latency >= 0
        info, k = step.info, step.info.decim // recording.info.decim
        late = round(step.latency * recording.info.sfreq)
        ready: dict[int, int] = {}
        start, stop = recording.segments[0]
        done = start
        for block in cut(recording.crop(start, stop), [97]):
            for out in step.process(block):
                assert out.info == info
                done = out.stop * k
                ready[out.start] = block.stop
            assert done > block.stop - late - 97 - k
        assert ready

    def test_any_cutting_gives_the_same_numbers(self, stage: Stage, recording: Recording) -> None:
        longest = max(b - a for a, b in recording.segments)
        want = run(stage.bind(recording.info, BACKEND), cut(recording, [longest]))
        rng = np.random.default_rng(0)
        for most in (50, 1000, 5000):
            sizes = rng.integers(1, most, 40).tolist()
            got = run(stage.bind(recording.info, BACKEND), cut(recording, sizes))
            same_signal(want, got)

    def test_outputs_are_in_order_finite_and_read_only(
        self, stage: Stage, recording: Recording
    ) -> None:
        out = run(stage.bind(recording.info, BACKEND), cut(recording, [1000]))
        assert out
        stop = out[0].start
        for block in out:
            assert block.start >= stop
            stop = block.stop
            assert block.data.dtype == np.float32
            assert np.isfinite(block.data).all()
            assert not block.data.flags.writeable

    def test_a_gap_resets_the_state(self, stage: Stage, recording: Recording) -> None:
        assert len(recording.segments) == 2
        blocks = run(stage.bind(recording.info, BACKEND), cut(recording, [777]))
        k = blocks[0].info.decim // recording.info.decim
        (_, a), (b, stop) = recording.segments
        for block in blocks:
            assert block.stop * k < a + k or block.start * k >= b
        alone = recording.crop(b, stop)
        want = signal_of(run(stage.bind(recording.info, BACKEND), cut(alone, [777])))
        got = signal_of(blocks)
        for start, data in want.items():
            size = np.sqrt(np.mean(np.square(data)))
            np.testing.assert_allclose(got[start], data, rtol=0, atol=1e-4 * size)

    def test_masked_samples_have_no_influence(self, stage: Stage, recording: Recording) -> None:
        (start, stop), name = recording.segments[0], recording.info.names[0]
        middle = (start + stop) // 2
        masks = (
            Mask((name,), middle, middle + 20, Cause.RAILED),
            Mask((name,), middle + 1000, middle + 1300, Cause.RAILED),
            Mask(None, start, start + 3, Cause.NON_FINITE),
            Mask(None, stop - 3, stop, Cause.NON_FINITE),
        )
        outputs = []
        for seed in (1, 2):
            other = replace(recording, reader=_Overwritten(recording, masks, seed), masks=masks)
            outputs.append(run(stage.bind(other.info, BACKEND), cut(other, [501])))
        same_signal(*outputs)
        k = outputs[0][0].info.decim // recording.info.decim
        masked = 0
        for block in outputs[0]:
            row = block.info.index(name) if name in block.info.names else None
            lo, hi = -(-middle // k), (middle + 19) // k + 1
            for at in range(max(lo, block.start), min(hi, block.stop)):
                assert row is None or not block.good()[row, at - block.start]
                masked += 1
        assert masked == hi - lo

    def test_a_checkpoint_continues_the_same_numbers(
        self, stage: Stage, recording: Recording
    ) -> None:
        sizes = [1234]
        want = run(stage.bind(recording.info, BACKEND), cut(recording, sizes))
        blocks = list(cut(recording, sizes))
        for at in (0, 1, len(blocks) // 3, 2 * len(blocks) // 3, len(blocks)):
            step = stage.bind(recording.info, BACKEND)
            out = [piece for block in blocks[:at] for piece in step.process(block)]
            state = step.state()
            other = stage.bind(recording.info, BACKEND)
            other.restore(state)
            step.finish()
            out += run(other, iter(blocks[at:]))
            same_signal(want, out)


def _tupled(value: Any) -> Any:
    return tuple(_tupled(v) for v in value) if isinstance(value, list) else value
