"""The running sums over epochs from which every spectral measure is finished.

Per FFT bin and channel pair, with z_i conj(z_j) the cross-spectrum C of one epoch:
``re`` and ``im`` of C, ``abs_im`` |Im C|, ``positive`` how often Im C > 0 (one half for zero),
``im2`` (Im C) squared, ``unit_re`` and ``unit_im`` of C / |C| (zero for zero). Per channel
``power`` |z| squared.

Seven float64 sums of the 46,665 pairs of 306 channels take 2.6 MB a bin.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import (
    add_upper,
    add_upper_skew,
    aligned,
    check_chunk,
    n_pairs,
    whole_groups,
)
from brainforge.kernels.connectivity.pairs import lag_sums
from brainforge.kernels.connectivity.taper_pairs import taper_sums
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map, single_threaded_blas, slices

#: the pair kernel gives the first four together
SUMS = ("im", "abs_im", "positive", "im2", "re", "unit_re", "unit_im")
_LAG = SUMS[:4]
_UNIT = SUMS[5:]

Chunk = tuple[npt.NDArray[np.float32], int]


@lazy_jit(["int64(float32[:, :, ::1], int64, float32[:, :, ::1])"])
def _unit_phases(spectra: Any, n_epochs: Any, out: Any) -> int:
    """Fill out with z / |z| (0 for 0), axes (channel, re/im, epoch); return how many are 0."""
    zeros = 0
    one, zero = np.float32(1), np.float32(0)
    for c in range(spectra.shape[0]):
        re, im = spectra[c, 0, : out.shape[2]], spectra[c, 1, : out.shape[2]]
        u, v = out[c, 0], out[c, 1]
        for e in range(out.shape[2]):
            power = re[e] * re[e] + im[e] * im[e]
            inverse = one / np.sqrt(power) if power > zero else zero
            u[e] = re[e] * inverse
            v[e] = im[e] * inverse
        for e in range(n_epochs):
            zeros += 1 if re[e] * re[e] + im[e] * im[e] == zero else 0
    return zeros


class _Scratch:
    """Buffers of one thread, because fresh pages cost as much as the products put into them."""

    def __init__(self, n_channels: int, n_epochs: int) -> None:
        self.unit = aligned((n_channels, 2, n_epochs))
        self.real = aligned((n_channels, n_channels))
        self._more = aligned((n_channels, n_channels))

    def gram(self, rows: list[npt.NDArray[np.float32]]) -> None:
        """Put the sum of ``r @ r.T`` into ``real``."""
        np.matmul(rows[0], rows[0].T, out=self.real)
        for r in rows[1:]:
            np.matmul(r, r.T, out=self._more)
            self.real += self._more


@dataclass(frozen=True)
class BinSums:
    """The sums of one FFT bin: ``of[name]`` axes (pair,), ``power`` axes (channel,), float64."""

    n_epochs: int
    of: dict[str, npt.NDArray[np.float64]]
    power: npt.NDArray[np.float64]


class PairSums:
    """Sums over epochs for all pairs at all bins.

    Parameters
    ----------
    n_bins, n_channels, n_tapers : int
    wanted : iterable of str
        Which of `SUMS`; the four phase-lag sums come together.
    """

    def __init__(self, n_bins: int, n_channels: int, n_tapers: int, wanted: Iterable[str]) -> None:
        asked = set(wanted)
        lag, unit = not asked.isdisjoint(_LAG), not asked.isdisjoint(_UNIT)
        keep = {*(_LAG if lag else ()), *(_UNIT if unit else ()), *asked}
        if n_tapers > 1 and (lag or unit):
            keep |= {*_LAG, *_UNIT}
        self.names = tuple(name for name in SUMS if name in keep)
        self.n_bins, self.n_channels, self.n_tapers = n_bins, n_channels, n_tapers
        self.n_epochs = 0
        self.values: npt.NDArray[np.float64] | None = None
        self.power: npt.NDArray[np.float64] | None = None

    def add(self, chunk: npt.NDArray[np.float32], n_epochs: int, n_threads: int = 1) -> None:
        """Add the first ``n_epochs`` epochs of a packed chunk.

        Parameters
        ----------
        chunk : float32 array, C order, axes (frequency, channel, 2 * taper, epoch)
        n_epochs : int
            Epochs that count; the rest of the last group of sixteen has to be zero.
        n_threads : int
        """
        self._check(chunk, n_epochs)
        if n_epochs == 0:
            return
        values, power = self._allocated()

        def some(bins: slice) -> None:
            scratch = _Scratch(self.n_channels, whole_groups(n_epochs))
            for f in range(bins.start, bins.stop):
                self._add_bin(chunk[f], n_epochs, values[f], power[f], scratch)

        with single_threaded_blas():
            parallel_map(some, slices(self.n_bins, 4 * n_threads), n_threads)
        self.n_epochs += n_epochs

    def merge(self, other: Self) -> None:
        """Add the sums of another instance of the same shape."""
        mine = (self.names, self.n_bins, self.n_channels, self.n_tapers)
        if mine != (other.names, other.n_bins, other.n_channels, other.n_tapers):
            raise KernelInputError(
                where="merge", expected="sums of the same bins, channels and kinds", got="others"
            )
        if other.values is None or other.power is None:
            return
        values, power = self._allocated()
        values += other.values
        power += other.power
        self.n_epochs += other.n_epochs

    def bin(self, f: int, pending: Iterable[Chunk] = ()) -> BinSums:
        """Return the sums of one bin, with those of chunks not yet added. Changes nothing.

        Call it inside `single_threaded_blas` where several threads do.
        """
        n = self.n_epochs
        if self.values is None or self.power is None:
            values = np.zeros((len(self.names), n_pairs(self.n_channels)))
            power = np.zeros(self.n_channels)
        else:
            values, power = self.values[f].copy(), self.power[f].copy()
        for chunk, n_epochs in pending:
            self._check(chunk, n_epochs)
            if n_epochs:
                scratch = _Scratch(self.n_channels, whole_groups(n_epochs))
                self._add_bin(chunk[f], n_epochs, values, power, scratch)
                n += n_epochs
        return BinSums(n, dict(zip(self.names, values)), power)

    def _allocated(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        if self.values is None or self.power is None:
            shape = (self.n_bins, len(self.names), n_pairs(self.n_channels))
            self.values = np.zeros(shape)
            self.power = np.zeros((self.n_bins, self.n_channels))
        return self.values, self.power

    def _check(self, chunk: npt.NDArray[np.float32], n_epochs: int) -> None:
        check_chunk(chunk, n_epochs)
        if chunk.shape[:3] != (self.n_bins, self.n_channels, 2 * self.n_tapers):
            raise KernelInputError(
                where="chunk",
                expected=f"{self.n_bins} bins x {self.n_channels} channels x "
                f"{2 * self.n_tapers} rows",
                got=f"shape {chunk.shape}",
            )

    def _add_bin(
        self, spectra: Any, n_epochs: int, values: Any, power: Any, scratch: _Scratch
    ) -> None:
        filled = whole_groups(n_epochs)
        if "re" in self.names:
            real = scratch.real
            scratch.gram([spectra[:, r, :filled] for r in range(2 * self.n_tapers)])
            add_upper(real, values[self.names.index("re")])
            power += np.diagonal(real)
        if self.n_tapers > 1:
            self._add_tapers(spectra, n_epochs, filled, values)
        else:
            self._add_single(spectra, n_epochs, filled, values, scratch)

    def _add_single(
        self, spectra: Any, n_epochs: int, filled: int, values: Any, scratch: _Scratch
    ) -> None:
        unit = scratch.unit
        n_zero = _unit_phases(spectra, n_epochs, unit)
        if "im" in self.names:
            lag_sums(spectra, filled, values[:4])
            if n_zero:
                self._add_ties(unit.any(axis=1), n_epochs, values)
        if "unit_re" in self.names:
            u, v = unit[:, 0], unit[:, 1]
            scratch.gram([u, v])
            add_upper(scratch.real, values[self.names.index("unit_re")])
            np.matmul(v, u.T, out=scratch.real)
            add_upper_skew(scratch.real, values[self.names.index("unit_im")])

    def _add_tapers(self, spectra: Any, n_epochs: int, filled: int, values: Any) -> None:
        if "im" not in self.names:
            return
        sums = np.zeros((6, values.shape[1]))
        taper_sums(self.n_tapers)(spectra, filled, sums)
        for name, part in zip((*_LAG, *_UNIT), sums):
            values[self.names.index(name)] += part
        alive = spectra[:, :, :n_epochs].any(axis=1)
        if not alive.all():
            self._add_ties(alive, n_epochs, values)

    def _add_ties(self, alive: Any, n_epochs: int, values: Any) -> None:
        """Count an epoch in which a channel of the pair is flat as half positive."""
        believed = alive[:, :n_epochs].astype(np.float32)
        ties = np.float32(0.5) * (n_epochs - believed @ believed.T)
        add_upper(ties, values[self.names.index("positive")])
