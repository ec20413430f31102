"""The connectivity measure: the suite's properties, and its numbers against the kernels."""

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
from brainforge.kernels.connectivity.spectral import spectral_connectivity
from brainforge.kernels.namespace import TRAFFIC
from brainforge.measures.bands import BANDS, epoch_duration, fit_bands
from brainforge.measures.connectivity import ConnectivityMeasure, combined
from brainforge.testing.measure_suite import MeasureSuite, part
from tests.emulator.strict import fake_device, put

SFREQ = 100.0
ALL = ("coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased", "ppc", "dpli", "pli2_unbiased")


def make_info(n=5, sfreq=SFREQ):
    channels = [Channel(f"MEG {k}", "mag") for k in range(n)]
    return Info(sfreq, (Channel("EOG 1", "eog"), *channels))


INFO = make_info()


def make_block(start, n_samples, seed=0, masks=(), info=INFO):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((info.n_channels, n_samples + 5)).astype(np.float32)
    x = 100 * (x[:, 5:] + 0.7 * np.roll(x, 1, axis=0)[:, :-5])
    return Block(x, info, start, tuple(masks))


def gapped():
    masks = [
        Mask(None, 900, 950, Cause.GAP),
        Mask(("MEG 2",), 1433, 1434, Cause.RAILED),
        Mask(("EOG 1",), 2050, 2300, Cause.NON_FINITE),
    ]
    return [make_block(130, 2440, 1, masks), make_block(2730, 5501, 2)]


def flat_numbers(result):
    numbers = {f"{m} {b}": v for m, by in result.values.items() for b, v in by.items()}
    return {**numbers, **{f"n {b}": n for b, n in result.n_epochs.items()}}


class TestSuite(MeasureSuite):
    def make(self):
        return ConnectivityMeasure(INFO, Backend(n_threads=2), methods=ALL)

    def recording(self):
        return gapped()

    def numbers(self, result):
        return flat_numbers(result)


class TestMultitaperSuite(TestSuite):
    seeds = (0,)

    def make(self):
        bands = {"alpha": (8.0, 13.0)}
        return ConnectivityMeasure(INFO, Backend(n_threads=1), bands=bands, mode="multitaper")


class TestManyChunks(TestSuite):
    """Enough epochs that sums, packed and staged epochs all hold some."""

    seeds = (0,)

    def make(self):
        bands = {"wide": (20.0, 40.0)}
        durations = {"wide": 0.1}
        return ConnectivityMeasure(
            INFO, Backend(n_threads=2), bands=bands, epoch_durations=durations, methods=ALL
        )


class TestOftenAsked(TestSuite):
    """Few epochs gather, as for a result after each of them."""

    seeds = (0,)

    def make(self):
        return ConnectivityMeasure(INFO, Backend(n_threads=1), methods=ALL, most_pending=3)


@pytest.mark.parametrize("mode", ["fourier", "multitaper"])
def test_blocks_on_a_device_stay_there(mode):
    bands, methods = {"delta": (2.0, 4.0), "alpha": (8.0, 13.0)}, (*ALL, "cohy", "ciplv")

    def measured(blocks):
        measure = ConnectivityMeasure(
            INFO, Backend(n_threads=1), bands=bands, methods=methods, mode=mode, most_pending=6,
            picks=["MEG 3", "MEG 1", "MEG 2"],
        )  # fmt: skip
        for block in blocks:
            measure.update(block)
        return measure

    whole = gapped()
    parts = [part(whole[0], 130, 700), part(whole[0], 700, 2570), whole[1]]
    wanted = flat_numbers(measured(parts).result())
    with fake_device():
        there = [replace(block, data=put(block.data)) for block in parts]
        first, second = measured(there[1:2]), measured([there[0], there[2]])
        second.merge(first)
        before = TRAFFIC.to_host_bytes
        found = flat_numbers(second.result())
        # three pairs of two bands and as many measures, for either length of epochs
        assert TRAFFIC.to_host_bytes - before == 4 * 3 * 2 * len(methods)
        resumed = measured([])
        resumed.restore(first.state())
        for block in (there[0], there[2]):
            resumed.update(block)
        again = flat_numbers(resumed.result())
    for name, value in wanted.items():
        np.testing.assert_allclose(found[name], value, atol=1e-5, err_msg=name)
        np.testing.assert_allclose(again[name], value, atol=1e-5, err_msg=name)


