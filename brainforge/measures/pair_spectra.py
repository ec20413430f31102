"""Epochs of one length to sums over pairs: staged by sixteen, packed, and summed by the chunk.

The pair kernels like long rows of epochs, and float64 sums like to be touched rarely; so epochs
gather first. Nothing is added up early for a result: it is finished from what has gathered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.kernels.connectivity.finish import finish_bands, needed_sums
from brainforge.kernels.connectivity.fourier import band_bins, new_chunk, pack
from brainforge.kernels.connectivity.layout import GROUP, whole_groups
from brainforge.kernels.connectivity.spectral import make_tapers
from brainforge.kernels.connectivity.sums import PairSums

#: epochs of a chunk for one taper: long enough for the kernels, short enough for memory
_CHUNK_EPOCHS = 304


class PairSpectra:
    """Sums over epochs of one length, for the bands that use it.

    Parameters
    ----------
    n_channels : int
    sfreq : float
        In Hz.
    length : int
        Samples per epoch.
    bands : mapping of str to (low, high)
        In Hz.
    methods : sequence of str
    mode : {"fourier", "multitaper"}
    n_threads : int
    """

    def __init__(
        self,
        n_channels: int,
        sfreq: float,
        length: int,
        bands: Mapping[str, tuple[float, float]],
        methods: Sequence[str],
        mode: str,
        n_threads: int,
    ) -> None:
        self.n_channels, self.length, self.n_threads = n_channels, length, n_threads
        self.methods = tuple(methods)
        self._grid = band_bins(length, sfreq, bands)
        self._tapers = make_tapers(mode, length)
        self._capacity = whole_groups(_CHUNK_EPOCHS // len(self._tapers))
        self._sums = PairSums(
            len(self._grid.bins), n_channels, len(self._tapers), needed_sums(methods)
        )
        self._stage = np.zeros((GROUP, n_channels, length), dtype=np.float32)
        self._staged = 0
        self._chunk: npt.NDArray[np.float32] | None = None
        self._packed = 0

    @property
    def n_epochs(self) -> int:
        """Number of epochs taken."""
        return self._sums.n_epochs + self._packed + self._staged

    def add(self, epochs: Sequence[npt.NDArray[np.float32]]) -> None:
        """Take whole epochs, each with axes (channel, time).

        Raises
        ------
        InputError
            Where an epoch holds NaN or infinity that no mask covers.
        """
        for epoch in epochs:
            if not np.isfinite(epoch).all():
                raise InputError(
                    where="block",
                    expected="finite samples outside the masks",
                    got="NaN or infinity",
                    fix="mask them before they are measured",
                )
            self._stage[self._staged] = epoch
            self._staged += 1
            if self._staged == GROUP:
                self._pack_stage()

    def merge(self, other: Self) -> None:
        """Add what another instance of the same kind has gathered."""
        self._sums.merge(other._sums)
        if other._chunk is not None:
            self._sums.add(other._chunk, other._packed, self.n_threads)
        self.add(list(other._stage[: other._staged]))

    def finish(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return ``values[method][band]``, axes (channel, channel). Changes nothing."""
        pending = [] if self._chunk is None else [(self._chunk, self._packed)]
        if self._staged:
            last = self._new_chunk(GROUP)
            self._pack(last, 0, self._staged)
            pending.append((last, self._staged))
        return finish_bands(self._sums, self._grid.of_band, self.methods, pending, self.n_threads)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        packed = self._new_chunk(0) if self._chunk is None else self._chunk[..., : self._packed]
        values, power = self._sums.values, self._sums.power
        return {
            "summed": self._sums.n_epochs,
            "sums": np.zeros(0) if values is None else values.copy(),
            "power": np.zeros(0) if power is None else power.copy(),
            "packed": packed.copy(),
            "stage": self._stage[: self._staged].copy(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._sums.n_epochs = int(state["summed"])
        filled = self._sums.n_epochs > 0
        self._sums.values = np.array(state["sums"], dtype=np.float64) if filled else None
        self._sums.power = np.array(state["power"], dtype=np.float64) if filled else None
        self._packed = state["packed"].shape[-1]
        self._chunk = None
        if self._packed:
            self._chunk = self._new_chunk(self._capacity)
            self._chunk[..., : self._packed] = state["packed"]
        self._staged = len(state["stage"])
        self._stage[: self._staged] = state["stage"]

    def _new_chunk(self, n_epochs: int) -> npt.NDArray[np.float32]:
        return new_chunk(len(self._grid.bins), self.n_channels, len(self._tapers), n_epochs)

    def _pack(self, chunk: npt.NDArray[np.float32], at: int, n_epochs: int) -> None:
        pack(
            self._stage[:n_epochs],
            self._tapers,
            self._grid.bins,
            chunk,
            at,
            n_threads=self.n_threads,
        )

    def _pack_stage(self) -> None:
        if self._chunk is None:
            self._chunk = self._new_chunk(self._capacity)
        self._pack(self._chunk, self._packed, GROUP)
        self._packed += GROUP
        self._staged = 0
        if self._packed == self._capacity:
            self._sums.add(self._chunk, self._packed, self.n_threads)
            self._packed = 0
