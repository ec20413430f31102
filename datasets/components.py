"""A component of the phantom: fixed topographies and the time courses that play on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.datasets.courses import OverlapAdd, ShapedNoise, Stream, generator
from brainforge.datasets.helmet import HEAD_CENTER, SensorArray
from brainforge.datasets.sphere import sphere_gain

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Grid:
    """The grid of pieces on which everything is made: sampling rate, piece, whole length."""

    sfreq: float
    hop: int
    n_samples: int

    @classmethod
    def of(cls, sfreq: float, duration: float) -> Grid:
        """Return pieces of about 4 s whose length suits the FFT."""
        hop = scipy.fft.next_fast_len(int(np.ceil(4.0 * sfreq)), real=True)
        return cls(sfreq, hop, round(duration * sfreq))

    @property
    def duration(self) -> float:
        """Length in seconds."""
        return self.n_samples / self.sfreq

    @property
    def freqs(self) -> Array:
        """Frequencies of a piece of noise, in Hz."""
        return np.linspace(0.0, self.sfreq / 2.0, self.hop + 1)

    def span(self, index: int) -> tuple[int, int]:
        """Return the absolute samples [start, stop) of a piece."""
        return index * self.hop, (index + 1) * self.hop


class Component(Protocol):
    """Something with topographies (axes (sensor, row), femtotesla per unit) and courses."""

    topography: Array

    def courses(self, index: int) -> Float32:
        """Return the time courses of one piece, axes (row, sample)."""


class NoiseComponent:
    """Topographies played by shaped Gaussian noise."""

    def __init__(self, topography: Array, noise: ShapedNoise) -> None:
        self.topography = topography
        self._joined = OverlapAdd(noise)

    def courses(self, index: int) -> Float32:
        """Return the time courses of one piece, axes (row, sample)."""
        return self._joined.piece(index)


def brain_noise(
    seed: int, array: SensorArray, grid: Grid, density: float, n_dipoles: int
) -> NoiseComponent:
    """Return 1/f activity of many random dipoles all over the brain.

    ``density`` is the median over sensors of the amplitude density at 10 Hz, in fT/sqrt(Hz).
    """
    draw = generator(seed, Stream.NOISE_DIPOLES)
    unit = draw.standard_normal((n_dipoles, 3))
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    # below the ears is no brain
    unit[:, 2] = np.where(unit[:, 2] < -0.5, -unit[:, 2], unit[:, 2])
    depth = 0.078 * draw.uniform(0.2, 1.0, (n_dipoles, 1)) ** (1.0 / 3.0)
    moment = draw.standard_normal((n_dipoles, 3))
    gain = sphere_gain(array.positions, array.orientations, np.asarray(HEAD_CENTER) + depth * unit)
    topography = np.einsum("sdk,dk->sd", gain, moment)
    topography *= density / np.median(np.linalg.norm(topography, axis=1))
    freqs = grid.freqs
    shape = np.sqrt(10.0 / np.maximum(freqs, 0.5))
    shapes = np.broadcast_to(shape, (n_dipoles, len(freqs)))
    noise = ShapedNoise(seed, Stream.BRAIN_NOISE, grid.hop, grid.sfreq, shapes)
    return NoiseComponent(topography, noise)
