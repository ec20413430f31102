"""FusedFir on a device gives the CPU's numbers, gaps, masks and bridges included."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC, is_device, to_host
from brainforge.stages.fir import FusedFir
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++ to run CUDA sources by")
BACKEND = Backend(n_threads=1)
INFO = Info(500.0, tuple(Channel(f"M{i}", "mag", cal=1e-15 * (i + 1)) for i in range(3)))


def _blocks(dtype):
    rng = np.random.default_rng(4)
    data = (1000 * rng.standard_normal((3, 9000)) + 20_000).astype(dtype)
    if np.issubdtype(dtype, np.floating):
        data[2, 3500:3503] = np.nan
    masks = (Mask(("M1",), 2100, 2110, Cause.RAILED), Mask(("M0",), 7990, 8003, Cause.RAILED))
    at = [0, 2000, 4000, 4017, 6000, 8000, 9000]  # a bridged gap of 17 samples and a real one
    starts = [0, 0, 0, 17, 3000, 3000]
    for (a, b), shift in zip(pairwise(at), starts):
        inside = tuple(replace(m, start=m.start + shift, stop=m.stop + shift) for m in masks)
        yield RawBlock(data[:, a:b], INFO, a + shift, inside)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_equals_the_cpu(dtype):
    stage = FusedFir(2.0, 80.0, 50.0, grid=1000)
    here, there = stage.bind(INFO, BACKEND), stage.bind(INFO, BACKEND)
    with fake_device():
        home = TRAFFIC.to_host
        ours, theirs = [], []
        for n, block in enumerate(_blocks(dtype)):
            ours += here.process(block)
            theirs += there.process(replace(block, data=put(block.data)))
            if n == 2:  # a checkpoint goes to the host and back
                state, there = there.state(), stage.bind(INFO, BACKEND)
                there.restore(state)
        ours += here.finish()
        theirs += there.finish()
        assert TRAFFIC.to_host - home < 60
        assert len(ours) == len(theirs) > 3
        for a, b in zip(ours, theirs):
            assert is_device(b.data)
            assert (a.start, a.masks) == (b.start, b.masks)
            size = np.abs(a.data).max()
            np.testing.assert_allclose(to_host(b.data), a.data, rtol=0, atol=3e-6 * size)
