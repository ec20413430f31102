"""From sums to matrices: the table of measures, and the mean over a band's bins."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity import coh, pli, plv, wpli
from brainforge.kernels.connectivity.layout import to_square
from brainforge.kernels.connectivity.sums import BinSums, Chunk, PairSums
from brainforge.kernels.parallel import parallel_map, single_threaded_blas

#: bins finished at a time, so that threads share wide and narrow bands evenly
_BINS = 8


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


def _total(
    sums: PairSums, bins: Sequence[int], methods: Sequence[str], pending: Sequence[Chunk]
) -> dict[str, npt.NDArray[Any]]:
    """Return the sum over some bins of each measure, axes (pair,)."""
    totals: dict[str, npt.NDArray[Any]] = {}
    for f in bins:
        bin_sums = sums.bin(f, pending)
        for name in methods:
            value = METHODS[name].finish(bin_sums)
            if name in totals:
                totals[name] += value
            else:
                totals[name] = np.array(value)
    return totals


def finish_bands(
    sums: PairSums,
    bands: dict[str, npt.NDArray[np.intp]],
    methods: Sequence[str],
    pending: Sequence[Chunk] = (),
    n_threads: int = 1,
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Return the mean over each band's bins of each measure.

    Parameters
    ----------
    sums : PairSums
    bands : dict of str to int array
        Positions of the band's bins within the sums, at least one.
    methods : sequence of str
    pending : sequence of (chunk, n_epochs)
        Packed epochs that are not in the sums yet; they are counted, and left as they are.
    n_threads : int

    Returns
    -------
    dict of str to dict of str to array
        ``values[method][band]``, axes (channel, channel), float32 (complex64 for cohy), zero
        diagonal.
    """
    work = [
        (band, [int(f) for f in bins[at : at + _BINS]])
        for band, bins in bands.items()
        for at in range(0, len(bins), _BINS)
    ]
    with single_threaded_blas():
        done = parallel_map(lambda w: _total(sums, w[1], methods, pending), work, n_threads)
    values: dict[str, dict[str, npt.NDArray[Any]]] = {name: {} for name in methods}
    for name in methods:
        for band, bins in bands.items():
            parts = [totals[name] for (of, _), totals in zip(work, done) if of == band]
            mean = np.sum(parts, axis=0) / len(bins)
            square = to_square(mean, sums.n_channels, METHODS[name].symmetry)
            kind = np.complex64 if np.iscomplexobj(square) else np.float32
            values[name][band] = square.astype(kind)
    return values
