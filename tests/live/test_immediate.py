"""The immediate path: any cutting, masks, gaps, averages, restarts, rates, what it publishes."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.checkpoint import pack_state, unpack_state
from brainforge.datasets import Phantom
from brainforge.errors import InputError
from brainforge.feed import FeedReader, FeedWriter
from brainforge.info import Channel, Info
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.live.calibration import Calibration
from brainforge.live.immediate import ImmediatePath
from brainforge.operator import Operator
from brainforge.recipe import LiveRecipe, load_recipe
from brainforge.recording import Gap, recording_from_array

BACKEND = Backend(n_threads=1)
RESTING = load_recipe("resting")
SFREQ = 1000.0
QUIET = dict.fromkeys(
    ("heart_amplitude", "blink_amplitude", "muscle_amplitude", "movement_amplitude",
     "interference", "background_drift"), 0.0
)  # fmt: skip
DOCS = Path(__file__).resolve().parents[2] / "docs" / "feed.md"


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Hold BLAS, SciPy's too, to one thread, as a session's processes do."""
    import scipy.linalg.blas  # noqa: F401

    with single_threaded_blas():
        yield


def recipe(**live):
    return replace(RESTING, live=LiveRecipe(**live))


class Watcher:
    """Keeps copies of what is published."""

    def __init__(self):
        self.seen = []

    def __call__(self, topic, meta, arrays):
        self.seen.append((topic, dict(meta), {k: v.copy() for k, v in arrays.items()}))

    def of(self, topic):
        return [(meta, arrays) for t, meta, arrays in self.seen if t == topic]

    def last(self, topic):
        return self.of(topic)[-1]


def run(path, recording, sizes=(50,), start=None, stop=None):
    """Feed a recording cut to pieces of some sizes in turn."""
    for a, b in recording.segments:
        at, turn = max(a, start or a), 0
        b = min(b, stop or b)
        while at < b:
            end = min(at + sizes[turn % len(sizes)], b)
            path.take(recording.read(at, end), at / SFREQ)
            at, turn = end, turn + 1


def made(recording, live=None, **more):
    watcher = Watcher()
    path = ImmediatePath(live or RESTING, recording.info, BACKEND, watcher, **more)
    return path, watcher


def watched(recording, sizes=(50,), live=None):
    path, watcher = made(recording, live)
    run(path, recording, sizes)
    return path, watcher


def phantom(duration=6.0, n_channels=20, **fields):
    fields = {"gaps": (), "bad_channels": (), "seed": 3, **fields}
    return Phantom(n_channels=n_channels, sfreq=SFREQ, duration=duration, **fields)


def floats(duration=6.0, seed=0, with_stim=False, **fields):
    """Return a recording of 16 magnetometers in float32 on a helmet, rails unknown."""
    base = phantom(duration, 16, seed=seed, **fields)
    recording = base.recording()
    x = recording.read(0, recording.stop).data * np.array([[c.cal] for c in base.info.channels])
    channels = tuple(replace(c, cal=1.0, rails=None) for c in base.info.channels)
    if with_stim:
        channels += (Channel("STI101", "stim"),)
        x = np.vstack([x, np.zeros((1, x.shape[1]))])
    info = replace(base.info, channels=channels)
    return recording_from_array(x.astype(np.float32), info)


def same(one, two):
    """Assert that two watchers saw the same numbers at the same samples."""
    assert [(t, m["sample"]) for t, m, _ in one.seen] == [(t, m["sample"]) for t, m, _ in two.seen]
    for (topic, meta, arrays), (_, other, others) in zip(one.seen, two.seen, strict=True):
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, others[name], err_msg=f"{topic} {name}")
        for key in set(meta) - {"arrival", "heart"}:
            assert meta[key] == other[key], (topic, key)


@pytest.mark.parametrize("sizes", [(1000,), (7, 130, 1, 49)])
def test_any_cutting_publishes_the_same_numbers(sizes):
    source = phantom(6.0, bad_channels=("dead", "railing", "noisy"), n_channels=20, gaps=(40, 300))
    recording = source.recording()
    same(watched(recording)[1], watched(recording, sizes)[1])