def test_the_number_of_threads_changes_no_bit():
    found = []
    for n_threads in (1, 3):
        bands = {"wide": (2.0, 40.0), "alpha": (8.0, 13.0)}
        measure = ConnectivityMeasure(INFO, Backend(n_threads=n_threads), bands=bands, methods=ALL)
        for block in gapped():
            measure.update(block)
        found.append(flat_numbers(measure.result()))
    for name, value in found[0].items():
        np.testing.assert_array_equal(found[1][name], value, err_msg=name)


def test_values_that_are_not_finite_are_named_on_a_device_too():
    measure = ConnectivityMeasure(INFO, methods=("wpli",))
    with fake_device(), pytest.raises(InputError, match="finite samples outside the masks"):
        measure.update(Block(put(np.full((6, 400), np.inf, np.float32)), INFO, 90_000))


def test_epochs_are_those_of_the_absolute_grid():
    measure = ConnectivityMeasure(INFO, methods=ALL)
    for block in gapped():
        measure.update(block)
    result = measure.result()
    # [130, 2570) and [2730, 8231): epochs of 200 samples from 200 on, without those masked
    two = [*range(1, 4), 5, 6, *range(8, 12), *range(14, 41)]
    four = [1, *range(4, 6), *range(7, 20)]
    assert result.n_epochs["alpha"] == len(two)
    assert result.n_epochs["delta"] == len(four)
    timeline = np.full((5, 9000), np.nan)
    for block in gapped():
        timeline[:, block.start : block.stop] = block.data[1:]
    for numbers, length, names in ((two, 200, ["theta", "alpha"]), (four, 400, ["delta"])):
        epochs = np.stack([timeline[:, e * length : (e + 1) * length] for e in numbers])
        wanted = spectral_connectivity(epochs, SFREQ, {b: BANDS[b] for b in names}, ALL)
        for method in ALL:
            for band in names:
                np.testing.assert_allclose(
                    result.values[method][band], wanted[method][band], atol=1e-6
                )


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(130, 2570), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_workers_lose_no_epoch(cuts, shuffler):
    block = gapped()[0]
    edges = sorted({block.start, block.stop, *cuts})
    workers = []
    for a, b in pairwise(edges):
        workers.append(ConnectivityMeasure(INFO, Backend(n_threads=1), methods=("wpli",)))
        workers[-1].update(part(block, a, b))
    shuffler.shuffle(workers)
    for other in workers[1:]:
        workers[0].merge(other)
    assert workers[0].n_epochs == {
        "delta": 3,
        **dict.fromkeys(["theta", "alpha", "beta"], 9),
        "gamma": 9,
    }


def test_channels_are_joined_by_name():
    block = gapped()[1]
    order = list(reversed(INFO.names))
    swapped = Block(block.data[::-1], INFO.pick(order), block.start)
    straight, other = ConnectivityMeasure(INFO), ConnectivityMeasure(INFO)
    straight.update(block)
    other.update(swapped)
    wanted = flat_numbers(straight.result())
    for name, value in flat_numbers(other.result()).items():
        np.testing.assert_array_equal(value, wanted[name])


def test_few_epochs_are_said_to_be_collecting():
    measure = ConnectivityMeasure(INFO, methods=("wpli",), bands={"alpha": (8.0, 13.0)})
    measure.update(make_block(0, 29 * 200))
    assert measure.result().methods["wpli"].endswith("; collecting, of 30 epochs: alpha 29")
    measure.update(make_block(29 * 200, 200))
    assert measure.result().methods["wpli"].endswith("mean over the band's bins")


def test_a_masked_channel_that_is_not_picked_costs_nothing():
    masks = [Mask(("MEG 2",), 0, 4000, Cause.RAILED)]
    measure = ConnectivityMeasure(INFO, picks=["MEG 0", "MEG 1"])
    measure.update(make_block(0, 4000, 3, masks))
    assert measure.n_epochs["alpha"] == 20


def test_many_gaps_do_not_pile_up():
    measure = ConnectivityMeasure(INFO, methods=("wpli",))
    for k in range(100):
        measure.update(make_block(k * 300, 290, k))
    cutter = measure.state()["lengths"]["200"]["cutter"]
    assert len(cutter["part_epochs"]) <= 32
    assert measure.n_epochs["alpha"] == 50


