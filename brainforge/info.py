"""Info and Channel: what is known about a recording besides its samples.

Channels are joined by *name*, never by their position in a list.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.units import UNITS, si_unit, to_working

Vector = tuple[float, float, float]


@dataclass(frozen=True)
class Channel:
    """One channel.

    Parameters
    ----------
    name : str
        Unique within a recording.
    kind : str
        One of `brainforge.units.UNITS`: mag, grad, ref_mag, ref_grad, eeg, eog, ecg, emg,
        stim, misc.
    cal, offset : float
        SI value = raw count * cal + offset.
    position, orientation : tuple of 3 float | None
        Device (helmet) frame, metres; orientation is the sensitive axis, unit length.
    loc : tuple of 12 float | None
        MNE's coil location (device frame), where it is known.
    coil_type : int
        FIFF coil type; 0 where unknown.
    bad : bool
        Marked bad by the file or the user.
    rails : tuple of 2 float | None
        Lowest and highest raw count that the converter can give; None where unknown.
    """

    name: str
    kind: str
    cal: float = 1.0
    offset: float = 0.0
    position: Vector | None = None
    orientation: Vector | None = None
    loc: tuple[float, ...] | None = None
    coil_type: int = 0
    bad: bool = False
    rails: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if self.kind not in UNITS:
            raise InputError(
                where=f"channel {self.name}",
                expected=f"a kind among {', '.join(UNITS)}",
                got=repr(self.kind),
            )

    @property
    def unit(self) -> str:
        """SI unit of the calibrated values."""
        return si_unit(self.kind)

    @property
    def working_cal(self) -> float:
        """Factor from raw counts to the working unit (fT, fT/cm, µV)."""
        return self.cal * to_working(self.kind)


@dataclass(frozen=True)
class Projector:
    """A signal-space projector that came with a recording (SSP vectors).

    ``vectors`` has axes (component, channel), over ``names`` in that order, for SI data.
    """

    description: str
    names: tuple[str, ...]
    vectors: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Info:
    """Sampling rate, channels and geometry of a signal.

    Parameters
    ----------
    sfreq : float
        Sampling rate of the signal this Info belongs to, in Hz.
    channels : tuple of Channel
        In the order of the data's first axis.
    line_freq : float | None
        Mains frequency in Hz, None where unknown.
    dev_head_t : tuple of tuple | None
        4 x 4 transform from device to head coordinates (metres).
    decim : int
        Source samples per sample of this signal (1 for source data).
    """

    sfreq: float
    channels: tuple[Channel, ...]
    line_freq: float | None = None
    highpass: float = 0.0
    lowpass: float = 0.0
    dev_head_t: tuple[tuple[float, ...], ...] | None = None
    projs: tuple[Projector, ...] = ()
    subject: str | None = None
    meas_date: str | None = None
    device: str = ""
    decim: int = 1
    extra: dict[str, object] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if not (np.isfinite(self.sfreq) and self.sfreq > 0):
            raise InputError(
                where="sampling rate", expected="a positive number of Hz", got=repr(self.sfreq)
            )
        if len(set(self.names)) != len(self.names):
            seen: set[str] = set()
            twice = sorted({n for n in self.names if n in seen or seen.add(n)})  # type: ignore[func-returns-value]
            raise InputError(
                where="channels", expected="unique names", got=f"{', '.join(twice)} more than once"
            )

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Channel names in data order."""
        return tuple(c.name for c in self.channels)

    @cached_property
    def _index(self) -> dict[str, int]:
        return {n: i for i, n in enumerate(self.names)}

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.channels)

    @property
    def bads(self) -> tuple[str, ...]:
        """Names of the channels marked bad."""
        return tuple(c.name for c in self.channels if c.bad)

    def index(self, name: str) -> int:
        """Return the row of a channel, by name."""
        try:
            return self._index[name]
        except KeyError:
            raise InputError(
                where="channel", expected=f"a name among {self.n_channels} channels", got=repr(name)
            ) from None

    def channel(self, name: str) -> Channel:
        """Return a channel by name."""
        return self.channels[self.index(name)]

    def rows(self, names: Iterable[str]) -> npt.NDArray[np.intp]:
        """Return the rows of the named channels, in the order of ``names``."""
        return np.array([self.index(n) for n in names], dtype=np.intp)

    def names_of(self, *kinds: str, bads: bool = True) -> tuple[str, ...]:
        """Return the names of the channels of some kinds, in data order."""
        return tuple(c.name for c in self.channels if c.kind in kinds and (bads or not c.bad))

    def pick(self, names: Iterable[str]) -> Info:
        """Return an Info with only the named channels, in the order given."""
        return replace(self, channels=tuple(self.channel(n) for n in names))

    def with_bads(self, names: Iterable[str]) -> Info:
        """Return an Info in which exactly the named channels are bad."""
        bad = set(names)
        for name in bad:
            self.index(name)
        return replace(self, channels=tuple(replace(c, bad=c.name in bad) for c in self.channels))

    def positions(self, names: Iterable[str] | None = None) -> npt.NDArray[np.float64]:
        """Return positions in metres, axes (channel, xyz); NaN rows where unknown."""
        picked = self.channels if names is None else [self.channel(n) for n in names]
        nan = (np.nan, np.nan, np.nan)
        return np.array([c.position or nan for c in picked], dtype=np.float64).reshape(-1, 3)

    def orientations(self, names: Iterable[str] | None = None) -> npt.NDArray[np.float64]:
        """Return unit orientations, axes (channel, xyz); NaN rows where unknown."""
        picked = self.channels if names is None else [self.channel(n) for n in names]
        nan = (np.nan, np.nan, np.nan)
        return np.array([c.orientation or nan for c in picked], dtype=np.float64).reshape(-1, 3)
