"""Artifacts of the body: heart, blinks, muscles."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.datasets.components import Grid
from brainforge.datasets.courses import Stream, add_events, event_times, generator
from brainforge.datasets.fields import far_dipole_gain
from brainforge.datasets.helmet import HEAD_CENTER, SensorArray, tangents
from brainforge.datasets.sphere import sphere_gain

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]
Samples = npt.NDArray[np.int64]

#: the heart in the head frame, metres: below, a little to the left and in front
HEART = (-0.03, 0.03, -0.27)
_HEART_AXIS = (-0.6, 0.5, -0.6)
#: amplitude, time after the R peak (s) and width (s) of P, Q, R, S and T
_ECG_WAVES = (
    (0.08, -0.170, 0.022),
    (-0.12, -0.028, 0.009),
    (1.0, 0.0, 0.011),
    (-0.22, 0.030, 0.010),
    (0.22, 0.270, 0.045),
)
_EYES = ((0.032, 0.076, -0.022), (-0.032, 0.076, -0.022))
#: where muscles sit, as directions from the head's centre: temples, jaws, neck
_MUSCLES = (
    (0.90, 0.30, -0.10),
    (-0.90, 0.30, -0.10),
    (0.95, -0.15, -0.30),
    (-0.95, -0.15, -0.30),
    (0.45, -0.80, -0.40),
    (-0.45, -0.80, -0.40),
)
_MUSCLE_BAND = (20.0, 160.0)


def _unit_peak(column: Array, peak: float) -> Array:
    return column * (peak / np.abs(column).max())


class EventComponent:
    """One topography played by a template at every event."""

    def __init__(
        self, topography: Array, grid: Grid, samples: Samples, gains: Array,
        template: Float32, before: int,
    ) -> None:  # fmt: skip
        self.topography, self.samples = topography[:, None], samples
        self._grid, self._gains = grid, gains
        self._template, self._before = template, before

    def courses(self, index: int) -> Float32:
        """Return the time course of one piece, axes (1, sample)."""
        out = np.zeros((1, self._grid.hop), dtype=np.float32)
        start, _ = self._grid.span(index)
        add_events(out[0], start, self.samples, self._gains, self._template, self._before)
        return out


def heartbeats(
    seed: int, array: SensorArray, grid: Grid, amplitude: float, rate: float
) -> EventComponent:
    """Return the heart: a current dipole far below, ``rate`` beats a minute with variability.

    ``amplitude`` is the R peak at the sensor that sees it best, in fT.
    """
    draw = generator(seed, Stream.HEART)
    phase = 2 * np.pi * draw.random()
    times = event_times(draw, grid.duration, mean=60.0 / rate, spread=0.05)
    # breathing moves the heart: the amplitude follows at about 15 breaths a minute
    gains = 1.0 + 0.06 * np.sin(2 * np.pi * 0.25 * times + phase)
    before, after = int(0.3 * grid.sfreq), int(0.5 * grid.sfreq)
    lag = np.arange(-before, after) / grid.sfreq
    template = sum(a * np.exp(-0.5 * ((lag - t) / w) ** 2) for a, t, w in _ECG_WAVES)
    gain = far_dipole_gain(
        array.positions, array.orientations, np.array(HEART), np.array(_HEART_AXIS)
    )
    return EventComponent(
        _unit_peak(gain, amplitude), grid, np.round(times * grid.sfreq).astype(np.int64), gains,
        np.asarray(template, dtype=np.float32), before,
    )  # fmt: skip


def blinks(
    seed: int, array: SensorArray, grid: Grid, amplitude: float, rate: float
) -> EventComponent:
    """Return eye blinks: both eyes' dipoles turn together, ``rate`` a minute on average.

    ``amplitude`` is the median peak at the sensor that sees it best, in fT. The event is the
    peak of the blink.
    """
    draw = generator(seed, Stream.BLINKS)
    times = event_times(draw, grid.duration, mean=60.0 / rate, spread=0.4, first=1.0)
    gains = generator(seed, Stream.BLINKS, 1).uniform(0.75, 1.25, len(times))
    before, after = int(0.3 * grid.sfreq), int(0.6 * grid.sfreq)
    lag = np.arange(-before, after) / grid.sfreq
    # the lid falls faster than it rises
    width = np.where(lag < 0, 0.055, 0.095)
    template = np.exp(-0.5 * (lag / width) ** 2)
    eyes = sphere_gain(array.positions, array.orientations, np.asarray(HEAD_CENTER) + _EYES)
    # a lid that slides over the cornea leads current upwards in front of both eyes
    gain = eyes @ np.array([0.0, 0.25, 1.0])
    return EventComponent(
        _unit_peak(gain.sum(axis=1), amplitude), grid,
        np.round(times * grid.sfreq).astype(np.int64), gains,
        template.astype(np.float32), before,
    )  # fmt: skip


@dataclass(frozen=True)
class MuscleBurst:
    """A burst in absolute samples [start, stop) at one site, its gain relative to the mean."""

    start: int
    stop: int
    site: int
    gain: float


class MuscleComponent:
    """Bursts of 20-160 Hz noise at temples, jaws and neck; two fibre directions a site."""

    def __init__(
        self, seed: int, array: SensorArray, grid: Grid, amplitude: float, rate: float
    ) -> None:
        unit = np.array(_MUSCLES)
        unit /= np.linalg.norm(unit, axis=1, keepdims=True)
        gain = sphere_gain(
            array.positions, array.orientations, np.asarray(HEAD_CENTER) + 0.088 * unit
        )
        fibres = np.stack(tangents(unit), axis=1)
        columns = np.einsum("sdk,dfk->sdf", gain, fibres).reshape(len(gain), -1)
        self.topography = columns * (amplitude / np.abs(columns).max(axis=0))
        self.bursts = _draw_bursts(seed, grid, rate)
        self._seed, self._grid = seed, grid
        self._recent: OrderedDict[int, Float32] = OrderedDict()

    def courses(self, index: int) -> Float32:
        """Return the time courses of one piece, axes (row, sample)."""
        start, stop = self._grid.span(index)
        out = np.zeros((self.topography.shape[1], self._grid.hop), dtype=np.float32)
        for number, burst in enumerate(self.bursts):
            lo, hi = max(burst.start, start), min(burst.stop, stop)
            if lo < hi:
                rows = slice(2 * burst.site, 2 * burst.site + 2)
                wave = self._waveform(number)[:, lo - burst.start : hi - burst.start]
                out[rows, lo - start : hi - start] += wave
        return out

    def _waveform(self, number: int) -> Float32:
        if number not in self._recent:
            burst = self.bursts[number]
            draw = generator(self._seed, Stream.MUSCLE, number + 1)
            self._recent[number] = _burst_waveform(draw, burst, self._grid.sfreq)
            if len(self._recent) > 2:
                self._recent.popitem(last=False)
        return self._recent[number]


def _draw_bursts(seed: int, grid: Grid, rate: float) -> tuple[MuscleBurst, ...]:
    times = event_times(
        generator(seed, Stream.MUSCLE), grid.duration, mean=60.0 / rate, spread=0.6, first=2.0
    )
    kinds = generator(seed, Stream.MUSCLE, 0)
    out = []
    for time in times:
        length, gain = kinds.uniform(0.4, 2.0), kinds.uniform(0.7, 1.4)
        site = int(kinds.integers(len(_MUSCLES)))
        start = round(time * grid.sfreq)
        stop = min(start + round(length * grid.sfreq), grid.n_samples)
        if stop > start:
            out.append(MuscleBurst(start, stop, site, float(gain)))
    return tuple(out)


def _burst_waveform(draw: np.random.Generator, burst: MuscleBurst, sfreq: float) -> Float32:
    n = burst.stop - burst.start
    length = scipy.fft.next_fast_len(max(n, int(sfreq)), real=True)
    freqs = np.fft.rfftfreq(length, 1.0 / sfreq)
    low, high = _MUSCLE_BAND
    shape = ((freqs >= low) & (freqs <= high)) * np.sqrt(low / np.maximum(freqs, low)) ** 0.5
    white = draw.standard_normal((2, 2 * len(freqs))).view(np.complex128) * shape
    wave = scipy.fft.irfft(white, length, axis=1)
    rms = wave.std()
    edge = np.clip(np.minimum(np.arange(n), np.arange(n)[::-1]) / (0.15 * sfreq), 0.0, 1.0)
    envelope = 0.5 - 0.5 * np.cos(np.pi * edge)
    scale = burst.gain / rms if rms > 0 else 0.0
    return np.asarray(wave[:, :n] * (envelope * scale), dtype=np.float32)