def test_bad_input_is_named():
    measure = ConnectivityMeasure(INFO)
    block = gapped()[1]
    measure.update(block)
    with pytest.raises(InputError, match="samples not seen before"):
        measure.update(part(block, 3000, 3100))
    with pytest.raises(InputError, match="samples not seen before"):
        measure.merge(measure)
    with pytest.raises(InputError, match="expected 100 Hz, got 50 Hz"):
        measure.update(make_block(90_000, 100, info=make_info(sfreq=50.0)))
    with pytest.raises(InputError, match="MEG 4"):
        measure.update(make_block(90_000, 100, info=make_info(4)))
    with pytest.raises(InputError, match="same channels, bands"):
        measure.merge(ConnectivityMeasure(INFO, picks=["MEG 1", "MEG 0"]))
    with pytest.raises(InputError, match="checkpoint"):
        measure.restore(ConnectivityMeasure(INFO, methods=["coh"]).state())
    with pytest.raises(InputError, match="finite samples outside the masks"):
        measure.update(Block(np.full((6, 400), np.nan, np.float32), INFO, 90_000))
    with pytest.raises(InputError, match="method"):
        ConnectivityMeasure(INFO, methods=["cohere"])
    with pytest.raises(InputError, match="mode: expected fourier or multitaper"):
        ConnectivityMeasure(INFO, mode="wavelet")
    with pytest.raises(InputError, match="band x: expected 0 <= low <= high"):
        ConnectivityMeasure(INFO, bands={"x": (-2.0, 4.0)}, epoch_durations={"x": 2.0})
    with pytest.raises(InputError, match="at least one sample"):
        ConnectivityMeasure(INFO, epoch_durations={"alpha": 0.0})
    with pytest.raises(InputError, match="most_pending: expected at least one epoch"):
        ConnectivityMeasure(INFO, most_pending=0)
    with pytest.raises(InputError, match="at least one good"):
        ConnectivityMeasure(Info(SFREQ, (Channel("E", "eog"),)))


def test_bands_fit_the_rate_and_ask_for_their_epochs():
    assert [epoch_duration(low) for low in (1.0, 2.0, 4.0, 8.0)] == [8.0, 4.0, 2.0, 2.0]
    assert fit_bands(BANDS, 250.0) == BANDS
    assert fit_bands(BANDS, 60.0)["beta"] == (13.0, 27.0)
    assert "gamma" not in fit_bands(BANDS, 60.0)


def test_combined_keeps_the_measures_of_both():
    one, two = (ConnectivityMeasure(INFO, methods=[m]).result() for m in ("coh", "wpli"))
    both = combined(one, two)
    assert list(both.values) == ["coh", "wpli"]
    assert set(both.methods) == {"coh", "wpli"}
    other = ConnectivityMeasure(INFO, picks=["MEG 1"]).result()
    with pytest.raises(InputError, match="same channels"):
        combined(one, other)


@pytest.mark.shared_data
def test_real_recording_agrees_with_mne_connectivity(shared_data):
    import mne
    import mne_connectivity

    files = sorted((shared_data / "megin306_sample_int16").glob("*raw.fif"))
    raw = mne.io.read_raw_fif(files[0], verbose="error").pick("grad").load_data(verbose="error")
    sfreq, n = raw.info["sfreq"], 24
    x = (raw.get_data()[:n] * 1e13).astype(np.float32)
    info = Info(sfreq, tuple(Channel(name, "grad") for name in raw.ch_names[:n]))
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    methods = ["coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased"]
    measure = ConnectivityMeasure(
        info, bands=bands, methods=methods, epoch_durations=dict.fromkeys(bands, 0.5)
    )
    measure.update(Block(x, info, 0))
    result = measure.result()
    length = round(0.5 * sfreq)
    epochs = x[:, : x.shape[1] // length * length].reshape(n, -1, length).transpose(1, 0, 2)
    peers = mne_connectivity.spectral_connectivity_epochs(
        epochs.astype(float),
        method=methods,
        mode="fourier",
        sfreq=sfreq,
        fmin=[8.0, 13.0],
        fmax=[13.0, 30.0],
        faverage=True,
        verbose="error",
    )
    assert result.n_epochs["alpha"] == len(epochs) > 30
    lower = np.tril_indices(n, -1)
    for method, peer in zip(methods, peers):
        for b, band in enumerate(bands):
            got, wanted = result.values[method][band][lower], peer.get_data("dense")[..., b][lower]
            # a sign within rounding of zero may be counted to the other side
            atol = 5e-3 if method == "pli" else 1e-5
            np.testing.assert_allclose(got, wanted, atol=atol, err_msg=method)
