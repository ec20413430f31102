from __future__ import annotations

import numpy as np
import pytest

from brainforge.acquisition.plausibility import Gate
from brainforge.errors import InputError
from brainforge.info import Channel, Info


def info(kind: str = "mag", cal: float = 1.0) -> Info:
    return Info(1000.0, (*(Channel(f"M{i}", kind, cal) for i in range(4)), Channel("STI", "stim")))


def noise(scale: float, n: int = 50, offset: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(5)
    return np.concatenate([offset + scale * rng.standard_normal((n, 4)), np.full((n, 1), 5.0)], 1)


@pytest.mark.parametrize("kind", ["mag", "grad"])
@pytest.mark.parametrize("scale", [1e-15, 1e-12, 1e-9])
def test_fields_of_every_day_pass_after_a_second(kind: str, scale: float) -> None:
    gate = Gate(info(kind))
    for _ in range(20):
        assert not gate.passed()
        gate.look(noise(scale, offset=5e-9), "tcp")
    assert gate.passed()


def test_femtotesla_stop_at_the_first_packet() -> None:
    with pytest.raises(
        InputError, match=r"tcp: expected MEG channels in T, .* looks like femtotesla"
    ):
        Gate(info()).look(noise(100.0), "tcp")


def test_counts_are_judged_by_what_they_mean() -> None:
    gate = Gate(info(cal=1e-15))
    gate.look(noise(300.0), "tcp")
    with pytest.raises(InputError, match="looks like femtotesla"):
        Gate(info(cal=1e-6)).look(noise(300.0), "tcp")


def test_what_is_too_small_is_given_a_second() -> None:
    gate = Gate(info("grad"))
    for _ in range(19):
        gate.look(noise(1e-27), "lsl")
    with pytest.raises(InputError, match=r"expected MEG channels in T/m, .* scaled to tesla twice"):
        gate.look(noise(1e-27), "lsl")


@pytest.mark.parametrize("spoiled", [0.0, np.nan, np.inf])
def test_flat_and_broken_channels_say_nothing(spoiled: float) -> None:
    gate = Gate(info())
    data = noise(1e-13, 1000)
    data[500, :3] = spoiled
    data[:, 3] = spoiled
    gate.look(data, "tcp")
    assert gate.passed()


def test_without_meg_there_is_nothing_to_judge() -> None:
    assert Gate(Info(1000.0, (Channel("A", "eeg"),))).passed()
