"""The phantom put together: pieces of counts on a fixed grid, made from the seed alone."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from brainforge.datasets.components import Component, Grid, NoiseComponent, brain_noise
from brainforge.datasets.courses import ShapedNoise, SlowNoise, Stream, generator
from brainforge.datasets.helmet import SensorArray, opm_channels, sensor_array
from brainforge.datasets.phantom_artifacts import (
    EventComponent,
    MuscleComponent,
    blinks,
    heartbeats,
)
from brainforge.datasets.phantom_background import Background
from brainforge.datasets.phantom_faults import Faults, draw_bad_channels, draw_gaps
from brainforge.datasets.phantom_sources import (
    Coupling,
    PlantedSource,
    couplings,
    lags,
    plant_sources,
    source_density,
)
from brainforge.info import Info
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.recording import Gap

if TYPE_CHECKING:
    from brainforge.datasets.phantom import Phantom

FT = 1e15
Float32 = npt.NDArray[np.float32]


@dataclass(frozen=True)
class PhantomModel:
    """Everything that was drawn once for a phantom. Amplitudes inside are in femtotesla."""

    grid: Grid
    array: SensorArray
    sources: tuple[PlantedSource, ...]
    couplings: tuple[Coupling, ...]
    faults: Faults
    gaps: tuple[Gap, ...]
    background: Background
    heart: EventComponent | None
    blinks: EventComponent | None
    muscle: MuscleComponent | None
    components: tuple[Component, ...]


def build_model(p: Phantom) -> PhantomModel:
    """Draw sensors, sources, artifacts and faults of a phantom."""
    grid, array = Grid.of(p.sfreq, p.duration), sensor_array(p.n_channels, p.layout)
    sources = plant_sources(p.seed, array, p.source_amplitude) if p.source_amplitude else ()
    planted = couplings(p.coupling) if sources else ()
    faults = Faults(
        draw_bad_channels(p.seed, array, p.bad_channels, {s.best_sensor for s in sources}),
        p.gain_loss, p.noisy_factor, grid,
    )  # fmt: skip
    background = Background(
        p.seed, array, grid, drift=p.background_drift * FT, interference=p.interference * FT,
        mains=p.line_amplitude * FT, line_freq=p.line_freq, movement=p.movement_amplitude * FT,
        movement_rate=p.movement_rate,
    )  # fmt: skip
    parts: list[Component] = [background]
    if sources:
        parts.append(_source_component(p, grid, sources, planted))
    if p.brain_noise:
        parts.append(brain_noise(p.seed, array, grid, p.brain_noise * FT, p.n_noise_dipoles))
    heart = eyes = muscle = None
    if p.heart_amplitude and p.heart_rate:
        heart = heartbeats(p.seed, array, grid, p.heart_amplitude * FT, p.heart_rate)
    if p.blink_amplitude and p.blink_rate:
        eyes = blinks(p.seed, array, grid, p.blink_amplitude * FT, p.blink_rate)
    if p.muscle_amplitude and p.muscle_rate:
        muscle = MuscleComponent(p.seed, array, grid, p.muscle_amplitude * FT, p.muscle_rate)
    parts += [part for part in (heart, eyes, muscle) if part is not None]
    return PhantomModel(
        grid, array, sources, planted, faults, draw_gaps(p.seed, grid, p.gaps), background,
        heart, eyes, muscle, tuple(parts),
    )  # fmt: skip


def _source_component(
    p: Phantom, grid: Grid, sources: tuple[PlantedSource, ...], planted: tuple[Coupling, ...]
) -> NoiseComponent:
    topography = np.stack([s.gain * s.moment * FT for s in sources], axis=1)
    noise = ShapedNoise(
        p.seed, Stream.SOURCES, grid.hop, grid.sfreq, source_density(sources, grid.freqs),
        lags(planted),
    )  # fmt: skip
    return NoiseComponent(topography, noise)


def build_info(p: Phantom) -> Info:
    """Return the Info of a phantom's recording."""
    identity = tuple(tuple(float(v) for v in row) for row in np.eye(4))
    array = sensor_array(p.n_channels, p.layout)
    return Info(
        sfreq=p.sfreq,
        channels=opm_channels(array, cal=p.lsb, rails=(-float(p.rail), float(p.rail))),
        line_freq=p.line_freq or None,
        lowpass=p.sfreq / 2.0,
        dev_head_t=identity,
        device="Brain-Forge phantom",
    )


class PhantomReader:
    """Makes the samples of a phantom in any order; keeps the last two pieces."""

    def __init__(self, phantom: Phantom) -> None:
        self._phantom, self.model = phantom, build_model(phantom)
        self._topography = np.ascontiguousarray(
            np.concatenate([c.topography for c in self.model.components], axis=1), np.float32
        )
        n = self.model.array.n_sensors
        density = np.full(n, phantom.sensor_noise * FT)
        if "noisy" in self.model.faults.channels:
            density[self.model.faults.channels["noisy"]] *= self.model.faults.noise
        self._white = (density * np.sqrt(phantom.sfreq / 2.0)).astype(np.float32)[:, None]
        self._drift = SlowNoise(
            phantom.seed, Stream.SENSOR_DRIFT, n, phantom.sfreq, (4.0, 16.0, 64.0)
        )
        self._pieces: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()
        # components keep their last piece, so two threads must not make one at a time
        self._lock = Lock()

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return counts [start, stop), axes (channel, sample)."""
        hop = self.model.grid.hop
        parts = []
        for index in range(start // hop, -(-stop // hop)):
            lo, hi = max(start, index * hop), min(stop, (index + 1) * hop)
            with self._lock:
                piece = self._piece(index)
            parts.append(piece[:, lo - index * hop : hi - index * hop])
        if not parts:
            return np.empty((self.model.array.n_sensors, 0), dtype=self._phantom.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)

    def _piece(self, index: int) -> npt.NDArray[Any]:
        if index not in self._pieces:
            with single_threaded_blas():
                piece = self._make(index)
            piece.flags.writeable = False
            self._pieces[index] = piece
            if len(self._pieces) > 2:
                self._pieces.popitem(last=False)
        return self._pieces[index]

    def _make(self, index: int) -> npt.NDArray[Any]:
        p, model = self._phantom, self.model
        start, stop = model.grid.span(index)
        courses = np.concatenate([c.courses(index) for c in model.components])
        data: Float32 = self._topography @ courses
        model.faults.spoil_signal(data, start)
        draw = generator(p.seed, Stream.SENSOR_NOISE, index)
        noise = draw.standard_normal(data.shape, dtype=np.float32)
        noise *= self._white
        data += noise
        if p.sensor_drift:
            knots, splines = self._drift.piece(start, stop)
            np.matmul(np.float32(p.sensor_drift * FT) * knots, splines, out=noise)
            data += noise
        data *= np.float32(1.0 / (p.lsb * FT))
        model.faults.spoil_output(data, start, p.rail)
        np.rint(data, out=data)
        np.clip(data, -p.rail, p.rail, out=data)
        return data.astype(p.dtype)
