"""Bad channels of the phantom, through the product's own filter: all that are planted, no more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from brainforge.backend import Backend
from brainforge.datasets.phantom import Phantom
from brainforge.learners.bad_channels import find_bad_channels
from brainforge.measures.gram import GramMeasure
from brainforge.measures.raw_quality import RawQualityMeasure
from brainforge.regrid import Regrid
from brainforge.stages.fir import FusedFir

REASONS = {"dead": "flat", "railing": "railed", "noisy": "noisy", "gain_drift": "gain_drift"}


def judge(phantom: Phantom) -> dict[str, str]:
    """Return the reasons by name after one pass over the phantom."""
    backend = Backend()
    step = FusedFir(1.0, 100.0, phantom.line_freq or None, decim=4).bind(phantom.info, backend)
    quality, gram = RawQualityMeasure(phantom.info, backend), GramMeasure(step.info, backend)
    grid = Regrid(10_000)

    def take(blocks) -> None:
        for raw in blocks:
            marked = replace(raw, masks=(*raw.masks, *quality.judge(raw)))
            for block in step.process(marked):
                gram.update(block)

    with phantom.source(block_size=10_000) as source:
        for raw in source:
            take(grid.process(raw))
    take(grid.finish())
    for block in step.finish():
        gram.update(block)
    found = find_bad_channels(step.info, quality.result(), gram.result())
    return {b.name: b.reason for b in found}


def planted(phantom: Phantom) -> dict[str, str]:
    return {b["name"]: REASONS[b["kind"]] for b in phantom.truth()["bad_channels"]}


def test_two_minutes_of_a_small_helmet():
    phantom = Phantom(n_channels=96, duration=120.0, seed=3, gain_loss=0.25)
    assert judge(phantom) == planted(phantom)


def test_a_sound_helmet_has_no_bad_channel():
    assert judge(Phantom(n_channels=96, duration=60.0, seed=5, bad_channels=())) == {}


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1, 11))
def test_five_minutes_whose_gain_falls_by_a_fifth(seed):
    phantom = Phantom(duration=300.0, seed=seed, gain_loss=0.2)
    assert judge(phantom) == planted(phantom)
