"""Epochs of one length to sums over pairs: packed as they come, and summed by the chunk.

float64 sums of all pairs like to be touched rarely, so spectra gather first. Nothing is added up
early for a result: it is finished from what has gathered. Who asks for results often has small
chunks, whose epochs are gone through anew for each of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError, KernelInputError
from brainforge.kernels.connectivity.finish import finish_bands, needed_sums
from brainforge.kernels.connectivity.fourier import band_bins, new_chunk, pack
from brainforge.kernels.connectivity.spectral import chunk_epochs, make_tapers
from brainforge.kernels.connectivity.sums import PairSums
from brainforge.kernels.namespace import is_device, to_device, to_host


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
    most_pending : int | None
        Epochs that may gather; None chooses what is fastest where one result is asked for.
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
        most_pending: int | None = None,
    ) -> None:
        self.n_channels, self.length, self.n_threads = n_channels, length, n_threads
        self.methods = tuple(methods)
        self._grid = band_bins(length, sfreq, bands)
        self._tapers = make_tapers(mode, length)
        self._capacity = most_pending or chunk_epochs(len(self._tapers))
        self._often = most_pending is not None
        self._sums = PairSums(
            len(self._grid.bins), n_channels, len(self._tapers), needed_sums(methods)
        )
        self._chunk: Any = None
        self._packed = 0

    @property
    def n_epochs(self) -> int:
        """Number of epochs taken."""
        return self._sums.n_epochs + self._packed

    def add(self, epochs: Sequence[Any]) -> None:
        """Take whole epochs, float32 arrays with axes (channel, time), on the host or a device.

        Raises
        ------
        InputError
            Where an epoch holds NaN or infinity that no mask covers; those up to the last
            whole chunk before it are taken.
        """
        if self._often and len(epochs):
            self._sums.reserve(epochs[0])
        while len(epochs):
            chunk = self._chunk = self._chunk_beside(epochs[0])
            some = epochs[: self._capacity - self._packed]
            try:
                pack(
                    chunk, self._packed, some, self._tapers, self._grid.bins,
                    n_threads=self.n_threads,
                )  # fmt: skip
            except KernelInputError as error:
                raise InputError(
                    where="block",
                    expected=f"{error.expected} outside the masks",
                    got=error.got,
                    fix="mask them before they are measured",
                ) from error
            self._packed += len(some)
            if self._packed == self._capacity:
                self._sums.add(chunk, self._packed, self.n_threads)
                self._packed = 0
            epochs = epochs[len(some) :]

    def merge(self, other: Self) -> None:
        """Add what another instance of the same kind has gathered."""
        self._sums.merge(other._sums)
        if other._chunk is not None:
            self._sums.add(other._chunk, other._packed, self.n_threads)

    def finish(self) -> dict[str, dict[str, npt.NDArray[Any]]]:
        """Return ``values[method][band]``, axes (channel, channel). Changes nothing."""
        pending = (self._chunk, self._packed) if self._packed else None
        return finish_bands(self._sums, self._grid.of_band, self.methods, pending, self.n_threads)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        packed = (
            self._new_chunk(0) if self._chunk is None else self._chunk[:, :, : self._packed, :, :]
        )
        values, power = self._sums.values, self._sums.power
        return {
            "summed": self._sums.n_epochs,
            "sums": np.zeros(0) if values is None else np.array(to_host(values)),
            "power": np.zeros(0) if power is None else np.array(to_host(power)),
            "packed": np.array(to_host(packed)),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self._sums.n_epochs = int(state["summed"])
        filled = self._sums.n_epochs > 0
        self._sums.values = np.array(state["sums"], dtype=np.float64) if filled else None
        self._sums.power = np.array(state["power"], dtype=np.float64) if filled else None
        self._packed = state["packed"].shape[2]
        self._chunk = None
        if self._packed:
            self._chunk = self._new_chunk(self._capacity)
            self._chunk[:, :, : self._packed] = state["packed"]

    def _new_chunk(self, n_epochs: int, like: Any = None) -> Any:
        return new_chunk(
            len(self._grid.bins), self.n_channels, len(self._tapers), n_epochs, like=like
        )

    def _chunk_beside(self, epoch: Any) -> Any:
        """Return the chunk that gathers, where the epochs are; a checkpoint's comes along."""
        if self._chunk is None:
            return self._new_chunk(self._capacity, like=epoch)
        return to_device(self._chunk, like=epoch) if is_device(epoch) else self._chunk
