"""The artifact learner on a working copy whose blocks lie on a device."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from brainforge.block import Block, Cause, Mask
from brainforge.kernels.namespace import TRAFFIC
from brainforge.learners.artifacts import learn_artifacts
from brainforge.learners.locked import locked_reduction
from brainforge.recipe import ArtifactRecipe
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put
from tests.learners.test_artifacts import RECIPE, mags, simulated
from tests.reference.working import MemoryWorking

pytestmark = pytest.mark.skipif(
    COMPILER is None, reason="no g++ to run the CUDA sources by the emulator"
)


@dataclass(frozen=True)
class DeviceWorking:
    """The same blocks on the fake device; the same arrays each time."""

    working: MemoryWorking
    held: tuple[Block, ...]

    @property
    def info(self):
        return self.working.info

    @property
    def n_samples(self):
        return self.working.n_samples

    def blocks(self) -> Iterator[Block]:
        """Yield the blocks."""
        yield from self.held


def moved(working):
    return DeviceWorking(working, tuple(replace(b, data=put(b.data)) for b in working.blocks()))


@pytest.fixture
def device():
    with fake_device():
        yield


@pytest.mark.parametrize("eog", [False, True])
def test_the_same_is_learned_and_little_comes_home(device, eog):
    working, *_ = simulated(eog=eog, seconds=60)
    working = replace(working, masks=(Mask(None, 3_000, 3_100, Cause.RAILED),))
    info, before = working.info, mags(working.info)
    here = learn_artifacts(working, before, info, RECIPE)
    away = moved(working)
    home = TRAFFIC.to_host_bytes
    there = learn_artifacts(away, before, info, RECIPE)
    home = TRAFFIC.to_host_bytes - home
    assert [c.kind for c in there.components] == [c.kind for c in here.components]
    np.testing.assert_array_equal(there.ecg.samples, here.ecg.samples)
    np.testing.assert_array_equal(there.eog.samples, here.eog.samples)
    np.testing.assert_allclose(there.operator.matrix, here.operator.matrix, atol=2e-3)
    # traces in which peaks are sought (eight for the heart, frontal ones for the eyes, two of
    # the whole recording), the excerpts of 10 s, and the moments of the fit
    traces = home / (4 * working.n_samples)
    print(f"as much came home as {traces:.1f} traces of {info.n_channels}")
    assert traces < 25
    trains = (here.ecg, here.eog)
    wanted = locked_reduction(working, before, here.operator, trains)
    got = locked_reduction(away, before, here.operator, trains)
    for a, b in zip(got, wanted):
        np.testing.assert_allclose(a.average_before, b.average_before, rtol=1e-9)
        assert a.reduction_db == pytest.approx(b.reduction_db, rel=1e-9)


def test_vectors_are_found_there_too(device):
    working, *_ = simulated(seconds=40)
    info, before = working.info, mags(working.info)
    recipe = ArtifactRecipe(method="ssp")
    here = learn_artifacts(working, before, info, recipe)
    there = learn_artifacts(moved(working), before, info, recipe)
    assert there.method == here.method == "ssp"
    np.testing.assert_allclose(there.operator.matrix, here.operator.matrix, atol=1e-3)
