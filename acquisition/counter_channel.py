"""The device's counter where it comes as a channel among the others; it stays in the data."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info

I64 = npt.NDArray[np.int64]
#: bits of a counter that fills a channel of this type
FULL: Final = {"int16": 16}
#: from here on float32 cannot tell neighbours apart
COARSE: Final = 1 << 24


class CounterChannel:
    """Reads counters out of one channel.

    A single value that cannot be one, between two that agree, follows from its neighbours.

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
        self._checked = self._coarse = False
        self._next = 0
        self._troubles: list[tuple[str, dict[str, Any]]] = []

    def bits(self, dtype: Any) -> int | None:
        """Return after how many bits a counter in this type must wrap; None to find out."""
        return FULL.get(np.dtype(dtype).name)

    def troubles(self) -> list[tuple[str, dict[str, Any]]]:
        """Return what has been wrong with the values since it was last asked: cause, figures."""
        troubles, self._troubles = self._troubles, []
        return troubles

    def read(self, data: npt.NDArray[Any]) -> I64:
        """Return the counters of samples, axes (sample, channel), at least one.

        Raises
        ------
        InputError
            The channel does not count samples.
        """
        values = data[:, self._column]
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            values = self._filled(values)
        counters = np.rint(values).astype(np.int64)
        n = len(counters)
        if values.dtype == np.float32 and counters[-1] >= COARSE:
            counters = self._fine(values, counters)
        if n > 2:
            steps = counters[1:] - counters[:-1]
            if not (steps == 1).all():
                self._check(steps)
                counters = self._mended(counters)
            self._checked = True
        self._next = int(counters[-1]) + 1
        return counters

    def _check(self, steps: I64) -> None:
        step = int(np.median(steps))
        if not self._checked and step != 1:
            raise InputError(
                where=f"--counter-channel {self.name}",
                expected="values that go up by 1 each sample", got=f"steps of {step}",
                fix="name the channel in which the device counts its samples",
            )  # fmt: skip

    def _filled(self, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Let values that are not finite follow from the one before, or behind them."""
        good = np.isfinite(values)
        at = np.flatnonzero(good)
        self._trouble(len(values) - len(at))
        places = np.arange(len(values))
        if not len(at):
            return (self._next + places).astype(np.float64)
        nearest = at[np.clip(np.searchsorted(at, places, side="right") - 1, 0, None)]
        return np.where(good, values, values[nearest].astype(np.float64) + (places - nearest))

    def _mended(self, counters: I64) -> I64:
        """Put single values right whose neighbours on both sides agree."""
        before, at, behind = counters[:-2], counters[1:-1], counters[2:]
        wrong = np.flatnonzero((behind - before == 2) & (at - before != 1)) + 1
        if len(wrong):
            self._trouble(len(wrong))
            counters = counters.copy()
            counters[wrong] = counters[wrong - 1] + 1
        return counters

    def _trouble(self, n: int) -> None:
        cause = "values of the counter channel that are none; taken from their neighbours"
        self._troubles.append((cause, {"channel": self.name, "samples": n}))

    def _fine(self, values: npt.NDArray[Any], counters: I64) -> I64:
        """Return the counters that float32 has rounded to these values, nearest to the next."""
        if not self._coarse:
            self._coarse = True
            cause = "float32 cannot count further one by one; gaps are known to 2 samples or more"
            self._troubles.append((cause, {"channel": self.name, "counter": int(counters[-1])}))
        places, first = np.arange(len(values)), int(counters[0])
        spacing = int(np.spacing(values[0]))
        for start in (self._next, *range(first - spacing, first + spacing + 1)):
            candidate = start + places
            if np.array_equal(candidate.astype(np.float32), values):
                return candidate
        return counters
