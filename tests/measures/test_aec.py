"""The envelope measure: the suite's properties, and its numbers against the kernels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC
from brainforge.measures.aec import AecMeasure
from brainforge.testing.measure_suite import MeasureSuite
from tests.emulator.cuda import COMPILER
from tests.emulator.strict import fake_device, put
from tests.reference.aec import analytic, envelope_correlation
from tests.reference.symmetric_aec import envelope_correlation as symmetric_correlation

SFREQ = 50.0
INFO = Info(SFREQ, tuple(Channel(f"MEG {k}", "mag") for k in range(4)))
BANDS = {"theta": (4.0, 8.0), "alpha": (8.0, 13.0)}


def recording():
    rng = np.random.default_rng(9)
    x = 100 * rng.standard_normal((4, 6000)).astype(np.float32)
    x[1:] += 0.5 * np.roll(x[:-1], 2, axis=1)
    masks = (Mask(("MEG 3",), 700, 710, Cause.RAILED), Mask(None, 3990, 4010, Cause.GAP))
    return [Block(x[:, :2600], INFO, 100, masks[:1]), Block(x[:, 2600:], INFO, 2730, masks[1:])]


class TestSuite(MeasureSuite):
    def make(self):
        return AecMeasure(INFO, Backend(n_threads=2), bands=BANDS)

    def recording(self):
        return recording()

    def numbers(self, result):
        return {**result.values["aec"], **result.n_epochs}


def test_is_the_mean_over_the_grid_of_the_plain_definition():
    measure = AecMeasure(INFO, bands=BANDS, oversampling=None)
    timeline = np.zeros((4, 7000))
    for block in recording():
        measure.update(block)
        timeline[:, block.start : block.stop] = block.data
    result = measure.result()
    epochs = [2, 3, 4, 6, 9, 10, 11]
    assert result.n_epochs["alpha"] == len(epochs)
    taper = np.ones(500)
    taper[:25] = np.sin(np.pi / 2 * (np.arange(25) + 0.5) / 25) ** 2
    taper[-25:] = taper[:25][::-1]
    for band, edges in BANDS.items():
        wanted = np.mean(
            [
                envelope_correlation(
                    analytic(timeline[:, e * 500 : e * 500 + 500], taper, SFREQ, edges, 1.0)[
                        :, 50:-50
                    ]
                )
                for e in epochs
            ],
            axis=0,
        )
        got = result.values["aec"][band][np.triu_indices(4, 1)]
        np.testing.assert_allclose(got, wanted, atol=1e-6)
    assert "7 epochs of 10 s" in result.methods["aec"]


class TestSymmetricSuite(TestSuite):
    def make(self):
        return AecMeasure(INFO, Backend(n_threads=2), bands=BANDS, orthogonalize="symmetric")


@pytest.mark.skipif(COMPILER is None, reason="no g++ here: CUDA sources cannot be emulated")
@pytest.mark.parametrize("orthogonalize", ["pairwise", "symmetric"])
def test_a_device_gives_the_same_and_only_the_result_comes_home(orthogonalize):
    here, there, halves = (
        AecMeasure(INFO, bands=BANDS, orthogonalize=orthogonalize) for _ in range(3)
    )
    for block in recording():
        here.update(block)
    with fake_device():
        for block in recording():
            before = TRAFFIC.to_host_bytes
            there.update(replace(block, data=put(block.data)))
            assert TRAFFIC.to_host_bytes - before < 16 * 1024
        result = there.result()
        # a checkpoint comes to the host, and goes on where the blocks are
        first, second = recording()
        begun = AecMeasure(INFO, bands=BANDS, orthogonalize=orthogonalize)
        begun.update(replace(first, data=put(first.data)))
        halves.restore(begun.state())
        halves.update(replace(second, data=put(second.data)))
        resumed = halves.result()
    wanted = here.result()
    for band in BANDS:
        for got in (result, resumed):
            np.testing.assert_allclose(
                got.values["aec"][band], wanted.values["aec"][band], atol=2e-5
            )
    assert result.n_epochs == resumed.n_epochs == wanted.n_epochs
    assert result.methods == wanted.methods


def test_a_device_refuses_what_is_not_finite_when_it_gets_to_it():
    measure = AecMeasure(INFO, bands=BANDS)
    with fake_device():
        measure.update(Block(put(np.full((4, 500), np.inf, np.float32)), INFO, 0))
        with pytest.raises(InputError, match="finite samples outside the masks"):
            measure.result()


def test_symmetric_is_the_mean_of_the_plain_definition():
    measure = AecMeasure(INFO, bands=BANDS, oversampling=None, orthogonalize="symmetric")
    block = recording()[0]
    measure.update(Block(block.data[:, 400:900], INFO, 500))
    taper = np.ones(500)
    taper[:25] = np.sin(np.pi / 2 * (np.arange(25) + 0.5) / 25) ** 2
    taper[-25:] = taper[:25][::-1]
    result = measure.result()
    for band, edges in BANDS.items():
        z = analytic(block.data[:, 400:900], taper, SFREQ, edges, 1.0)[:, 50:-50]
        got = result.values["aec"][band][np.triu_indices(4, 1)]
        np.testing.assert_allclose(got, symmetric_correlation(z), atol=1e-5)
    assert "symmetrically orthogonalised, signed; 1 epoch of" in result.methods["aec"]
    assert "converge" not in result.methods["aec"]


def test_symmetric_of_dependent_channels_says_the_rank():
    measure = AecMeasure(INFO, bands=BANDS, orthogonalize="symmetric")
    x = np.random.default_rng(4).standard_normal((4, 500)).astype(np.float32)
    x[3] = x[0] - x[2]
    measure.update(Block(x, INFO, 0))
    with pytest.raises(InputError, match="signals of rank 3"):
        measure.result()


def test_bad_input_is_named():
    with pytest.raises(InputError, match="orthogonalize: expected pairwise or symmetric"):
        AecMeasure(INFO, bands=BANDS, orthogonalize="both")
    measure = AecMeasure(INFO, bands=BANDS)
    measure.update(recording()[0])
    with pytest.raises(InputError, match="samples not seen before"):
        measure.update(recording()[0])
    with pytest.raises(InputError, match="same channels, bands"):
        measure.merge(AecMeasure(INFO, bands=BANDS, absolute=True))
    with pytest.raises(InputError, match="checkpoint"):
        measure.restore(AecMeasure(INFO, bands=BANDS, edge=2.0).state())
    with pytest.raises(InputError, match="finite"):
        measure.update(Block(np.full((4, 500), np.inf, np.float32), INFO, 5000))
