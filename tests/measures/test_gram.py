"""Gram matrices by block: masks, merging in any order, checkpoints."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC
from brainforge.measures import gram as module
from brainforge.measures.gram import GramMeasure
from brainforge.testing.measure_suite import MeasureSuite
from tests.emulator.strict import fake_device, put

# blocks of 500 samples are chunks of 5 s
INFO = Info(
    100.0,
    (*(Channel(f"M{i}", "mag") for i in range(5)), Channel("EEG", "eeg"), Channel("R", "ref_mag")),
    decim=4,
)


def blocks(seed: int = 0) -> list[Block]:
    rng = np.random.default_rng(seed)
    out = []
    for i in range(4):
        data = rng.standard_normal((7, 500)).astype(np.float32)
        mask = Mask(("M1",), i * 500 + 100, i * 500 + 200, Cause.RAILED)
        data[1, 100:200] = 1e9
        out.append(Block(data, INFO, i * 500, (mask,)))
    return out


def fed(parts: list[Block]) -> GramMeasure:
    measure = GramMeasure(INFO, Backend())
    for block in parts:
        measure.update(block)
    return measure


def test_chunks_and_total_leave_masked_samples_out():
    result = fed(blocks()).result()
    assert result.names == ("M0", "M1", "M2", "M3", "M4", "R")
    assert result.n_samples.tolist() == [[500, 400, 500, 500, 500, 500]] * 4
    assert result.chunks.shape == (4, 6, 6)
    x = np.concatenate([np.delete(b.data, np.s_[100:200], 1) for b in blocks()], 1)[[0, 1]]
    assert result.covariance[0, 1] == pytest.approx(x[0] @ x[1] / 1600, rel=1e-5)
    assert result.covariance[1, 1] == pytest.approx(x[1] @ x[1] / 1600, rel=1e-5)
    assert result.total.counts[0, 0] == 2000
    np.testing.assert_allclose(result.chunks.mean(axis=0), result.covariance, rtol=1e-5, atol=1e-6)


def test_merging_in_any_order_gives_the_same():
    whole, parts = fed(blocks()).result(), blocks()
    merged = fed([parts[3]])
    merged.merge(fed([parts[0], parts[2]]))
    merged.merge(fed([parts[1]]))
    got = merged.result()
    np.testing.assert_array_equal(got.chunks, whole.chunks)
    np.testing.assert_array_equal(got.starts, [0, 500, 1000, 1500])
    np.testing.assert_allclose(got.total.sums, whole.total.sums, rtol=1e-12, atol=1e-9)


def test_a_longer_block_is_cut_into_chunks_on_the_absolute_grid():
    parts = blocks()
    data = np.concatenate([b.data for b in parts], axis=1)
    masks = tuple(m for b in parts for m in b.masks)
    long = fed([Block(data[:, 250:], INFO, 250, masks)]).result()
    whole = fed(parts).result()
    np.testing.assert_array_equal(long.starts, [250, 500, 1000, 1500])
    np.testing.assert_array_equal(long.chunks[1:], whole.chunks[1:])


def test_coarser_chunks_average_their_parts_by_samples():
    fine = fed(blocks()).result()
    coarse = fine.coarse(2)
    np.testing.assert_array_equal(coarse.starts, [0, 1000])
    np.testing.assert_array_equal(coarse.n_samples, fine.n_samples[::2] + fine.n_samples[1::2])
    np.testing.assert_allclose(coarse.chunks[0], fine.chunks[:2].mean(axis=0), rtol=1e-5, atol=1e-6)
    assert fine.coarse(4) is fine
    assert coarse.total is fine.total


def test_checkpoint():
    parts = blocks()
    first = fed(parts[:2])
    second = GramMeasure(INFO, Backend())
    second.restore(first.state())
    for block in parts[2:]:
        first.update(block)
        second.update(block)
    np.testing.assert_array_equal(first.result().total.sums, second.result().total.sums)
    np.testing.assert_array_equal(first.result().chunks, second.result().chunks)


def test_memory_does_not_grow_with_the_length(monkeypatch):
    """Chunks double, and which there are depends on neither the cutting nor the merging."""
    monkeypatch.setattr(module, "MOST_CHUNKS", 3)
    rng = np.random.default_rng(3)
    data = rng.standard_normal((7, 6000)).astype(np.float32)
    mask = Mask(("M1",), 100, 700, Cause.RAILED)
    whole = fed([Block(data, INFO, 0, (mask,))])
    assert len(whole._sums) == 3
    result = whole.result()
    np.testing.assert_array_equal(result.starts, [0, 2000, 4000])
    assert result.n_samples[:, 1].tolist() == [1400, 2000, 2000]
    x = data[[0, 2], 2000:4000].astype(np.float64)
    assert result.chunks[1, 0, 2] == pytest.approx(x[0] @ x[1] / 2000, rel=1e-5)
    edges = np.concatenate([[0], np.sort(rng.integers(1, 6000, 40)), [6000]])
    pieces = [Block(data[:, a:b], INFO, a, (mask,)) for a, b in pairwise(edges) if a < b]
    np.testing.assert_array_equal(fed(pieces).result().chunks, result.chunks)
    np.testing.assert_array_equal(fed(pieces).result().total.sums, result.total.sums)
    merged = fed(pieces[30:])
    merged.merge(fed(pieces[10:30]))
    merged.merge(fed(pieces[:10]))
    np.testing.assert_array_equal(merged.result().chunks, result.chunks)
    np.testing.assert_array_equal(merged.result().total.counts, result.total.counts)


def test_cells_cut_off_by_gaps_do_not_wait_for_ever():
    measure = GramMeasure(INFO, Backend())
    for i in range(20):
        measure.update(Block(np.ones((7, 100), np.float32), INFO, i * 1000))
    assert len(measure._waiting) == 2
    assert measure.result().n_samples[:, 0].tolist() == [100] * 20


def test_blocks_on_a_device_stay_there():
    whole, parts = fed(blocks()).result(), blocks()
    data = np.concatenate([b.data for b in parts], axis=1)
    masks = tuple(m for b in parts for m in b.masks)
    with fake_device():
        before = TRAFFIC.to_host
        cuts = pairwise([0, 130, 700, 2000])
        there = [Block(put(data[:, a:b]), INFO, a, masks) for a, b in cuts]
        first, second = fed(there[:1]), fed(there[1:])
        first.merge(second)
        assert TRAFFIC.to_host == before
        result = first.result()
        assert TRAFFIC.to_host == before + 4
        np.testing.assert_allclose(result.chunks, whole.chunks, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(result.total.counts, whole.total.counts)
        resumed = GramMeasure(INFO, Backend())
        resumed.restore(fed(there[:1]).state())
        for block in there[1:]:
            resumed.update(block)
        np.testing.assert_allclose(resumed.result().chunks, whole.chunks, rtol=1e-5, atol=1e-6)


def test_empty_result():
    result = GramMeasure(INFO, Backend()).result()
    assert result.chunks.shape == (0, 6, 6)
    assert not result.covariance.any()


def test_what_would_count_twice_or_not_fit_is_refused():
    parts = blocks()
    measure = fed(parts[:1])
    with pytest.raises(InputError, match="every block once"):
        measure.update(parts[0])
    with pytest.raises(InputError, match="every block once"):
        measure.merge(fed(parts[:1]))
    with pytest.raises(InputError, match="the same channels"):
        measure.merge(GramMeasure(INFO, Backend(), ("M0",)))
    with pytest.raises(InputError, match="channels it holds"):
        measure.result().rows(("EEG",))


class TestGramMeasure(MeasureSuite):
    """The total does not depend on the cut; the chunks are the blocks, by intent."""

    def make(self):
        return GramMeasure(INFO, Backend())

    def recording(self):
        return blocks()

    def numbers(self, result):
        return {
            "covariance": result.covariance,
            "counts": result.total.counts,
            "n_samples": result.n_samples.sum(axis=0),
        }
