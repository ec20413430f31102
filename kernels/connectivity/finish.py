"""From sums to matrices: the table of measures, and the mean over a band's bins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity import coh, pli, plv, wpli
from brainforge.kernels.connectivity.layout import n_pairs, to_square
from brainforge.kernels.connectivity.sums import BinSums, Chunk, PairSums
from brainforge.kernels.parallel import parallel_map, single_threaded_blas


@dataclass(frozen=True)
class Method:
    """A spectral measure: the sums it needs, how it is finished, and what (j, i) is."""

    needs: tuple[str, ...]
    finish: Callable[[BinSums], npt.NDArray[Any]]
    symmetry: str = "symmetric"
    text: str = ""


METHODS: dict[str, Method] = {
    "coh": Method(("re", "im"), coh.coh, text="coherence"),
    "cohy": Method(("re", "im"), coh.cohy, "hermitian", "complex coherency"),
    "imcoh": Method(
        ("re", "im"), coh.imcoh, "antisymmetric", "imaginary part of coherency, signed"
    ),
    "plv": Method(("unit_re", "unit_im"), plv.plv, text="phase-locking value"),
    "ciplv": Method(
        ("unit_re", "unit_im"), plv.ciplv, text="corrected imaginary phase-locking value"
    ),
    "ppc": Method(("unit_re", "unit_im"), plv.ppc, text="pairwise phase consistency, unbiased"),
    "pli": Method(("positive",), pli.pli, text="phase-lag index"),
    "pli2_unbiased": Method(
        ("positive",), pli.pli2_unbiased, text="squared phase-lag index, unbiased"
    ),
    "dpli": Method(
        ("positive",), pli.dpli, "complement", "directed phase-lag index, 0.5 where none leads"
    ),
    "wpli": Method(("im", "abs_im"), wpli.wpli, text="weighted phase-lag index"),
    "wpli2_debiased": Method(
        ("im", "abs_im", "im2"), wpli.wpli2_debiased, text="squared wPLI, debiased"
    ),
}


def check_methods(methods: Iterable[str]) -> tuple[str, ...]:
    """Return the methods as a tuple; KernelInputError for an unknown one."""
    names = tuple(methods)
    for name in names:
        if name not in METHODS:
            raise KernelInputError(
                where="method", expected=f"one of {', '.join(METHODS)}", got=repr(name)
            )
    return names


def needed_sums(methods: Iterable[str]) -> set[str]:
    """Return the sums that some methods need."""
    return {need for name in methods for need in METHODS[name].needs}


def finish_band(
    sums: PairSums, bins: Sequence[int], methods: Sequence[str], pending: Sequence[Chunk] = ()
) -> dict[str, npt.NDArray[Any]]:
    """Return the mean over a band's bins of each measure.

    Parameters
    ----------
    sums : PairSums
    bins : sequence of int
        Positions of the band's bins within the sums.
    methods : sequence of str
    pending : sequence of (chunk, n_epochs)
        Packed epochs that are not in the sums yet; they are counted, and left as they are.

    Returns
    -------
    dict of str to array, axes (channel, channel)
        float32 (complex64 for cohy), zero diagonal.
    """
    totals: dict[str, npt.NDArray[Any]] = {}
    for f in bins:
        bin_sums = sums.bin(f, pending)
        for name in methods:
            value = METHODS[name].finish(bin_sums)
            totals[name] = totals[name] + value if name in totals else value
    squares = {}
    for name in methods:
        packed = totals.get(name, np.zeros(n_pairs(sums.n_channels))) / max(len(bins), 1)
        square = to_square(packed, sums.n_channels, METHODS[name].symmetry)
        kind = np.complex64 if np.iscomplexobj(square) else np.float32
        squares[name] = square.astype(kind)
    return squares


def finish_bands(
    sums: PairSums,
    bands: dict[str, npt.NDArray[np.intp]],
    methods: Sequence[str],
    pending: Sequence[Chunk] = (),
    n_threads: int = 1,
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Return `finish_band` of every band, as ``values[method][band]``."""
    with single_threaded_blas():
        done = parallel_map(
            lambda name: finish_band(sums, list(bands[name]), methods, pending), bands, n_threads
        )
    by_band = dict(zip(bands, done))
    return {name: {band: by_band[band][name] for band in bands} for name in methods}
