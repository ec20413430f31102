"""What is wrong with single channels and with the line: bad sensors and dropped samples."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.datasets.components import Grid
from brainforge.datasets.courses import Stream, generator
from brainforge.datasets.helmet import HEAD_CENTER, SensorArray
from brainforge.recording import Gap

Array = npt.NDArray[np.float64]
Float32 = npt.NDArray[np.float32]

KINDS: Final = ("dead", "railing", "noisy", "gain_drift")
#: below this, losing four channels is no longer a recording with a few bad ones
MIN_CHANNELS: Final = 16
#: a dead sensor keeps giving this share of its range
_STUCK: Final = 0.004
#: the railing sensor swings this far beyond its range, with this period in seconds
_SWING: Final = 1.2
_SWING_PERIOD: Final = 23.0
_MIN_APART: Final = 0.06


@dataclass(frozen=True)
class Faults:
    """Bad channels by kind (rows of the array) and how bad they are.

    ``gain_drift`` is the loss of gain from the first to the last sample; ``noise`` the
    amplitude density of the noisy channel over that of the others.
    """

    channels: dict[str, int]
    gain_drift: float
    noise: float
    grid: Grid

    def gain(self, start: int, stop: int) -> Array:
        """Return the drifting channel's gain, axes (sample,)."""
        share = np.arange(start, stop) / max(self.grid.n_samples - 1, 1)
        return 1.0 - self.gain_drift * np.clip(share, 0.0, 1.0)

    def spoil_signal(self, data: Float32, start: int) -> None:
        """Change the signal before the sensors' own noise is added: gain."""
        row = self.channels.get("gain_drift")
        if row is not None:
            data[row] *= self.gain(start, start + data.shape[1]).astype(np.float32)

    def spoil_output(self, data: Float32, start: int, rail: float) -> None:
        """Change what leaves the sensors, in place: stuck and railing, both in counts."""
        dead, railing = self.channels.get("dead"), self.channels.get("railing")
        if dead is not None:
            data[dead] = round(_STUCK * rail)
        if railing is not None:
            seconds = np.arange(start, start + data.shape[1]) / self.grid.sfreq
            swing = _SWING * rail * np.sin(2.0 * np.pi * seconds / _SWING_PERIOD)
            data[railing] += swing.astype(np.float32)

    def truth(self, names: tuple[str, ...]) -> list[dict[str, Any]]:
        """Return the bad channels, JSON-ready."""
        return [{"name": names[row], "kind": kind} for kind, row in self.channels.items()]


def draw_bad_channels(
    seed: int, array: SensorArray, kinds: Iterable[str], spared: set[int]
) -> dict[str, int]:
    """Return a row for every kind of bad channel, none of them near another or spared.

    The drifting channel is taken from the upper half of the helmet, where every sensor has
    neighbours on all sides.
    """
    wanted = list(kinds)
    if array.n_sensors < MIN_CHANNELS or not wanted:
        return {}
    draw = generator(seed, Stream.FAULTS)
    out: dict[str, int] = {}
    height = array.positions[:, 2] - HEAD_CENTER[2]
    for kind in KINDS:
        order = draw.permutation(array.n_sensors)
        if kind not in wanted:
            continue
        apart = [row for row in order if _far(array.positions, int(row), out.values())]
        free = [int(row) for row in apart if row not in spared]
        if kind == "gain_drift":
            free = [row for row in free if height[row] > 0.02] or free
        out[kind] = (free or [int(row) for row in order if row not in out.values()])[0]
    return out


def _far(positions: Array, row: int, others: Iterable[int]) -> bool:
    return all(float(np.linalg.norm(positions[row] - positions[o])) >= _MIN_APART for o in others)


def draw_gaps(seed: int, grid: Grid, lengths: tuple[int, ...]) -> tuple[Gap, ...]:
    """Return one stretch of dropped samples for each length, spread over the recording.

    A gap that would take more than a tenth of its share of the recording is left out.
    """
    draw = generator(seed, Stream.GAPS)
    slot = grid.n_samples // max(len(lengths), 1)
    out = []
    for number, length in enumerate(lengths):
        at = number * slot + int((0.2 + 0.6 * draw.random()) * slot)
        if length * 10 <= slot:
            out.append(Gap(at, at + length, "dropped"))
    return tuple(out)
