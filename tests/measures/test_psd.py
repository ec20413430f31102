"""WelchMeasure: any cutting, any merge order, gaps and masks."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC
from brainforge.measures.psd import WelchMeasure
from brainforge.testing.measure_suite import MeasureSuite
from tests.emulator.strict import fake_device, put
from tests.reference import psd as reference

INFO = Info(100.0, tuple(Channel(f"M{i}", "mag") for i in range(3)), decim=4)
BACKEND = Backend(n_threads=1)
MASKS = (
    Mask(("M1",), 700, 710, Cause.RAILED),
    Mask(None, 1500, 1503, Cause.GAP),
)


def signal(n=4000, seed=0):
    return np.random.default_rng(seed).standard_normal((3, n)).astype(np.float32)


def blocks(x, cuts, start=0, masks=MASKS):
    edges = [0, *sorted(set(cuts)), x.shape[1]]
    return [
        Block(x[:, a:b], INFO, start + a, tuple(m for m in masks if m.start < start + b))
        for a, b in pairwise(edges)
        if b > a
    ]


def measured(parts, **kwargs):
    measure = WelchMeasure(INFO, BACKEND, **kwargs)
    for block in parts:
        measure.update(block)
    return measure


def expected(x, start, n, step, masks=MASKS):
    """Every grid segment, one by one."""
    good = Block(x, INFO, start, masks).good()
    first = -start % step
    return reference.welch_sums(x[:, first:], 100.0, n, step, "hann", good[:, first:])


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3999), max_size=12),
    start=st.integers(0, 500),
    overlap=st.sampled_from([0.0, 0.5, 0.75]),
)
def test_any_cutting_uses_the_same_segments(cuts, start, overlap):
    x = signal()
    measure = measured(blocks(x, cuts, start), seg_s=2.0, overlap=overlap)
    power, count = expected(x, start, 200, round(200 * (1 - overlap)))
    np.testing.assert_array_equal(measure.n_segments, count)
    np.testing.assert_allclose(measure.result()[1] * count[:, None], power, rtol=1e-4, atol=1e-6)


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 3999), min_size=1, max_size=10),
    order=st.randoms(use_true_random=False),
)
def test_any_order_of_merging_gives_the_same(cuts, order):
    x = signal(seed=1)
    parts = [measured([block]) for block in blocks(x, cuts)]
    order.shuffle(parts)
    while len(parts) > 1:
        parts[0].merge(parts.pop())
        order.shuffle(parts)
    whole = measured(blocks(x, []))
    np.testing.assert_array_equal(parts[0].n_segments, whole.n_segments)
    np.testing.assert_allclose(parts[0].result()[1], whole.result()[1], rtol=1e-6)


def test_no_segment_spans_a_gap():
    x = signal()
    a, b = x[:, :950], x[:, 1000:]
    measure = measured([*blocks(a, [333], masks=()), *blocks(b, [80], 1000, masks=())])
    power_a, n_a = expected(a, 0, 200, 100, ())
    power_b, n_b = expected(b, 1000, 200, 100, ())
    np.testing.assert_array_equal(measure.n_segments, n_a + n_b)
    want = (power_a + power_b) / (n_a + n_b)[:, None]
    np.testing.assert_allclose(measure.result()[1], want, rtol=1e-4)


def test_memory_does_not_grow_with_gaps():
    measure = WelchMeasure(INFO, BACKEND)
    for i in range(50):
        measure.update(Block(signal(300, i), INFO, i * 1000))
    assert len(measure._spans) == 1
    assert measure.n_segments.tolist() == [100, 100, 100]


def test_masked_samples_have_no_influence():
    x = signal()
    other = x.copy()
    other[1, 700:710] = 1e9
    other[:, 1500:1503] = -1e9
    a, b = measured(blocks(x, [900])), measured(blocks(other, [900]))
    np.testing.assert_array_equal(a.result()[1], b.result()[1])


def test_a_channel_without_good_samples_is_nan():
    masks = (Mask(("M2",), 0, 4000, Cause.RAILED),)
    _, psd = measured(blocks(signal(), [], masks=masks)).result()
    assert np.isnan(psd[2]).all()
    assert np.isfinite(psd[:2]).all()


def test_a_checkpoint_continues():
    parts = blocks(signal(), [500, 1111, 2500])
    whole = measured(parts)
    first = measured(parts[:2])
    second = WelchMeasure(INFO, BACKEND)
    second.restore(first.state())
    first.update(parts[2])
    for block in parts[2:]:
        second.update(block)
    np.testing.assert_array_equal(second.result()[1], whole.result()[1])


def test_known_truth():
    freqs, psd = measured(blocks(signal(40000), [], masks=())).result()
    assert freqs[1] == 0.5
    assert psd[:, 2:-2].mean() == pytest.approx(0.02, rel=0.02)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="overlap"):
        WelchMeasure(INFO, BACKEND, overlap=1.0)
    measure = measured(blocks(signal(), []))
    with pytest.raises(InputError, match="starts at sample 4000"):
        measure.update(Block(signal(), INFO, 3000))
    with pytest.raises(InputError, match="channels"):
        measure.update(Block(signal()[::-1], INFO.pick(INFO.names[::-1]), 5000))
    with pytest.raises(InputError, match="same channels"):
        measure.merge(WelchMeasure(INFO, BACKEND, seg_s=1.0))
    with pytest.raises(InputError, match="overlap"):
        measure.merge(measured(blocks(signal(), [])))


def test_channels_by_name():
    x = signal()
    whole = measured(blocks(x, [900]))
    some = measured(blocks(x, [900]), names=("M2", "M0"))
    np.testing.assert_array_equal(some.result()[1], whole.result()[1][[2, 0]])
    np.testing.assert_array_equal(some.n_segments, whole.n_segments[[2, 0]])


def test_blocks_on_a_device_stay_there():
    parts = blocks(signal(), [300, 301, 1700]) + blocks(signal(900, 1), [], start=5010, masks=())
    whole = measured(parts)
    with fake_device():
        before = TRAFFIC.to_host
        there = [replace(b, data=put(b.data)) for b in parts]
        first, second = measured(there[:2]), measured(there[2:])
        second.merge(first)
        assert TRAFFIC.to_host == before
        np.testing.assert_allclose(second.result()[1], whole.result()[1], rtol=1e-5)
        assert TRAFFIC.to_host == before + 1
        np.testing.assert_array_equal(second.n_segments, whole.n_segments)
        # a checkpoint is on the host; what comes then brings it back to the device
        resumed = WelchMeasure(INFO, BACKEND)
        resumed.restore(first.state())
        for block in there[2:]:
            resumed.update(block)
        np.testing.assert_allclose(resumed.result()[1], whole.result()[1], rtol=1e-5)


class TestWelchMeasure(MeasureSuite):
    tolerance = 1e-9

    def make(self):
        return WelchMeasure(INFO, BACKEND, seg_s=1.5, overlap=0.6)

    def recording(self):
        return blocks(signal(), [1700]) + blocks(signal(900, 1), [], start=5010, masks=())

    def numbers(self, result):
        freqs, psd = result
        return {"freqs": freqs, "psd": psd}
