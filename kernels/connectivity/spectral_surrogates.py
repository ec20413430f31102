"""Null distributions of spectral measures, from packed spectra.

A surrogate costs one pass of the pair kernels. It is made and summed a few bins at a time, so
that memory does not grow with the spectra or the number of surrogates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish import check_methods, finish_bands, needed_sums
from brainforge.kernels.connectivity.layout import pair_rows
from brainforge.kernels.connectivity.shuffle import shuffled
from brainforge.kernels.connectivity.sums import PairSums
from brainforge.kernels.namespace import rows_of
from brainforge.kernels.surrogates import (
    EpochDraw,
    Null,
    SurrogateTest,
    check_scheme,
    draw_epochs,
    rank_allowed,
    surrogate_rng,
)

Chunk = tuple[Any, int]

#: bins that are shuffled and summed together
_BINS: Final = 8
#: where no coupling lies, and whether either side of it counts
_NO_COUPLING: Final = {"dpli": 0.5}
_TWO_SIDED: Final = ("cohy", "imcoh", "dpli")


def spectral_surrogates(
    chunks: Sequence[Chunk],
    n_channels: int,
    bands: Mapping[str, npt.NDArray[np.intp]],
    methods: Sequence[str],
    *,
    n_surrogates: int = 199,
    seed: int = 0,
    scheme: str = "permute",
    quantile: float = 0.95,
    n_threads: int = 1,
) -> dict[str, dict[str, SurrogateTest]]:
    """Test spectral measures of all pairs against surrogates.

    Parameters
    ----------
    chunks : sequence of (float32 array, n_epochs)
        Packed spectra, axes (frequency, block of channels, epoch, 2 * taper, lane); epochs are
        exchanged within a chunk. On the host or a device, where all but each surrogate's values
        stays.
    n_channels : int
    bands : mapping of str to int array
        Positions of the band's bins within the chunks.
    methods : sequence of str
        Among `brainforge.kernels.connectivity.finish.METHODS`. Of cohy, imcoh and dpli the
        distance from no coupling is tested, the rest where they are large.
    n_surrogates, seed, quantile
        See `brainforge.kernels.surrogates.compared`.
    scheme : {"permute", "shift", "sign", "phase"}
        See `brainforge.kernels.surrogates.draw_epochs`. "shift" also holds where epochs follow
        each other slowly; "sign" and "phase" keep each epoch's amplitudes together.
    n_threads : int

    Returns
    -------
    dict of str to dict of str to SurrogateTest
        ``tests[method][band]``; pairs in order of `numpy.triu_indices`.

    Raises
    ------
    KernelInputError
        For an unknown method or scheme, chunks without two epochs, bins that are not there, or
        fewer surrogates than the quantile needs.
    """
    names = check_methods(methods)
    check_scheme(scheme)
    rank_allowed(n_surrogates, quantile)
    _check_chunks(chunks, bands)

    def statistic(draws: Sequence[EpochDraw] | None) -> dict[tuple[str, str], Any]:
        return {
            (name, band): value
            for band, bins in bands.items()
            for name, value in _band(chunks, draws, n_channels, bins, names, n_threads).items()
        }

    observed = statistic(None)
    nulls = {key: Null(value, n_surrogates, quantile) for key, value in observed.items()}
    for number in range(n_surrogates):
        rng = surrogate_rng(seed, number)
        draws = [draw_epochs(rng, scheme, n_channels, n) for _, n in chunks]
        for key, value in statistic(draws).items():
            nulls[key].add(value)
    return {
        name: {band: nulls[name, band].result(seed, scheme) for band in bands} for name in names
    }


def _band(
    chunks: Sequence[Chunk],
    draws: Sequence[EpochDraw] | None,
    n_channels: int,
    bins: npt.NDArray[np.intp],
    names: Sequence[str],
    n_threads: int,
) -> dict[str, npt.NDArray[np.float64]]:
    """Return each measure's statistic over a band's bins, axes (pair,)."""
    totals: dict[str, Any] = dict.fromkeys(names, 0.0)
    for at in range(0, len(bins), _BINS):
        some = bins[at : at + _BINS]
        n_tapers = chunks[0][0].shape[3] // 2
        sums = PairSums(len(some), n_channels, n_tapers, needed_sums(names))
        for k, (chunk, n_epochs) in enumerate(chunks):
            part = rows_of(chunk, some)
            if draws is not None:
                part = shuffled(part, draws[k], n_threads=n_threads)
            sums.add(part, n_epochs, n_threads)
        found = finish_bands(sums, {"": np.arange(len(some))}, names, n_threads=n_threads)
        for name in names:
            totals[name] = totals[name] + len(some) * found[name][""][pair_rows(n_channels)]
    return {name: _distance(name, total / len(bins)) for name, total in totals.items()}


def _distance(name: str, mean: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    if name in _TWO_SIDED:
        mean = np.abs(mean - _NO_COUPLING.get(name, 0.0))
    return mean.astype(np.float64)


def _check_chunks(chunks: Sequence[Chunk], bands: Mapping[str, npt.NDArray[np.intp]]) -> None:
    if not chunks or min(n for _, n in chunks) < 2:
        raise KernelInputError(
            where="chunks",
            expected="chunks of at least two epochs, which can be exchanged",
            got=f"epochs {[n for _, n in chunks]}",
        )
    for band, bins in bands.items():
        least = min(chunk.shape[0] for chunk, _ in chunks)
        if not len(bins) or np.min(bins) < 0 or np.max(bins) >= least:
            raise KernelInputError(
                where=f"bins of {band}",
                expected=f"positions from 0 to {least - 1}, at least one",
                got=f"{len(bins)} of them"
                + (f", {np.min(bins)} to {np.max(bins)}" if len(bins) else ""),
            )
