"""Phantom: a seeded simulator of an OPM recording that hands out its ground truth.

>>> phantom = Phantom(n_channels=32, duration=10.0, seed=7)
>>> with phantom.source(block_size=500) as source:
...     n = sum(block.data.shape[1] for block in source)
>>> truth = phantom.truth()
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from brainforge.datasets.helmet import LAYOUTS, sensor_array
from brainforge.datasets.phantom_faults import KINDS
from brainforge.datasets.phantom_truth import describe, write_truth
from brainforge.errors import InputError
from brainforge.recording import Recording

if TYPE_CHECKING:
    from brainforge.acquisition.replay import RecordingSource
    from brainforge.info import Info

__all__ = ["Phantom", "write_truth"]


@dataclass(frozen=True)
class Phantom:
    """What to simulate. Amplitudes in tesla; 0 leaves a part out.

    The same declaration gives the same samples whatever the block size and in whatever order
    they are asked for, on one machine and one set of library versions.

    Parameters
    ----------
    n_channels : int
        Magnetometers on the helmet.
    sfreq : float
        Sampling rate in Hz, at least 100.
    duration : float
        Seconds on the time axis, dropped samples included.
    seed : int
    layout : str
        ``"radial"`` or ``"triaxial"``.
    line_freq : float
        Mains in Hz; 0 for none.
    source_amplitude : float
        RMS of every planted source in each of its bands, at the sensor that sees it best.
    coupling : float
        Coherence of the coupled pairs, 0 to 1.
    brain_noise : float
        Amplitude density of the 1/f activity at 10 Hz, median over sensors, T/sqrt(Hz).
    n_noise_dipoles : int
        Dipoles that make it.
    sensor_noise : float
        White noise of every sensor, T/sqrt(Hz).
    sensor_drift, background_drift : float
        RMS of the slow drift of each sensor, and of each homogeneous field component. First
        order gradients of a twentieth of that at 10 cm go with the latter.
    interference : float
        Density of each homogeneous component at 1 Hz, T/sqrt(Hz), 1/f in amplitude.
    line_amplitude : float
        Amplitude of the mains' fundamental.
    heart_amplitude, blink_amplitude, muscle_amplitude : float
        Peak, peak and RMS at the sensor that sees each best.
    heart_rate, blink_rate, muscle_rate, movement_rate : float
        Events a minute on average.
    movement_amplitude : float
        RMS change of each homogeneous component when the head moves.
    bad_channels : tuple of str
        Kinds of bad channels, one of each: dead, railing, noisy, gain_drift. None are planted
        in arrays of fewer than 16 channels.
    gain_loss : float
        Share of its gain that the drifting channel loses, linearly over the recording.
    noisy_factor : float
        Noise of the noisy channel over that of the others.
    gaps : tuple of int
        Lengths in samples of the stretches that are dropped.
    dtype : str
        ``"int16"`` or ``"int32"``.
    lsb : float
        Tesla per count.
    rail_field : float
        Field at which a sensor rails; at most what ``dtype`` holds.
    """

    n_channels: int = 306
    sfreq: float = 1000.0
    duration: float = 60.0
    seed: int = 7
    layout: Literal["radial", "triaxial"] = "radial"
    line_freq: float = 50.0
    source_amplitude: float = 250e-15
    coupling: float = 0.9
    brain_noise: float = 30e-15
    n_noise_dipoles: int = 200
    sensor_noise: float = 15e-15
    sensor_drift: float = 2e-12
    background_drift: float = 40e-12
    interference: float = 400e-15
    line_amplitude: float = 1.5e-12
    heart_amplitude: float = 3e-12
    heart_rate: float = 64.0
    blink_amplitude: float = 2e-12
    blink_rate: float = 12.0
    muscle_amplitude: float = 800e-15
    muscle_rate: float = 2.0
    movement_amplitude: float = 30e-12
    movement_rate: float = 1.0
    bad_channels: tuple[str, ...] = KINDS
    gain_loss: float = 0.35
    noisy_factor: float = 20.0
    gaps: tuple[int, ...] = (12, 40, 300)
    dtype: Literal["int16", "int32"] = "int16"
    lsb: float = 50e-15
    rail_field: float = 1.63835e-9

    def __post_init__(self) -> None:
        object.__setattr__(self, "gaps", tuple(int(g) for g in self.gaps))
        object.__setattr__(self, "bad_channels", tuple(self.bad_channels))
        _check(self)

    @property
    def rail(self) -> int:
        """Count at which a sensor rails."""
        return min(round(self.rail_field / self.lsb), int(np.iinfo(self.dtype).max))

    @cached_property
    def info(self) -> Info:
        """Info of the simulated recording."""
        from brainforge.datasets.phantom_model import build_info

        return build_info(self)

    @property
    def n_samples(self) -> int:
        """Length on the time axis in samples, gaps included."""
        return round(self.duration * self.sfreq)

    def source(self, block_size: int = 1000, realtime: bool = False) -> RecordingSource:
        """Return a Source that streams the phantom in blocks of at most ``block_size`` samples.

        Parameters
        ----------
        block_size : int
            Samples of a block; smaller before a gap and at the end.
        realtime : bool
            Hand out every block no earlier than a sensor array would.
        """
        from brainforge.acquisition.replay import RecordingSource

        return RecordingSource(self.recording(), block_size, realtime=realtime)

    def recording(self) -> Recording:
        """Return the phantom as a Recording that can be read in any order.

        Nothing is held but the last pieces of about 4 s.
        """
        from brainforge.datasets.phantom_model import PhantomReader

        reader = PhantomReader(self)
        return Recording(
            self.info, reader, 0, self.n_samples, gaps=reader.model.gaps,
            source={"name": f"Phantom, seed {self.seed}", "format": "phantom", "seed": self.seed},
        )  # fmt: skip

    def truth(self) -> dict[str, Any]:
        """Return the ground truth, JSON-ready, in SI units and absolute source samples.

        ``Phantom(**truth["phantom"])`` is this phantom again.
        """
        from brainforge.datasets.phantom_model import build_model

        return describe(self, build_model(self))


def _check(p: Phantom) -> None:
    def demand(good: bool, where: str, expected: str) -> None:
        if not good:
            raise InputError(where=where, expected=expected, got=repr(getattr(p, where)))

    demand(p.layout in LAYOUTS, "layout", " or ".join(LAYOUTS))
    demand(p.dtype in ("int16", "int32"), "dtype", "int16 or int32")
    demand(bool(np.isfinite(p.sfreq)) and p.sfreq >= 100, "sfreq", "at least 100 Hz")
    demand(bool(np.isfinite(p.duration)) and p.n_samples > 0, "duration", "at least one sample")
    demand(p.seed >= 0, "seed", "a number of at least 0")
    demand(0.0 <= p.coupling < 1.0, "coupling", "a coherence from 0 to below 1")
    demand(0.0 <= p.gain_loss <= 1.0, "gain_loss", "a share from 0 to 1")
    demand(0 < p.lsb < p.rail_field, "lsb", "a positive field below rail_field")
    demand(p.n_noise_dipoles > 0, "n_noise_dipoles", "a positive number")
    demand(all(g > 0 for g in p.gaps), "gaps", "positive numbers of samples")
    demand(set(p.bad_channels) <= set(KINDS), "bad_channels", f"kinds among {', '.join(KINDS)}")
    for name in _AMOUNTS:
        value = getattr(p, name)
        demand(bool(np.isfinite(value)) and value >= 0, name, "a number of at least 0")
    sensor_array(p.n_channels, p.layout)


_AMOUNTS = (
    "line_freq", "source_amplitude", "brain_noise", "sensor_noise", "sensor_drift",
    "background_drift", "interference", "line_amplitude", "heart_amplitude", "heart_rate",
    "blink_amplitude", "blink_rate", "muscle_amplitude", "muscle_rate", "movement_amplitude",
    "movement_rate", "noisy_factor",
)  # fmt: skip
