"""The background field: drift, interference, mains and movement, all of low spatial order.

Every course here plays on the eight columns of `brainforge.datasets.fields.background_basis`:
three homogeneous fields and five first-order gradients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.datasets.components import Grid
from brainforge.datasets.courses import (
    OverlapAdd,
    ShapedNoise,
    SlowNoise,
    Stream,
    event_times,
    generator,
)
from brainforge.datasets.fields import background_basis
from brainforge.datasets.helmet import SensorArray

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

#: amplitude of the mains' harmonics relative to the fundamental
HARMONICS: Final = (1.0, 0.25, 0.45, 0.1, 0.2, 0.06)
#: how strong a gradient is at 10 cm, relative to the homogeneous field
GRADIENT_SHARE: Final = 0.05
_EDGE: Final = 0.1
#: slow wander of the mains frequency: deviation (Hz) and rate (Hz)
_WANDER: Final = ((0.010, 0.021), (0.006, 0.057))


def _column_scale(homogeneous: float) -> Array:
    """Return amplitudes of the eight columns for a homogeneous field in fT."""
    return homogeneous * np.array([1.0] * 3 + [GRADIENT_SHARE / _EDGE] * 5)


@dataclass(frozen=True)
class Movement:
    """A movement in the remnant field: from ``start`` to ``stop`` (seconds) the field differs.

    ``field`` is the change in the eight columns (fT, fT/m); the way there and back takes
    ``rise`` seconds, and the head sways at ``sway`` Hz meanwhile.
    """

    start: float
    stop: float
    rise: float
    sway: float
    field: Array


class Background:
    """All fields from outside that are of low spatial order.

    Amplitudes in fT: ``drift`` RMS of each homogeneous component, ``interference`` density of
    each homogeneous component at 1 Hz (fT/sqrt(Hz), falling as 1/f in amplitude), ``mains``
    amplitude of the fundamental, ``movement`` RMS of the change of the field.
    """

    def __init__(
        self, seed: int, array: SensorArray, grid: Grid, *, drift: float, interference: float,
        mains: float, line_freq: float, movement: float, movement_rate: float,
    ) -> None:  # fmt: skip
        self.topography = background_basis(array.positions, array.orientations)
        self._grid, self._drift_scale = grid, _column_scale(drift).astype(np.float32)
        self._drift = SlowNoise(seed, Stream.BACKGROUND_DRIFT, 8, grid.sfreq, (8.0, 30.0, 120.0))
        shape = 1.0 / np.maximum(grid.freqs, 0.5)
        self._interference = OverlapAdd(
            ShapedNoise(
                seed, Stream.INTERFERENCE, grid.hop, grid.sfreq,
                _column_scale(interference)[:, None] * shape,
            )
        )  # fmt: skip
        self.line_freq = line_freq
        self._mains = _draw_mains(seed, line_freq, mains, grid.sfreq)
        self.movements = _draw_movements(seed, grid, movement, movement_rate)

    def courses(self, index: int) -> Float32:
        """Return the time courses of one piece, axes (row, sample)."""
        start, stop = self._grid.span(index)
        knots, splines = self._drift.piece(start, stop)
        out = self._interference.piece(index)
        out += (self._drift_scale[:, None] * knots) @ splines
        seconds = np.arange(start, stop) / self._grid.sfreq
        out += self._mains_courses(seconds)
        for move in self.movements:
            if move.start - move.rise < seconds[-1] and move.stop + move.rise > seconds[0]:
                out += (move.field[:, None] * _movement_shape(move, seconds)).astype(np.float32)
        return out

    def _mains_courses(self, seconds: Array) -> Float32:
        phase = 2.0 * np.pi * self.line_freq * seconds
        for deviation, rate in _WANDER:
            phase += deviation / rate * np.sin(2.0 * np.pi * rate * seconds)
        n = self._mains.shape[1]
        turns = np.exp(1j * np.outer(np.arange(1, n + 1), phase))
        return np.asarray((self._mains @ turns).real, dtype=np.float32)

    def truth(self) -> dict[str, Any]:
        """Return what was planted here, JSON-ready, in SI units."""
        n = self._mains.shape[1]
        return {
            "line": {
                "frequency_hz": self.line_freq,
                "harmonics_hz": [self.line_freq * (h + 1) for h in range(n)],
                "amplitude_t": (1e-15 * np.linalg.norm(np.abs(self._mains[:3]), axis=0)).tolist(),
                "wander_hz": [deviation for deviation, _ in _WANDER],
            },
            "movements": [
                {
                    "start_s": m.start,
                    "stop_s": m.stop,
                    "rise_s": m.rise,
                    "homogeneous_t": (1e-15 * m.field[:3]).tolist(),
                    "gradients_t_per_m": (1e-15 * m.field[3:]).tolist(),
                }
                for m in self.movements
            ],
        }


def _draw_mains(
    seed: int, line_freq: float, amplitude: float, sfreq: float
) -> npt.NDArray[np.complex128]:
    """Return complex amplitudes, axes (column, harmonic), of the harmonics under Nyquist."""
    draw = generator(seed, Stream.MAINS)
    size = (8, len(HARMONICS))
    phase, direction = draw.uniform(0, 2 * np.pi, size), draw.standard_normal(size)
    direction[:3] /= np.linalg.norm(direction[:3], axis=0)
    column = _column_scale(amplitude)[:, None] * np.array(HARMONICS) * direction
    below = np.arange(1, len(HARMONICS) + 1) * line_freq < 0.49 * sfreq
    if line_freq <= 0:
        below[:] = False
    return (column * np.exp(1j * phase))[:, below]


def _draw_movements(seed: int, grid: Grid, amplitude: float, rate: float) -> tuple[Movement, ...]:
    if amplitude == 0.0 or rate == 0.0:
        return ()
    times = event_times(
        generator(seed, Stream.MOVEMENT), grid.duration, mean=60.0 / rate, spread=0.4, first=8.0
    )
    draw = generator(seed, Stream.MOVEMENT, 1)
    scale = _column_scale(amplitude)
    return tuple(
        Movement(
            float(time), float(time + draw.uniform(2.0, 6.0)), draw.uniform(0.5, 1.5),
            draw.uniform(0.8, 2.0), scale * draw.standard_normal(8),
        )
        for time in times
    )  # fmt: skip


def _movement_shape(move: Movement, seconds: Array) -> Array:
    def ramp(t: Array) -> Array:
        x = np.clip(t / move.rise + 0.5, 0.0, 1.0)
        return x * x * x * (10.0 - 15.0 * x + 6.0 * x * x)

    held = ramp(seconds - move.start) - ramp(seconds - move.stop)
    return held * (1.0 + 0.05 * np.sin(2.0 * np.pi * move.sway * (seconds - move.start)))
