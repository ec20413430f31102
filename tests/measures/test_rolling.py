"""The live connectivity: its definition, any cutting, masks, gaps, checkpoints."""

from __future__ import annotations

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Block, Cause, Mask
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.measures.rolling import RollingMeasure
from tests.reference import rolling as reference

BACKEND = Backend(n_threads=1)
INFO = Info(200.0, tuple(Channel(f"M{i}", "mag") for i in range(6)))
BANDS = ((2.0, 4.0), (4.0, 8.0), (8.0, 13.0), (13.0, 30.0), (30.0, 45.0))
#: nothing fades in the first minute
KEEP = 1.0


def samples(n=3000, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((6, n))
    return (100 * (x + np.roll(x, 1, axis=0))).astype(np.float32)


def feed(measure, x, sizes=(10,), start=0, masks=()):
    at, turn = 0, 0
    while at < x.shape[1]:
        end = min(at + sizes[turn % len(sizes)], x.shape[1])
        measure.update(Block(x[:, at:end], INFO, start + at, masks))
        at, turn = end, turn + 1
    return measure


def test_equals_its_definition():
    x = samples()
    got = feed(RollingMeasure(INFO, BACKEND), x).result()
    want = reference.fading_csd(x, 200.0, 10, 40, BANDS, KEEP)
    np.testing.assert_allclose(got.coherence, reference.coherence(want), atol=1e-5)
    assert got.bands == ("delta", "theta", "alpha", "beta", "gamma")
    assert got.stop == 3000
    assert got.n_epochs == pytest.approx((3000 - 390) / 10 / 40, rel=0.05)
    assert got.collecting
    last = reference.window_spectra(x[:, -400:], 200.0, 2600)
    np.testing.assert_allclose(
        got.power[:, 2], np.mean(np.abs(last[:, 16:27]) ** 2, axis=1), rtol=1e-4
    )


def test_memory_is_a_minute():
    x = samples(200 * 300)
    measure = feed(RollingMeasure(INFO, BACKEND), x[:, : 200 * 61])
    assert measure.result().collecting
    feed(measure, x[:, 200 * 61 : 200 * 62], start=200 * 61)
    assert measure.result().n_epochs == pytest.approx(30, rel=0.01)
    assert not measure.result().collecting
    feed(measure, x[:, 200 * 62 :], start=200 * 62)
    assert measure.result().n_epochs == pytest.approx(30, rel=0.01)
    assert not measure.result().collecting


def test_what_is_a_memory_ago_has_faded():
    x = samples(200 * 60)
    x[0] = samples(200 * 60, 5)[0]
    x[1, :4000] = x[0, :4000]
    got = feed(RollingMeasure(INFO, BACKEND, memory_s=5.0), x).result()
    whole = feed(RollingMeasure(INFO, BACKEND), x).result()
    assert got.coherence[3, 0] < 0.15
    assert whole.coherence[3, 0] == pytest.approx(0.33, abs=0.1)


def test_a_hop_may_hold_a_few_masked_samples_where_that_is_allowed():
    x, masks = samples(1500), (Mask(("M1",), 600, 604, Cause.NON_FINITE),)
    measure = feed(RollingMeasure(INFO, BACKEND, least=0.5), x[:, :900], masks=masks)
    plain = feed(RollingMeasure(INFO, BACKEND), x[:, :900])
    np.testing.assert_array_equal(measure.result().coherence, plain.result().coherence)
    np.testing.assert_array_equal(measure.result().imcoh, plain.result().imcoh)


@pytest.mark.parametrize("sizes", [(1,), (7, 130), (999,)])
@pytest.mark.parametrize("start", [0, 13])
def test_any_cutting_gives_the_same_numbers(sizes, start):
    x = samples(1500)
    masks = (Mask(("M2",), 700, 715, Cause.RAILED),)
    want = feed(RollingMeasure(INFO, BACKEND), x, (1500,), start, masks)
    got = feed(RollingMeasure(INFO, BACKEND), x, sizes, start, masks)
    np.testing.assert_array_equal(got.result().coherence, want.result().coherence)
    np.testing.assert_array_equal(got.csd(), want.csd())
    assert got.result().stop == want.result().stop


def test_masked_samples_have_no_influence():
    x, masks = samples(1500), (Mask(("M1",), 600, 620, Cause.NON_FINITE),)
    dirty = x.copy()
    dirty[1, 600:620] = np.nan
    a = feed(RollingMeasure(INFO, BACKEND), x, masks=masks)
    b = feed(RollingMeasure(INFO, BACKEND), dirty, masks=masks)
    np.testing.assert_array_equal(a.result().coherence, b.result().coherence)
    fresh = feed(RollingMeasure(INFO, BACKEND), x[:, :700], masks=masks).result()
    assert np.isnan(fresh.power[1]).all()
    assert np.isfinite(fresh.power[[0, 2]]).all()


def test_a_gap_begins_a_new_window():
    x = samples(2000)
    measure = feed(RollingMeasure(INFO, BACKEND), x[:, :1000])
    before = measure.result()
    feed(measure, x[:, :390], start=1500)
    np.testing.assert_array_equal(measure.result().coherence, before.coherence)
    assert np.isnan(measure.result().power).all()
    feed(measure, x[:, 390:410], start=1890)
    assert not np.array_equal(measure.result().coherence, before.coherence)


def test_a_checkpoint_continues_the_same_numbers():
    x = samples(1505)
    want = feed(RollingMeasure(INFO, BACKEND), x)
    first = feed(RollingMeasure(INFO, BACKEND), x[:, :733], (50,))
    other = RollingMeasure(INFO, BACKEND)
    other.restore(first.state())
    feed(first, x[:, :100], start=733)
    got = feed(other, x[:, 733:], start=733)
    np.testing.assert_array_equal(got.csd(), want.csd())


def test_channels_are_joined_by_name():
    x = samples(1000)
    picked = RollingMeasure(INFO, BACKEND, picks=("M4", "M1"))
    feed(picked, x)
    want = reference.coherence(reference.fading_csd(x[[4, 1]], 200.0, 10, 40, BANDS, KEEP))
    np.testing.assert_allclose(picked.result().coherence, want, atol=1e-5)


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="cpu"):
        RollingMeasure(INFO, Backend("abacus"))
    with pytest.raises(InputError, match="band below 90 Hz"):
        RollingMeasure(INFO, BACKEND, bands={"high": (200.0, 300.0)})
    measure = feed(RollingMeasure(INFO, BACKEND), samples(50))
    with pytest.raises(InputError, match="sample 50 or later"):
        feed(measure, samples(50), start=20)
