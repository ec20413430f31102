from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest

from brainforge.acquisition.clock_fit import ClockFit

F64 = npt.NDArray[np.float64]
SEED = 20260


def noise(kind: str, n: int, rng: np.random.Generator) -> F64:
    """Jitter of arrival with a standard deviation of about 2 ms."""
    if kind == "normal":
        return rng.normal(0, 2e-3, n)
    if kind == "late":  # a packet may only be late, now and then very late
        return rng.exponential(2e-3, n) + 0.05 * (rng.random(n) < 0.02)
    return np.zeros(n)


def measured(
    seconds: float, ppm: float, kind: str = "normal", seed: int = SEED, offset: float = 3.7
) -> tuple[F64, F64]:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    x = np.arange(0.0, seconds, 0.05) + 1e5
    return x, x + offset + ppm * 1e-6 * (x - x[0]) + noise(kind, len(x), rng)


def fitted(x: F64, y: F64) -> ClockFit:
    fit = ClockFit()
    for a, b in zip(x, y, strict=True):
        fit.update(float(a), float(b))
    return fit


def reference(x: F64, y: F64) -> tuple[float, float]:
    """Least squares over everything, float64: (offset at the end, drift)."""
    mid = x.mean()
    slope, level = np.polyfit(x - mid, y - x, 1)
    return level + slope * (x[-1] - mid), slope


@pytest.mark.parametrize("kind", ["normal", "late", "none"])
@pytest.mark.parametrize("ppm", [-100.0, 0.0, 37.0, 100.0])
def test_drift_is_found_to_a_few_ppm_in_a_minute(ppm: float, kind: str) -> None:
    errors = [1e6 * fitted(*measured(60.0, ppm, kind, SEED + k)).drift - ppm for k in range(8)]
    print(kind, ppm, np.round(errors, 2))
    assert np.sqrt(np.mean(np.square(errors))) < 5.0


@pytest.mark.parametrize("seconds", [5.0, 60.0, 600.0])
def test_it_is_about_as_good_as_least_squares_over_everything(seconds: float) -> None:
    ours, theirs = [], []
    for k in range(20):
        x, y = measured(seconds, 0.0, "normal", SEED + k)
        ours.append(fitted(x, y).drift)
        theirs.append(reference(x, y)[1])
    rms, rms_reference = np.std(ours), np.std(theirs)
    print(f"{1e6 * rms:.3f} ppm, least squares {1e6 * rms_reference:.3f} ppm")
    assert rms < 1.5 * rms_reference + 5e-7


def test_without_noise_it_is_the_line() -> None:
    x, y = measured(120.0, 80.0, "none")
    fit = fitted(x, y)
    assert fit.offset == pytest.approx(reference(x, y)[0], abs=1e-6)
    assert fit.predict(float(x[-1]) + 10.0) == pytest.approx(float(y[-1]) + 10.0 + 8e-4, abs=2e-6)


def test_jitter_is_the_standard_deviation_and_single_outliers_do_not_move_it() -> None:
    x, y = measured(120.0, 50.0)
    clean = fitted(x, y)
    y[1000:2400:100] += 0.5
    dirty = fitted(x, y)
    assert clean.jitter == pytest.approx(2e-3, rel=0.1)
    assert dirty.jitter == pytest.approx(2e-3, rel=0.2)
    assert abs(dirty.drift - 50e-6) < 5e-6
    assert dirty.steps == 0


@pytest.mark.parametrize("size", [-2.0, -0.05, 0.05, 1.0])
def test_a_step_is_recognised_once_and_leaves_the_drift_alone(size: float) -> None:
    x, y = measured(180.0, 100.0)
    y[x > x[0] + 90.0] += size
    fit = fitted(x, y)
    assert fit.steps == 1
    assert fit.offset == pytest.approx(3.7 + size + 180.0 * 1e-4, abs=2e-3)
    assert fit.drift == pytest.approx(1e-4, abs=5e-6)


def test_it_follows_a_drift_that_changes() -> None:
    x = np.arange(0.0, 1800.0, 0.05)
    drift = 1e-6 * np.where(x < 600, 20.0, np.minimum(20.0 + (x - 600) / 30, 40.0))
    y = x + np.cumsum(drift) * 0.05 + np.random.default_rng(SEED).normal(0, 2e-3, len(x))
    assert fitted(x, y).drift == pytest.approx(40e-6, abs=3e-6)


def test_days_take_no_memory_and_lose_no_precision() -> None:
    fit = ClockFit()
    rng = np.random.default_rng(SEED)
    for x in np.arange(0.0, 5 * 86400.0, 5.0):
        fit.update(float(x), float(x * (1 + 30e-6) + rng.normal(0, 1e-3)))
    assert fit.drift == pytest.approx(30e-6, abs=0.5e-6)
    assert all(len(v) < 10 for v in vars(fit).values() if isinstance(v, tuple | list))


def test_the_stated_uncertainty_is_true() -> None:
    pulls = []
    for k in range(40):
        x, y = measured(30.0, 25.0, "normal", SEED + k)
        fit = fitted(x, y)
        pulls.append((fit.drift - 25e-6) / fit.drift_sd)
    print(np.std(pulls))
    assert 0.6 < np.std(pulls) < 1.6


def test_catching_up_is_no_step() -> None:
    x, y = measured(60.0, 50.0)
    # stalled for 5 s, then all of it within a tenth of a second
    stalled = (x > x[0] + 30.0) & (x <= x[0] + 35.0)
    y[stalled] = y[stalled][-1] + np.linspace(0.0, 0.1, int(stalled.sum()))
    fit = fitted(x, y)
    assert fit.steps == 0
    assert fit.drift == pytest.approx(50e-6, abs=15e-6)
