"""The planted sources of the phantom: where they lie, what they play, who follows whom.

Three pairs are coupled with a lag, one pair each in theta, alpha and beta. Three further
sources are as strong as these in all of the three bands and follow nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from brainforge.datasets.courses import Lag, Stream, generator
from brainforge.datasets.helmet import HEAD_CENTER, SensorArray, tangents
from brainforge.datasets.sphere import sphere_gain

Array = npt.NDArray[np.float64]

#: band -> (peak in Hz, standard deviation of the peak in Hz, delay of the follower in s)
RHYTHMS: Final[dict[str, tuple[float, float, float]]] = {
    "theta": (6.0, 0.6, 0.026),
    "alpha": (10.2, 0.7, 0.016),
    "beta": (20.5, 2.0, 0.0095),
}
BANDS: Final[dict[str, tuple[float, float]]] = {
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
}
#: name, nominal direction from the head's centre (right, front, up), bands it plays in
_PLACES: Final[tuple[tuple[str, tuple[float, float, float], tuple[str, ...]], ...]] = (
    ("theta frontal left", (-0.60, 0.70, 0.35), ("theta",)),
    ("theta parietal", (-0.10, -0.45, 0.89), ("theta",)),
    ("alpha occipital", (-0.20, -0.95, 0.15), ("alpha",)),
    ("alpha central", (0.05, 0.15, 0.98), ("alpha",)),
    ("beta motor left", (-0.55, -0.05, 0.83), ("beta",)),
    ("beta motor right", (0.75, -0.05, 0.65), ("beta",)),
    ("independent frontal right", (0.40, 0.80, 0.40), ("theta", "alpha", "beta")),
    ("independent temporal left", (-0.97, -0.20, 0.05), ("theta", "alpha", "beta")),
    ("independent temporal right", (0.80, -0.60, 0.10), ("theta", "alpha", "beta")),
)
COUPLED: Final[tuple[tuple[str, int, int], ...]] = (
    ("theta", 0, 1),
    ("alpha", 2, 3),
    ("beta", 4, 5),
)
INDEPENDENT: Final = (6, 7, 8)
#: sensors that see two sources of one band best lie at least so far apart, in metres
MIN_DISTANCE: Final = 0.08
_MAX_LEAK: Final = 0.25
_TRIES: Final = 600


@dataclass(frozen=True)
class PlantedSource:
    """A current dipole in the head.

    ``position`` in metres (head frame), ``orientation`` a unit vector, ``gain`` what every
    sensor sees of it in tesla per ampere metre, ``moment`` its RMS in ampere metres in each
    of its ``bands``, ``peaks`` the (frequency, standard deviation) of its rhythms in Hz.
    """

    name: str
    position: Array
    orientation: Array
    gain: Array
    moment: float
    bands: tuple[str, ...]
    peaks: tuple[tuple[float, float], ...]

    @property
    def best_sensor(self) -> int:
        """Row of the sensor that sees the source best."""
        return int(np.argmax(np.abs(self.gain)))


@dataclass(frozen=True)
class Coupling:
    """Source ``follower`` repeats source ``leader`` after ``lag`` seconds."""

    band: str
    leader: int
    follower: int
    lag: float
    strength: float


def plant_sources(seed: int, array: SensorArray, amplitude: float) -> tuple[PlantedSource, ...]:
    """Return the nine sources, each ``amplitude`` tesla RMS in each band at its best sensor.

    Positions, depths and orientations are redrawn until, within each band, the best sensors
    lie at least `MIN_DISTANCE` apart and hardly see the other sources. Where an array is too
    small for that, what comes nearest is taken.
    """
    draw = generator(seed, Stream.PLACEMENT)
    peaks = {band: peak * draw.uniform(0.96, 1.04) for band, (peak, _, _) in RHYTHMS.items()}
    positions, orientations, gain = _place(draw, array)
    return tuple(
        PlantedSource(
            name=name,
            position=positions[i],
            orientation=orientations[i],
            gain=gain[:, i],
            moment=float(amplitude / np.abs(gain[:, i]).max()),
            bands=bands,
            peaks=tuple((peaks[b], RHYTHMS[b][1]) for b in bands),
        )
        for i, (name, _, bands) in enumerate(_PLACES)
    )


def _place(draw: np.random.Generator, array: SensorArray) -> tuple[Array, Array, Array]:
    """Draw all dipoles, then redraw one at a time for as long as that helps."""
    positions, orientations = _draw_dipoles(draw, np.arange(len(_PLACES)))
    gain = _oriented_gain(array, positions, orientations)
    fault = _crowding(gain, array.positions)
    for _ in range(_TRIES):
        if fault == 0.0:
            break
        one = draw.integers(len(_PLACES), size=1)
        position, orientation = _draw_dipoles(draw, one)
        tried = gain.copy()
        tried[:, one] = _oriented_gain(array, position, orientation)
        now = _crowding(tried, array.positions)
        if now < fault:
            gain, fault = tried, now
            positions[one], orientations[one] = position, orientation
    return positions, orientations, gain


def _oriented_gain(array: SensorArray, positions: Array, orientations: Array) -> Array:
    gain = sphere_gain(array.positions, array.orientations, positions)
    return np.asarray(np.einsum("sdk,dk->sd", gain, orientations), dtype=np.float64)


def _draw_dipoles(draw: np.random.Generator, places: npt.NDArray[np.int64]) -> tuple[Array, Array]:
    nominal = np.array([_PLACES[i][1] for i in places])
    unit = nominal + 0.12 * draw.standard_normal(nominal.shape)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    angle = draw.uniform(0.0, 2.0 * np.pi, len(unit))[:, None]
    first, second = tangents(unit)
    depth = draw.uniform(0.065, 0.075, len(unit))[:, None]
    return np.asarray(HEAD_CENTER) + depth * unit, np.cos(angle) * first + np.sin(angle) * second


def _crowding(gain: Array, positions: Array) -> float:
    """Return how far a draw misses its conditions; 0 where it meets them."""
    best = np.argmax(np.abs(gain), axis=0)
    scaled = np.abs(gain) / np.abs(gain).max(axis=0)
    fault = 0.0
    for band in RHYTHMS:
        rows = [i for i, (_, _, bands) in enumerate(_PLACES) if band in bands]
        for a in rows:
            for b in rows:
                if a == b:
                    continue
                apart = float(np.linalg.norm(positions[best[a]] - positions[best[b]]))
                fault += max(0.0, MIN_DISTANCE - apart) / MIN_DISTANCE
                fault += max(0.0, float(scaled[best[a], b]) - _MAX_LEAK)
    return fault


def couplings(strength: float) -> tuple[Coupling, ...]:
    """Return the planted couplings; none where ``strength`` is 0."""
    if strength == 0.0:
        return ()
    return tuple(Coupling(band, a, b, RHYTHMS[band][2], strength) for band, a, b in COUPLED)


def lags(planted: tuple[Coupling, ...]) -> tuple[Lag, ...]:
    """Return the couplings as the time courses need them."""
    return tuple(Lag(c.leader, c.follower, c.strength, c.lag) for c in planted)


def source_density(sources: tuple[PlantedSource, ...], freqs: Array) -> Array:
    """Return the amplitude density of the sources at unit RMS a band, axes (source, frequency).

    Every rhythm is a Gaussian peak in power, cut at three standard deviations, so that it
    stays inside its band.
    """
    out = np.zeros((len(sources), len(freqs)))
    for row, source in zip(out, sources, strict=True):
        for peak, width in source.peaks:
            power = np.exp(-0.5 * ((freqs - peak) / width) ** 2) / (width * np.sqrt(2 * np.pi))
            row += np.where(np.abs(freqs - peak) <= 3.0 * width, power, 0.0)
    return np.sqrt(out)
