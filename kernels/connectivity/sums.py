"""The running sums over epochs from which every spectral measure is finished.

Per FFT bin and channel pair, with z_i conj(z_j) the cross-spectrum C of one epoch:
``re`` and ``im`` of C, ``abs_im`` |Im C|, ``positive`` how often Im C > 0 (one half for zero),
``im2`` (Im C) squared, ``unit_re`` and ``unit_im`` of C / |C| (zero for zero). Per channel
``power`` |z| squared.

Seven float64 sums of the 46,665 pairs of 306 channels take 2.6 MB a bin.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import SUMS, check_chunk, n_pairs
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.namespace import dtype_name, is_device, namespace, to_device, to_host
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.scratch import scratch

_SPECTRA: Final = "Array(float32, 4, 'C', readonly=True)"


@lazy_jit([f"int64({_SPECTRA}, int64, float64[::1])"])
def _add_power(spectra: Any, n_epochs: Any, power: Any) -> int:
    """Add |z| squared, and return how often a channel's spectrum is zero.

    Parameters
    ----------
    spectra : float32 array, C order, axes (block, epoch, row, lane)
        Of one bin.
    n_epochs : int
    power : float64 array, axes (channel,)
    """
    zeros, none = 0, np.float32(0)
    total, one = np.empty(16, dtype=np.float32), np.empty(16, dtype=np.float32)
    for block in range(spectra.shape[0]):
        lanes = min(power.shape[0] - 16 * block, 16)
        total[:] = none
        for e in range(n_epochs):
            one[:] = none
            for row in range(spectra.shape[2]):
                z = spectra[block, e, row]
                for lane in range(16):
                    one[lane] += z[lane] * z[lane]
            for lane in range(16):
                total[lane] += one[lane]
            for lane in range(lanes):
                zeros += 1 if one[lane] == none else 0
        for lane in range(lanes):
            power[16 * block + lane] += total[lane]
    return zeros


@lazy_jit([f"void({_SPECTRA}, int64, float32[:, :, :, ::1])"])
def _with_inverse(spectra: Any, n_epochs: Any, out: Any) -> None:
    """Fill out (block, epoch, re/im/inverse, lane) with z and 1 / |z|, which is 0 for 0."""
    one, none = np.float32(1), np.float32(0)
    for block in range(spectra.shape[0]):
        for e in range(n_epochs):
            re, im = spectra[block, e, 0], spectra[block, e, 1]
            row = out[block, e]
            for lane in range(16):
                power = re[lane] * re[lane] + im[lane] * im[lane]
                row[0, lane] = re[lane]
                row[1, lane] = im[lane]
                row[2, lane] = one / np.sqrt(power) if power > none else none


def kept_sums(wanted: Iterable[str]) -> tuple[str, ...]:
    """Return which of `SUMS` to keep for those wanted: some come together."""
    asked = set(wanted)
    if "abs_im" in asked:
        asked.add("im")
    if asked & {"unit_re", "unit_im"}:
        asked |= {"unit_re", "unit_im"}
    return tuple(name for name in SUMS if name in asked)


class BinAdder:
    """Adds the epochs of packed spectra to the sums of one bin, all rows of pairs or some.

    Parameters
    ----------
    n_channels, n_tapers : int
    names : tuple of str
        Of the sums, in the order of `SUMS`.
    """

    def __init__(self, n_channels: int, n_tapers: int, names: tuple[str, ...]) -> None:
        # Numba comes with it
        from brainforge.kernels.connectivity.tiles import n_rows, pair_kernel

        self.n_channels, self.names = n_channels, names
        self._kernel = pair_kernel(n_tapers, names) if names else None
        self._inverse = n_rows(n_tapers, names) != 2 * n_tapers

    def prepare(self, spectra: Any, n_epochs: int, power: Any) -> tuple[Any, Any]:
        """Add to the channels' power; return what `add` needs: rows to read, and ties.

        Parameters
        ----------
        spectra : float32 array, axes (block of channels, epoch, 2 * taper, lane)
        n_epochs : int
            Epochs that count.
        power : float64 array, axes (channel,)
        """
        zeros = _add_power(spectra, n_epochs, power)
        ties = None
        if zeros and "positive" in self.names:
            alive = spectra[:, :n_epochs].any(axis=2).transpose(0, 2, 1).reshape(-1, n_epochs)
            believed = alive[: self.n_channels].astype(np.float32)
            ties = 0.5 * (n_epochs - believed @ believed.T)
        if self._inverse:
            rows = scratch(
                "spectra and inverse", (len(spectra), n_epochs, 3, spectra.shape[3]), np.float32
            )
            _with_inverse(spectra, n_epochs, rows)
            return rows, ties
        return spectra, ties

    def add(self, prepared: tuple[Any, Any], n_epochs: int, out: Any, rows: Any = None) -> None:
        """Add what `prepare` returned to out, axes (sum, pair).

        With ``rows`` (first, last) out holds the pairs of these rows alone, and what was in it
        before is forgotten.
        """
        z, ties = prepared
        first, last = rows or (0, self.n_channels)
        if self._kernel is None:
            return
        stride = z.shape[1] * z.shape[2] * z.shape[3]
        fresh = rows is not None
        self._kernel(z.reshape(-1), self.n_channels, n_epochs, stride, first, last, fresh, out)
        if ties is not None:
            # an epoch in which a channel of the pair is flat counts as half positive
            upper = [ties[i, i + 1 :] for i in range(first, last)]
            out[self.names.index("positive")] += np.concatenate(upper)


@kernel(device="brainforge.kernels.device.sums:add_epochs", raw=True, tolerance=2e-6)
def add_epochs(
    chunk: npt.NDArray[np.float32],
    n_epochs: int,
    values: npt.NDArray[np.float64],
    power: npt.NDArray[np.float64],
    names: tuple[str, ...],
    *,
    n_threads: int = 1,
) -> None:
    """Add the first epochs of a packed chunk to the sums of all pairs at all bins.

    Parameters
    ----------
    chunk : float32 array, C order, axes (bin, block of channels, epoch, 2 * taper, lane)
    n_epochs : int
        Epochs that count.
    values : float64 array, C order, axes (bin, sum, pair)
        Added to, as is ``power``.
    power : float64 array, C order, axes (bin, channel)
    names : tuple of str
        Of the sums, in the order of `SUMS`.
    n_threads : int

    Raises
    ------
    KernelInputError
        Where the shapes or dtypes do not fit together.
    """
    check_sums(chunk, n_epochs, values, power, names)
    adder = BinAdder(power.shape[1], chunk.shape[3] // 2, names)

    def some(bins: slice) -> None:
        for f in range(bins.start, bins.stop):
            adder.add(adder.prepare(chunk[f], n_epochs, power[f]), n_epochs, values[f])

    if n_epochs:
        parallel_map(some, slices(len(power), 4 * n_threads), n_threads)


def check_sums(chunk: Any, n_epochs: int, values: Any, power: Any, names: Any) -> None:
    """Raise KernelInputError where the arguments of `add_epochs` do not fit together."""
    if names != kept_sums(names):
        raise KernelInputError(
            where="names", expected=f"some of {', '.join(SUMS)}, in this order", got=repr(names)
        )
    n_tapers = chunk.shape[3] // 2 if chunk.ndim == 5 else 1
    check_chunk(chunk, n_epochs, power.shape[0], power.shape[1], n_tapers)
    shape = (power.shape[0], len(names), n_pairs(power.shape[1]))
    if values.shape != shape or {dtype_name(values), dtype_name(power)} != {"float64"}:
        raise KernelInputError(
            where="values",
            expected=f"float64 sums of shape {shape}",
            got=f"{dtype_name(values)} of shape {values.shape}",
        )


class PairSums:
    """Sums over epochs for all pairs at all bins.

    Parameters
    ----------
    n_bins, n_channels, n_tapers : int
    wanted : iterable of str
        Which of `SUMS`; see `kept_sums`.
    """

    def __init__(self, n_bins: int, n_channels: int, n_tapers: int, wanted: Iterable[str]) -> None:
        self.names = kept_sums(wanted)
        self.n_bins, self.n_channels, self.n_tapers = n_bins, n_channels, n_tapers
        self.n_epochs = 0
        #: axes (bin, sum, pair) and (bin, channel), where the chunks are
        self.values: Any = None
        self.power: Any = None

    def add(self, chunk: Any, n_epochs: int, n_threads: int = 1) -> None:
        """Add the first ``n_epochs`` epochs of a packed chunk.

        Parameters
        ----------
        chunk : float32 array, C order, axes (frequency, block of channels, epoch, row, lane)
        n_epochs : int
            Epochs that count.
        n_threads : int
        """
        self.check(chunk, n_epochs)
        if n_epochs == 0:
            return
        values, power = self._allocated(chunk)
        add_epochs(chunk, n_epochs, values, power, self.names, n_threads=n_threads)
        self.n_epochs += n_epochs

    def reserve(self, like: Any) -> None:
        """Take the memory of the sums now, where ``like`` is: first touch is half a second."""
        if self.values is None:
            values, _ = self._allocated(like)
            values[...] = 0.0

    def merge(self, other: Self) -> None:
        """Add the sums of another instance of the same shape."""
        mine = (self.names, self.n_bins, self.n_channels, self.n_tapers)
        if mine != (other.names, other.n_bins, other.n_channels, other.n_tapers):
            raise KernelInputError(
                where="merge", expected="sums of the same bins, channels and kinds", got="others"
            )
        if other.values is None or other.power is None:
            return
        values, power = self._allocated(other.values)
        values += placed(other.values, values)
        power += placed(other.power, power)
        self.n_epochs += other.n_epochs

    def check(self, chunk: Any, n_epochs: int) -> None:
        """Raise KernelInputError unless a chunk with so many epochs fits these sums."""
        check_chunk(chunk, n_epochs, self.n_bins, self.n_channels, self.n_tapers)

    def _allocated(self, like: Any) -> tuple[Any, Any]:
        """Return the sums, where ``like`` is; zeros if there are none."""
        if self.values is None or self.power is None:
            xp, device = namespace(like), {"device": like.device} if is_device(like) else {}
            shape = (self.n_bins, len(self.names), n_pairs(self.n_channels))
            self.values = xp.zeros(shape, dtype=xp.float64, **device)
            self.power = xp.zeros((self.n_bins, self.n_channels), dtype=xp.float64, **device)
        elif is_device(like):
            self.values, self.power = (to_device(a, like=like) for a in (self.values, self.power))
        return self.values, self.power


def placed(array: Any, like: Any) -> Any:
    """Return an array where ``like`` is."""
    return to_device(array, like=like) if is_device(like) else to_host(array)
