"""Cleaning: the fused matrix, and what happens where some channels are masked."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.block import Block, Cause, Mask
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC, to_host
from brainforge.operator import Operator
from brainforge.pipeline.cleaning import Cleaner
from tests.emulator.strict import fake_device, put

NAMES = ("A", "B", "C", "D")
INFO = Info(250.0, (*(Channel(n, "mag") for n in NAMES), Channel("EOG", "eog")))
#: takes the mean of all channels off
FUSED = Operator(NAMES, np.eye(4) - 0.25)


def _average_of_others(masked: tuple[str, ...]) -> Operator:
    matrix = np.eye(4)
    good = [i for i, n in enumerate(NAMES) if n not in masked]
    for name in masked:
        matrix[NAMES.index(name)] = 0
        matrix[NAMES.index(name), good] = 1 / len(good)
    return Operator(NAMES, matrix)


def _nothing(masked: tuple[str, ...]) -> Operator:
    return Operator.identity(NAMES)


@pytest.fixture
def data() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((5, 40)).astype("f4")


def test_without_masks_it_is_the_matrix_on_the_meg_channels(data: np.ndarray) -> None:
    clean = Cleaner(INFO, FUSED, _nothing)(Block(data, INFO, 100))
    assert clean.info.names == NAMES
    assert clean.start == 100
    np.testing.assert_allclose(clean.data, FUSED.matrix @ data[:4], atol=1e-5)


def test_a_masked_sample_never_reaches_another_channel(data: np.ndarray) -> None:
    mask = Mask(("B",), 110, 113, Cause.RAILED)
    cleaner = Cleaner(INFO, FUSED, _average_of_others)
    broken = data.copy()
    broken[1, 10:13] = 1e6
    a = cleaner(Block(data, INFO, 100, (mask,)))
    b = cleaner(Block(broken, INFO, 100, (mask,)))
    np.testing.assert_array_equal(a.data, b.data)
    assert a.masks == (mask,)
    outside = np.r_[0:10, 13:40]
    np.testing.assert_allclose(a.data[:, outside], (FUSED.matrix @ data[:4])[:, outside], atol=1e-5)


def test_where_nothing_can_replace_it_the_stretch_is_masked_in_all(data: np.ndarray) -> None:
    mask = Mask(("B",), 110, 113, Cause.RAILED)
    clean = Cleaner(INFO, FUSED, _nothing)(Block(data, INFO, 100, (mask,)))
    good = clean.good()
    assert not good[:, 10:13].any()
    assert good[:, np.r_[0:10, 13:40]].all()
    assert {m.cause for m in clean.masks} == {Cause.RAILED}


def test_a_channel_that_nothing_is_computed_from_may_be_masked(data: np.ndarray) -> None:
    matrix = np.eye(4)
    matrix[1] = [0.5, 0, 0.5, 0]
    info = INFO.with_bads(("B",))
    mask = Mask(("B", "EOG"), 100, 140, Cause.RAILED)
    clean = Cleaner(info, Operator(NAMES, matrix), _nothing)(Block(data, info, 100, (mask,)))
    assert clean.masks == ()
    np.testing.assert_allclose(clean.data[1], (data[0] + data[2]) / 2, atol=1e-6)


def test_masks_of_all_channels_stay(data: np.ndarray) -> None:
    mask = Mask(None, 105, 106, Cause.GAP)
    clean = Cleaner(INFO, FUSED, _nothing)(Block(data, INFO, 100, (mask,)))
    assert clean.masks == (mask,)
    np.testing.assert_allclose(clean.data, FUSED.matrix @ data[:4], atol=1e-5)


@pytest.mark.parametrize("matrix", [FUSED.matrix, np.arange(16.0).reshape(4, 4)])
def test_blocks_on_a_device_stay_there(data: np.ndarray, matrix: np.ndarray) -> None:
    mask = Mask(("B",), 110, 113, Cause.RAILED)
    cleaner = Cleaner(INFO, Operator(NAMES, matrix), _average_of_others)
    here = cleaner(Block(data, INFO, 100, (mask,)))
    with fake_device():
        before = TRAFFIC.to_host
        there = cleaner(Block(put(data), INFO, 100, (mask,)))
        assert TRAFFIC.to_host == before
        np.testing.assert_allclose(to_host(there.data), here.data, atol=1e-5)
    assert there.masks == here.masks


def test_a_field_correction_is_applied_as_identity_plus_low_rank() -> None:
    rng = np.random.default_rng(5)
    names = tuple(f"M{i}" for i in range(60))
    info = Info(250.0, tuple(Channel(n, "mag") for n in names))
    basis, _ = np.linalg.qr(rng.standard_normal((60, 8)))
    fused = Operator(names, np.eye(60) - basis @ basis.T)
    data = rng.standard_normal((60, 500)).astype("f4")
    cleaner = Cleaner(info, fused, _nothing)
    np.testing.assert_allclose(cleaner(Block(data, info, 0)).data, fused.matrix @ data, atol=1e-5)
    assert cleaner._with(()).update is not None
