"""RawBlock and Block: samples on their way, with masks that say which to disbelieve."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info


class Cause(StrEnum):
    """Why samples are masked."""

    GAP = "gap"
    RAILED = "railed"
    NON_FINITE = "non_finite"


@dataclass(frozen=True)
class Mask:
    """An interval of samples not to be believed.

    Parameters
    ----------
    channels : tuple of str | None
        Names; None for all channels.
    start, stop : int
        Absolute sample indices at the block's own rate, stop exclusive.
    cause : Cause
    """

    channels: tuple[str, ...] | None
    start: int
    stop: int
    cause: Cause


def _checked(data: Any, info: Info) -> Any:
    """Return the samples, read-only where they are NumPy's; a device array stays as it is."""
    if data.ndim != 2 or data.shape[0] != info.n_channels:
        raise InputError(
            where="block",
            expected=f"an array of {info.n_channels} channels x samples",
            got=f"shape {data.shape}",
        )
    if not isinstance(data, np.ndarray):
        return data
    view = data.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class RawBlock:
    """Samples as the source gave them.

    Parameters
    ----------
    data : array, axes (channel, sample)
        In the source's own dtype (int16, int32, float32, float64); handed out read-only.
    info : Info
        Its channels hold the calibration to SI.
    start : int
        Absolute index of the first sample at the source's rate.
    masks : tuple of Mask
    """

    data: npt.NDArray[Any]
    info: Info
    start: int
    masks: tuple[Mask, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _checked(self.data, self.info))

    @property
    def stop(self) -> int:
        """Absolute index one past the last sample."""
        return self.start + self.data.shape[1]

    def to_si(self) -> npt.NDArray[np.float64]:
        """Return calibrated samples in SI units, float64, axes (channel, sample)."""
        cal = np.array([c.cal for c in self.info.channels])[:, None]
        offset = np.array([c.offset for c in self.info.channels])[:, None]
        return self.data * cal + offset


@dataclass(frozen=True)
class Block:
    """Samples inside the pipeline: float32, C order, in fT, fT/cm and µV.

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
        Handed out read-only.
    info : Info
        ``info.decim`` source samples make one sample here.
    start : int
        Absolute index of the first sample at this block's own rate.
    masks : tuple of Mask
        In samples of this block's own rate.
    """

    data: npt.NDArray[np.float32]
    info: Info
    start: int
    masks: tuple[Mask, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "data", _checked(self.data, self.info))

    @property
    def stop(self) -> int:
        """Absolute index one past the last sample."""
        return self.start + self.data.shape[1]

    def good(self) -> npt.NDArray[np.bool_]:
        """Return which samples can be believed, axes (channel, sample)."""
        return good_samples(self.masks, self.info, self.start, self.stop)


def good_samples(
    masks: tuple[Mask, ...], info: Info, start: int, stop: int
) -> npt.NDArray[np.bool_]:
    """Return which samples of [start, stop) no mask touches, axes (channel, sample)."""
    good = np.ones((info.n_channels, stop - start), dtype=bool)
    for mask in masks:
        lo, hi = max(mask.start, start) - start, min(mask.stop, stop) - start
        if lo >= hi:
            continue
        rows = slice(None) if mask.channels is None else info.rows(mask.channels)
        good[rows, lo:hi] = False
    return good
