"""Masks in their normal form."""

from __future__ import annotations

import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.block import Cause, Mask, RawBlock, good_samples
from brainforge.info import Channel, Info
from brainforge.masks import (
    bad_samples,
    masks_from_state,
    masks_to_state,
    normal_masks,
    true_runs,
)

INFO = Info(100.0, (Channel("A", "mag"), Channel("B", "mag")))
MASK = st.builds(
    Mask,
    st.sampled_from([None, ("A",), ("B",), ("A", "B")]),
    st.integers(-20, 100),
    st.integers(-20, 100),
    st.sampled_from(list(Cause)),
)


@settings(max_examples=100, derandomize=True)
@given(masks=st.lists(MASK, max_size=8), at=st.integers(0, 80))
def test_normal_form_covers_the_same_samples_once(masks, at):
    normal = normal_masks(masks, 0, 80)
    np.testing.assert_array_equal(
        good_samples(normal, INFO, 0, 80), good_samples(tuple(masks), INFO, 0, 80)
    )
    parts = normal_masks(masks, 0, at) + normal_masks(masks, at, 80)
    assert normal_masks(parts, 0, 80) == normal
    assert normal_masks(normal[::-1], 0, 80) == normal
    assert masks_from_state(json.loads(json.dumps(masks_to_state(normal)))) == normal


def test_true_runs():
    assert true_runs(np.array([True, False, True, True])) == [(0, 1), (2, 4)]
    assert true_runs(np.zeros(0, bool)) == []


@settings(max_examples=60, derandomize=True)
@given(masks=st.lists(MASK, max_size=6))
def test_bad_samples_are_those_that_are_not_good(masks):
    block = RawBlock(np.zeros((INFO.n_channels, 40), np.int16), INFO, 20, tuple(masks))
    picked = {name: i for i, name in enumerate(INFO.names[1:])}
    touched, bad = bad_samples(block, picked)
    want = ~good_samples(block.masks, INFO, block.start, block.stop)[1:]
    assert touched.tolist() == np.flatnonzero(want.any(axis=1)).tolist()
    np.testing.assert_array_equal(bad, want[touched])
