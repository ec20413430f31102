"""The device's counter where it comes as a channel among the others; it stays in the data."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info

#: bits of a counter that fills a channel of this type
FULL: Final = {"int16": 16}


class CounterChannel:
    """Reads counters out of one channel.

    Parameters
    ----------
    info : Info
    name : str
        Of the channel; its raw values are whole numbers that go up by one each sample.

    Raises
    ------
    InputError
        There is no such channel.
    """

    def __init__(self, info: Info, name: str) -> None:
        if name not in info.names:
            near = [n for n in info.names if n.lower() == name.lower()] or list(info.names[-3:])
            raise InputError(
                where="--counter-channel", expected="a channel of the stream", got=repr(name),
                fix=f"there are {info.n_channels}, among them {', '.join(near)}",
            )  # fmt: skip
        self.name, self._column = name, info.index(name)
        self._checked = False

    def bits(self, dtype: Any) -> int | None:
        """Return after how many bits a counter in this type must wrap; None to find out."""
        return FULL.get(np.dtype(dtype).name)

    def read(self, data: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """Return the counters of samples, axes (sample, channel).

        Raises
        ------
        InputError
            The channel does not count samples.
        """
        values = data[:, self._column]
        if values.dtype.kind == "f":
            values = _whole(values)
        counters = values.astype(np.int64)
        if not self._checked and len(counters) > 2:
            self._check(counters)
        return counters

    def _check(self, counters: npt.NDArray[np.int64]) -> None:
        self._checked = True
        step = int(np.median(np.diff(counters)))
        if step != 1:
            raise InputError(
                where=f"--counter-channel {self.name}",
                expected="values that go up by 1 each sample", got=f"steps of {step}",
                fix="name the channel in which the device counts its samples",
            )  # fmt: skip


def _whole(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return whole numbers; a value that is none follows from its neighbours."""
    good = np.isfinite(values)
    if not good.all():
        at = np.flatnonzero(good)
        if not len(at):
            raise InputError(
                where="counter channel", expected="numbers", got="a packet without any"
            )
        places = np.arange(len(values))
        before = np.clip(np.searchsorted(at, places, side="right") - 1, 0, None)
        nearest = at[before]
        values = np.where(good, values, values[nearest] + (places - nearest))
    return np.rint(values)
