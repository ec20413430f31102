"""Recent: the newest samples of some channels, by absolute index, with what can be believed."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

F32 = npt.NDArray[np.float32]
Bools = npt.NDArray[np.bool_]
#: rows, and which of their samples are not to be believed
Bad = tuple[npt.NDArray[np.intp], Bools]
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
        self.size, self._n = size, n_channels
        self._data = np.zeros((n_channels, _ROOM * size), np.float32)
        self._good = np.zeros((n_channels, _ROOM * size), bool)
        #: channels that can be believed, sample by sample
        self._count = np.zeros(_ROOM * size, np.int64)
        self._end = size
        #: absolute index one past the newest sample; None before the first
        self.stop: int | None = None
        #: the newest sample of each channel that is not to be believed
        self._last_bad = np.full(n_channels, -1, np.int64)

    def put(self, start: int, data: F32, bad: Bad | None = None) -> None:
        """Append samples, axes (channel, sample).

        Parameters
        ----------
        start : int
            Absolute index of the first one; samples between the last ones and it are missing.
        data : float32 array
        bad : (rows, bool array, axes (row, sample)) | None
            The channels that are not to be believed throughout, and where not.
        """
        if self.stop is None:
            self.stop = start
            self._last_bad[:] = start - 1
        if start < self.stop:
            raise IndexError(f"sample {start} comes after {self.stop}")
        if start > self.stop:
            self._append(None, None, min(start - self.stop, self.size))
            self._last_bad[:] = start - 1
        self.stop = start + data.shape[1]
        first = max(data.shape[1] - self.size, 0)
        if bad is not None:
            for row, some in zip(*bad):
                if some.any():
                    self._last_bad[row] = start + int(np.flatnonzero(some)[-1])
            bad = bad[0], bad[1][:, first:]
        self._append(data[:, first:], bad, data.shape[1] - first)

    def window(self, start: int, stop: int) -> tuple[F32, Bools]:
        """Return samples [start, stop) and which can be believed: views, valid until the next put.

        What lies before the first sample is not believed. At most ``size`` samples before the
        newest one can be had, none behind it.
        """
        here = self._here(start, stop)
        return self._data[:, here], self._good[:, here]

    def coverage(self, start: int, stop: int) -> float:
        """Return the share of the channel-samples in [start, stop) that can be believed."""
        total = self._n * (stop - start)
        return float(self._count[self._here(start, stop)].sum() / total) if total else 0.0

    def believed(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Return the share of every channel's samples in [start, stop) that can be believed."""
        share = np.ones(self._n)
        rows = np.flatnonzero(self._last_bad >= start)
        if len(rows):
            good = self._good[rows, self._here(start, stop)]
            share[rows] = good.mean(axis=1)
        return share

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        last = slice(self._end - self.size, self._end)
        return {
            "data": self._data[:, last].copy(),
            "good": np.packbits(self._good[:, last], axis=1),
            "last_bad": self._last_bad.copy(),
            "stop": self.stop,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._end, self.stop = self.size, state["stop"]
        self._data[:, : self.size] = state["data"]
        good = np.unpackbits(state["good"], axis=1, count=self.size)
        self._good[:, : self.size] = good.astype(bool)
        self._count[: self.size] = good.sum(axis=0)
        self._last_bad = np.array(state["last_bad"])

    def _here(self, start: int, stop: int) -> slice:
        assert self.stop is not None
        if not self.stop - self.size <= start <= stop <= self.stop:
            raise IndexError(f"[{start}, {stop}) is not in the last {self.size} of {self.stop}")
        return slice(self._end - (self.stop - start), self._end - (self.stop - stop))

    def _append(self, data: F32 | None, bad: Bad | None, n: int) -> None:
        """Append n samples; without data they are missing."""
        if self._end + n > self._data.shape[1]:
            kept = slice(self._end - self.size, self._end)
            for ring in (self._data, self._good, self._count):
                ring[..., : self.size] = ring[..., kept]
            self._end = self.size
        here = slice(self._end, self._end + n)
        self._data[:, here] = 0.0 if data is None else data
        self._good[:, here] = data is not None
        self._count[here] = 0 if data is None else self._n
        if bad is not None:
            self._good[bad[0], here] = ~bad[1]
            self._count[here] -= bad[1].sum(axis=0)
        self._end += n
