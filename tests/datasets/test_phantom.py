from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, asdict, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.acquisition.replay import RecordingSource
from brainforge.datasets.phantom import Phantom, write_truth
from brainforge.errors import InputError, OutputError
from brainforge.testing.source_suite import SourceSuite

SMALL = Phantom(n_channels=24, sfreq=250.0, duration=24.0, seed=3, n_noise_dipoles=20)
RECORDING = SMALL.recording()


class TestPhantomSource(SourceSuite):
    block_sizes = (1000, 50, 97, 100_000)
    gaps = tuple((g["start"], g["stop"]) for g in SMALL.truth()["gaps"])

    def make(self, block_size: int) -> RecordingSource:
        return SMALL.source(block_size)

    def make_long(self, block_size: int) -> RecordingSource:
        return replace(SMALL, duration=600.0).source(block_size)


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.tuples(st.integers(0, 5999), st.integers(0, 5999)).map(sorted))
def test_any_stretch_can_be_read_at_any_time(stretch: list[int]) -> None:
    start, stop = stretch
    everything = fixed_counts()
    got = RECORDING.reader.read(start, stop)
    assert got.dtype == np.int16
    assert np.array_equal(got, everything[:, start:stop])


def fixed_counts(cache: list[np.ndarray] = []) -> np.ndarray:  # noqa: B006
    if not cache:
        cache.append(SMALL.recording().reader.read(0, SMALL.n_samples))
    return cache[0]


def test_threads_may_share_a_recording() -> None:
    spans = [(a, a + 700) for a in range(0, 5000, 500)] * 3
    reader = SMALL.recording().reader
    with ThreadPoolExecutor(4) as pool:
        for (a, b), got in zip(spans, pool.map(lambda s: reader.read(*s), spans), strict=True):
            assert np.array_equal(got, fixed_counts()[:, a:b])


def test_seeds_differ_and_repeat() -> None:
    again = Phantom(**asdict(SMALL)).recording().reader.read(0, 500)
    assert np.array_equal(again, fixed_counts()[:, :500])
    other = replace(SMALL, seed=4).recording().reader.read(0, 500)
    assert np.mean(other == again) < 0.2


def test_the_declaration_survives_json_and_cannot_change() -> None:
    truth = json.loads(json.dumps(SMALL.truth(), allow_nan=False))
    assert Phantom(**truth["phantom"]) == SMALL
    with pytest.raises(FrozenInstanceError):
        SMALL.seed = 5  # type: ignore[misc]


def test_info_describes_the_counts() -> None:
    info = SMALL.info
    assert info.sfreq == 250.0
    assert info.line_freq == 50.0
    assert {c.kind for c in info.channels} == {"mag"}
    assert {c.cal for c in info.channels} == {50e-15}
    assert {c.rails for c in info.channels} == {(-32767.0, 32767.0)}
    assert np.array_equal(info.dev_head_t, np.eye(4))
    assert np.allclose(np.linalg.norm(info.orientations(), axis=1), 1.0)


def test_gaps_are_never_zeros() -> None:
    for block in RECORDING.blocks(500):
        assert not np.any(np.all(block.data == 0, axis=0))
    assert [g.stop - g.start for g in RECORDING.gaps] == [12, 40]


def test_gaps_too_long_for_the_recording_are_left_out() -> None:
    gaps = replace(SMALL, gaps=(400, 12)).recording().gaps
    assert [g.stop - g.start for g in gaps] == [12]
    assert Phantom(n_channels=24, duration=2.0, gaps=(300,)).recording().gaps == ()


def test_wider_counts_hold_finer_steps() -> None:
    fine = replace(SMALL, dtype="int32", lsb=1e-15).recording().reader.read(0, 2000)
    coarse = fixed_counts()[:, :2000]
    assert fine.dtype == np.int32
    assert np.abs(fine - 50.0 * coarse).max() <= 26.0


@pytest.mark.parametrize("layout, n", [("triaxial", 30), ("radial", 1), ("radial", 17)])
def test_any_number_of_sensors(layout: str, n: int) -> None:
    phantom = Phantom(n_channels=n, layout=layout, duration=1.5, sfreq=333.3, gaps=())
    with phantom.source() as source:
        counts = np.concatenate([b.data for b in source], axis=1)
    assert counts.shape == (n, 500)
    assert len(phantom.truth()["bad_channels"]) == (4 if n >= 16 else 0)


def test_everything_can_be_left_out() -> None:
    silent = {
        name: 0.0
        for name in (
            "source_amplitude", "brain_noise", "sensor_drift", "background_drift",
            "interference", "line_amplitude", "heart_amplitude", "blink_amplitude",
            "muscle_amplitude", "movement_amplitude",
        )
    }  # fmt: skip
    phantom = replace(SMALL, gaps=(), bad_channels=(), sensor_noise=0.0, **silent)
    assert not phantom.recording().reader.read(0, phantom.n_samples).any()
    truth = phantom.truth()
    for part in ("sources", "couplings", "bad_channels", "heartbeats", "blinks", "muscle", "gaps"):
        assert truth[part] == [], part


@pytest.mark.parametrize(
    "field, value",
    [
        ("sfreq", 0.0), ("sfreq", float("nan")), ("duration", 0.0), ("duration", float("inf")),
        ("coupling", 1.0), ("seed", -1), ("dtype", "int8"), ("layout", "planar"), ("gaps", (0,)),
        ("bad_channels", ("broken",)), ("sensor_noise", -1.0), ("lsb", 0.0), ("n_channels", 0),
        ("gain_loss", 1.5), ("n_noise_dipoles", 0), ("heart_rate", float("nan")),
    ],
)  # fmt: skip
def test_nonsense_is_refused_when_it_is_declared(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"^{field}: expected .* got"):
        Phantom(**{field: value})


def test_the_truth_is_written_whole_and_never_over_another(tmp_path: Path) -> None:
    path = write_truth(tmp_path / "a.truth.json", SMALL.truth())
    assert json.loads(path.read_text()) == json.loads(json.dumps(SMALL.truth()))
    with pytest.raises(OutputError, match="exists"):
        write_truth(path, {})
    with pytest.raises(OutputError, match="No such file"):
        write_truth(tmp_path / "nowhere" / "b.json", {})
    assert [p.name for p in tmp_path.iterdir()] == ["a.truth.json"]


def test_the_package_loads_its_names_when_asked() -> None:
    from brainforge import datasets

    assert datasets.Phantom is Phantom
    assert callable(datasets.sample)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        datasets.nothing  # noqa: B018
