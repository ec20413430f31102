"""Recent: the newest samples of some channels, by absolute index, with what can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
#: the buffer is so many times what is kept: then what is kept moves to its front again
_ROOM = 3


class Recent:
    """The last ``size`` samples of a stream; what is missing in it is there as not believed.

    Parameters
    ----------
    n_channels : int
    size : int
        Samples that can be looked back at.
    """

    def __init__(self, n_channels: int, size: int) -> None:
        self.size = size
        self._data = np.zeros((n_channels, _ROOM * size), np.float32)
        self._good = np.zeros((n_channels, _ROOM * size), bool)
        self._end = size
        #: absolute index one past the newest sample; None before the first
        self.stop: int | None = None

    def put(self, start: int, data: F32, good: Bools | None = None) -> None:
        """Append samples (channel, sample); ``good`` is None where all can be believed.

        Samples between the last ones and ``start`` are missing.
        """
        if self.stop is None:
            self.stop = start
        if start < self.stop:
            raise IndexError(f"sample {start} comes after {self.stop}")
        self._append(None, None, min(start - self.stop, self.size))
        self.stop = start + data.shape[1]
        last = slice(max(data.shape[1] - self.size, 0), None)
        data = data[:, last]
        self._append(data, None if good is None else good[:, last], data.shape[1])

    def window(self, start: int, stop: int) -> tuple[F32, Bools]:
        """Return samples [start, stop) and which can be believed: views, valid until the next put.

        What lies before the first sample is not believed. At most ``size`` samples before the
        newest one can be had, none behind it.
        """
        assert self.stop is not None
        if not self.stop - self.size <= start <= stop <= self.stop:
            raise IndexError(f"[{start}, {stop}) is not in the last {self.size} of {self.stop}")
        a, b = self._end - (self.stop - start), self._end - (self.stop - stop)
        return self._data[:, a:b], self._good[:, a:b]

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        last = slice(self._end - self.size, self._end)
        return {
            "data": self._data[:, last].copy(),
            "good": np.packbits(self._good[:, last], axis=1),
            "stop": self.stop,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._end, self.stop = self.size, state["stop"]
        self._data[:, : self.size] = state["data"]
        good = np.unpackbits(state["good"], axis=1, count=self.size)
        self._good[:, : self.size] = good.astype(bool)

    def _append(self, data: F32 | None, good: Bools | None, n: int) -> None:
        if not n:
            return
        if self._end + n > self._data.shape[1]:
            kept = slice(self._end - self.size, self._end)
            self._data[:, : self.size] = self._data[:, kept]
            self._good[:, : self.size] = self._good[:, kept]
            self._end = self.size
        here = slice(self._end, self._end + n)
        self._data[:, here] = 0.0 if data is None else data
        self._good[:, here] = data is not None if good is None else good
        self._end += n