def test_snapshots_come_at_their_rates_whatever_the_clock_says():
    _, watcher = watched(phantom(10.0).recording(), (333,))
    found = Counter(topic for topic, _, _ in watcher.seen)
    assert found["traces"] == 200
    assert found["spectra"] >= 4 * 9
    assert found["topographies"] >= 4 * 9
    assert found["status"] >= 4 * 9
    assert found["connectivity"] >= 2 * 9
    assert found["averages"] >= 9
    samples = [m["sample"] for m, _ in watcher.of("connectivity")]
    shown = [m["sample"] for m, _ in watcher.of("traces")]
    assert np.diff(samples).max() <= SFREQ  # never older than a second
    assert np.diff(shown).max() == 50
    first, second = (m["n_epochs"] for m, _ in watcher.of("connectivity")[-2:])
    assert second > first > 0
    assert watcher.last("connectivity")[0]["collecting"]


def test_what_is_published_is_documented_and_fits_its_announced_size(tmp_path):
    recording = floats(4.0, with_stim=True)
    recording.reader.data[-1, 1000:1010] = 5
    live = recipe(feedback="power", feedback_picks=recording.info.names[:3])
    path, watcher = made(recording, live)
    writer = FeedWriter(tmp_path / "feed", path.sizes())
    run(path, recording)
    words = set(re.findall(r"`([a-z_]+)`", DOCS.read_text("utf-8")))
    for topic, meta, arrays in watcher.seen:
        writer.publish(topic, meta, arrays)
        assert topic in words
        assert set(meta) | set(arrays) <= words, topic
        assert (meta["stale"], meta["revision"]) == (False, 0)
        assert 0 <= meta["coverage"] <= 1
    reader = FeedReader(tmp_path / "feed")
    assert set(reader.topics) == {t for t, _, _ in watcher.seen}
    n = path.info.n_channels
    meta, arrays = watcher.last("traces")
    assert arrays["data"].shape == arrays["good"].shape == (n, 125)
    assert meta["sfreq"] == 250
    assert meta["start"] + 125 == meta["sample"] // 4
    assert watcher.last("spectra")[1]["psd"].shape == (n, len(watcher.last("spectra")[1]["freqs"]))
    assert watcher.last("topographies")[1]["power"].shape == (5, n)
    for value in watcher.last("connectivity")[1].values():
        assert value.shape == (5, n * (n - 1) // 2)
    reader.close()
    writer.close()


def test_two_nan_harm_one_channel_for_two_samples_and_the_stated_bridge():
    recording = floats(8.0)
    dirty = recording_from_array(recording.reader.data.copy(), recording.info)
    dirty.reader.data[4, 5000:5002] = np.nan
    outputs = []
    for source in (recording, dirty):
        pieces = []
        path, watcher = made(source, outputs=lambda what, meta, arrays, to=pieces: to.append(
            {k: v.copy() for k, v in arrays.items()} if what == "cleaned" else {}
        ))  # fmt: skip
        run(path, source)
        whole = {k: np.concatenate([p[k] for p in pieces], axis=1) for k in ("data", "good")}
        outputs.append((whole, watcher, path))
    (clean, before, _), (got, after, path) = outputs
    bad = np.argwhere(~got["good"])
    assert clean["good"].all()
    assert set(bad[:, 0]) == {4}
    # 2 samples and the first lobe of the filter's response, 9 ms, at 250 Hz
    assert 1 <= len(bad) <= 4
    assert bad[0, 1] == 5000 // 4
    difference = np.abs(got["data"] - clean["data"])
    assert difference.max() < 0.2 * clean["data"][4].std()
    # no window was given up for them
    for topic in ("spectra", "connectivity"):
        for name, value in after.last(topic)[1].items():
            np.testing.assert_allclose(value, before.last(topic)[1][name], rtol=0.05, atol=0.01)
    assert path.summary()["coverage"] > 0.9998


def test_a_railed_channel_is_masked_and_harms_no_other():
    clean = phantom(8.0).recording()
    x = np.array(clean.read(0, clean.stop).data)
    info = clean.info
    x[7, 3000:5000] = info.channels[7].rails[1]
    railed = recording_from_array(x, info)
    (_, before), (_, after) = watched(clean), watched(railed)
    at = {m["sample"]: (m, a) for m, a in after.of("traces")}
    want = {m["sample"]: a for m, a in before.of("traces")}
    meta, arrays = at[4500]
    assert not arrays["good"][7].any()
    others = [i for i in range(20) if i != 7]
    assert arrays["good"][others].all()
    assert meta["coverage"] == pytest.approx(1 - 1 / 20)
    error = np.abs(arrays["data"] - want[4500]["data"])[others]
    assert error.max() < 0.35 * want[4500]["data"][others].std()
    status = {m["sample"]: m for m, _ in after.of("status")}
    assert status[4450]["masked"] == [info.names[7]]
    assert after.last("status")[0]["masked"] == []
    power = {m["sample"]: a["power"] for m, a in after.of("topographies")}
    assert np.isnan(power[4500][:, 7]).all()
    assert np.isfinite(power[4500][:, others]).all()


def test_a_channel_that_stands_still_is_masked_after_a_second():
    recording = floats(4.0)
    recording.reader.data[2, 1000:] = recording.reader.data[2, 1000]
    _, watcher = watched(recording)
    status = {m["sample"]: m["masked"] for m, _ in watcher.of("status")}
    assert status[1950] == []
    assert status[2200] == [recording.info.names[2]]


def test_a_gap_is_missing_not_zero():
    recording = phantom(8.0, gaps=()).recording()
    holed = replace(recording, gaps=(Gap(4000, 4600, "lost"),))
    path, watcher = watched(holed)
    traces = {m["sample"]: (m, a) for m, a in watcher.of("traces")}
    assert not any(4000 < s < 4600 for s in traces)
    meta, arrays = traces[4650]
    assert not arrays["good"][:, :-13].any()
    assert meta["coverage"] < 0.2
    assert path.summary()["coverage"] == pytest.approx(1 - 600 / 8000, abs=0.002)
    assert path.summary()["sample"] == 8000
    assert np.isfinite(watcher.last("connectivity")[1]["coherence"]).all()


def test_a_planted_response_comes_out_of_the_average_at_its_time():
    seed, n_events = 5, 24
    print("seed", seed)
    recording = floats(30.0, seed, with_stim=True, **QUIET)
    data = recording.reader.data
    rng = np.random.default_rng(seed)
    at = 1100 * np.arange(n_events) + rng.integers(1000, 1200, n_events)
    times = np.arange(300) / SFREQ
    shape = 2e-12 * np.exp(-(((times - 0.1) / 0.02) ** 2))
    field = np.zeros(16)
    field[5] = 1.0
    for i, sample in enumerate(at):
        data[:16, sample : sample + 300] += (field[:, None] * shape).astype(np.float32)
        data[-1, sample : sample + 20] = 1 + i % 2
    bare = replace(RESTING, field_correction=replace(RESTING.field_correction, method="none"))
    path, watcher = watched_with(recording, bare)
    meta, arrays = watcher.last("averages")
    assert meta["conditions"] == [{"channel": "STI101", "code": c} for c in (1, 2)]
    assert meta["n_epochs"] == [12, 12]
    for average in arrays["data"]:
        peak = int(np.argmax(np.abs(average[5])))
        assert arrays["times"][peak] == pytest.approx(0.1, abs=0.012)
        assert average[5, peak] == pytest.approx(2000, rel=0.35)  # fT
    assert path.summary()["epochs"][0] == {"channel": "STI101", "code": 1, "n_epochs": 12}

    beside, again = made(recording_without_stim(recording), bare)
    for i, sample in enumerate(at):
        beside.event(int(sample), 1 + i % 2, "STI101")
    run(beside, recording_without_stim(recording))
    np.testing.assert_array_equal(again.last("averages")[1]["data"], arrays["data"])


def watched_with(recording, chosen):
    path, watcher = made(recording, chosen)
    run(path, recording)
    return path, watcher


def recording_without_stim(recording):
    names = recording.info.names[:-1]
    return recording_from_array(recording.reader.data[:-1], recording.info.pick(names))


def test_a_noisy_trigger_line_stops_nobody():
    recording = floats(4.0, with_stim=True)
    noise = np.random.default_rng(1).integers(0, 5000, recording.stop)
    recording.reader.data[-1] = noise
    _, watcher = watched(recording)
    status = watcher.last("status")[0]
    rises = int(np.count_nonzero(np.diff(noise) > 0))
    assert len(status["events"]) == 100
    assert 100 < status["missed_events"] < rises - 1000
    assert len(watcher.last("averages")[0]["conditions"]) == RESTING.live.max_conditions


def test_restored_it_goes_on_as_if_nothing_had_happened():
    source = phantom(9.0, bad_channels=("railing",), n_channels=20, gaps=(300,))
    recording = source.recording()
    whole, want = made(recording)
    before, first = made(recording)
    for path in (whole, before):
        path.event(4000, 3, "button")
    run(whole, recording, (50,))
    run(before, recording, (50,), stop=4321)
    state = unpack_state(pack_state(before.state()))
    after, rest = made(recording)
    after.restore(state)
    assert after.sample == 4321
    run(after, recording, (50,), start=4321)
    assert rest.seen[0][0] == "layout"
    assert rest.seen[0][1]["arrival"] == pytest.approx(4.3, abs=0.06)
    first.seen += rest.seen[1:]
    same(want, first)
    assert after.summary()["epochs"] == whole.summary()["epochs"]
    assert after.summary()["coverage"] == whole.summary()["coverage"]


def test_a_new_operator_takes_over_without_a_step():
    recording = phantom(6.0).recording()
    path, watcher = made(recording)
    run(path, recording, stop=3000)
    names = path.info.names
    half = Calibration(1, (0, 3000), (), Operator(names, 0.5 * np.eye(20)), text="Halved.")
    path.adopt(half)
    run(path, recording, start=3000)
    _, plain = watched(recording)
    traces = {m["sample"]: (m, a["data"]) for m, a in watcher.of("traces")}
    want = {m["sample"]: a["data"] for m, a in plain.of("traces")}
    np.testing.assert_array_equal(traces[3000][1], want[3000])
    assert traces[3050][0]["revision"] == 1
    steps = np.abs(np.diff(traces[3400][1], axis=1)).max(axis=1)
    usual = np.abs(np.diff(want[2900], axis=1)).max(axis=1)
    assert (steps < 3 * usual + 50).all()
    assert path.summary()["calibrations"][0]["sample"] == 3000
    layout = watcher.of("layout")
    assert any(m["operator"] == "Halved." and m["sample"] == 3000 for m, _ in layout)
    state = unpack_state(pack_state(path.state()))
    other, _ = made(recording)
    other.restore(state)
    assert other.calibration.digest == half.digest


def test_artifact_subspaces_come_out_late_by_what_is_stated():
    recording = phantom(4.0).recording()
    live = recipe(asr=True)
    path, watcher = made(recording, live)
    assert path.latency == pytest.approx(0.35)
    run(path, recording)
    assert watcher.last("traces")[0]["sample"] == 4000 - 250


@pytest.mark.parametrize("kind", ["power", "coh", "imcoh", "wpli"])
def test_feedback_has_its_age_and_says_nothing_before_it_knows(kind):
    recording = phantom(6.0 if kind == "power" else 70.0, 16).recording()
    names = recording.info.names
    live = recipe(feedback=kind, feedback_picks=names[:3], feedback_with=names[8:10])
    heard = []
    path, watcher = made(recording, live, outputs=lambda what, meta, _: heard.append((what, meta)))
    run(path, recording, (200,))
    values = [m for what, m in heard if what == "feedback"]
    assert values[3]["value"] is None
    last = values[-1]
    assert last["value"] > 0
    assert last["coverage"] == 1.0
    assert last["arrival"] == pytest.approx(last["stop"] / SFREQ, abs=0.25)
    assert watcher.last("traces")[0]["feedback"] == last
    assert watcher.last("layout")[0]["feedback"]["kind"] == kind
    assert last["unit"] == ("fT**2/Hz" if kind == "power" else "")


def test_what_cannot_be_made_is_refused_before_data_flow():
    info = Info(SFREQ, (Channel("S", "stim"), Channel("E", "eeg")))
    with pytest.raises(InputError, match="at least one MEG channel"):
        ImmediatePath(RESTING, info, BACKEND, Watcher())
    info = phantom().info
    with pytest.raises(InputError, match=r"live\.feedback_picks"):
        ImmediatePath(recipe(feedback="power", feedback_picks=("nose",)), info, BACKEND, Watcher())
    path, _ = made(phantom().recording())
    path.take(RawBlock(np.zeros((20, 100), np.int16), path.source_info, 500), 0.0)
    with pytest.raises(InputError, match="starts at sample 600"):
        path.take(RawBlock(np.zeros((20, 100), np.int16), path.source_info, 500), 0.0)


def test_the_heart_of_an_ecg_channel_is_seen():
    recording = floats(20.0)
    beats = np.zeros(recording.stop)
    for at in range(400, recording.stop - 100, 800):
        beats[at : at + 40] += np.hanning(40)
    rng = np.random.default_rng(0)
    ecg = 1e-3 * beats + 1e-5 * rng.standard_normal(recording.stop)
    info = replace(recording.info, channels=(*recording.info.channels, Channel("ECG", "ecg")))
    data = np.vstack([recording.reader.data, ecg]).astype(np.float32)
    _, watcher = watched(recording_from_array(data, info))
    heart = watcher.last("status")[0]["heart"]
    assert heart["source"] == "ECG"
    assert heart["rate_per_min"] == pytest.approx(75, abs=1)
    assert watcher.last("layout")[0]["aux"]["names"] == ["ECG"]
    assert watcher.last("traces")[1]["aux"].shape == (1, 125)
