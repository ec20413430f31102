"""From sums to matrices: the table of measures, and the mean over a band's bins."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.finish_rows import MEASURES, add_measures, fill_square
from brainforge.kernels.connectivity.layout import SUMS, n_pairs
from brainforge.kernels.connectivity.sums import BinAdder, PairSums
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.scratch import scratch

#: bins finished at a time, so that threads share wide and narrow bands evenly
_BINS: Final = 8
#: pairs finished at a time: seven pending sums of them stay in the second-level cache
_PAIRS: Final = 16_000

Chunk = tuple[npt.NDArray[np.float32], int]


@dataclass(frozen=True)
class Method:
    """A spectral measure: the sums it needs, and what (j, i) is."""

    needs: tuple[str, ...]
    symmetry: str = "symmetric"
    text: str = ""

    def rows(self, name: str) -> tuple[str, ...]:
        """Return which of `MEASURES` it consists of, under the name it has in the table."""
        return ("cohy_re", "imcoh") if self.symmetry == "hermitian" else (name,)


_CROSS, _UNIT = ("re", "im"), ("unit_re", "unit_im")
#: Nolte 2004 (coherency), Lachaux 1999 (plv), Bruña 2018 (ciplv), Vinck 2010 (ppc), Stam 2007
#: (pli), Vinck 2011 (wpli, the unbiased squares), Stam 2012 (dpli)
METHODS: Final[dict[str, Method]] = {
    "coh": Method(_CROSS, text="coherence"),
    "cohy": Method(_CROSS, "hermitian", "complex coherency"),
    "imcoh": Method(_CROSS, "antisymmetric", "imaginary part of coherency, signed"),
    "plv": Method(_UNIT, text="phase-locking value"),
    "ciplv": Method(_UNIT, text="corrected imaginary phase-locking value"),
    "ppc": Method(_UNIT, text="pairwise phase consistency, unbiased"),
    "pli": Method(("positive",), text="phase-lag index"),
    "pli2_unbiased": Method(("positive",), text="squared phase-lag index, unbiased"),
    "dpli": Method(("positive",), "complement", "directed phase-lag index, 0.5 where none leads"),
    "wpli": Method(("im", "abs_im"), text="weighted phase-lag index"),
    "wpli2_debiased": Method(("im", "abs_im", "im2"), text="squared wPLI, debiased"),
}
#: measures whose value rests on pairs of epochs
OF_EPOCH_PAIRS: Final = ("ppc", "pli2_unbiased", "wpli2_debiased")


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


def finish_bands(
    sums: PairSums,
    bands: Mapping[str, npt.NDArray[np.intp]],
    methods: Sequence[str],
    pending: Chunk | None = None,
    n_threads: int = 1,
) -> dict[str, dict[str, npt.NDArray[Any]]]:
    """Return the mean over each band's bins of each measure.

    Parameters
    ----------
    sums : PairSums
    bands : mapping of str to int array
        Positions of the band's bins within the sums, at least one.
    methods : sequence of str
    pending : (chunk, n_epochs) | None
        Packed epochs that are not in the sums yet; they are counted, and left as they are.
    n_threads : int

    Returns
    -------
    dict of str to dict of str to array
        ``values[method][band]``, axes (channel, channel), float32 (complex64 for cohy), zero
        diagonal.

    Raises
    ------
    KernelInputError
        Where the sums lack what a method needs, or the pending chunk does not fit them.
    """
    if missing := needed_sums(methods) - set(sums.names):
        raise KernelInputError(
            where="methods",
            expected=f"measures made of {', '.join(sums.names)}",
            got=f"one that needs {', '.join(sorted(missing))}",
            fix="name all methods when the sums are made",
        )
    if pending is not None:
        sums.check(*pending)
    rows = tuple(dict.fromkeys(row for name in methods for row in METHODS[name].rows(name)))
    adder = _BandAdder(sums, pending, rows)
    step = _BINS if n_threads > 1 else max(map(len, bands.values()), default=1)
    work = [
        (band, [int(f) for f in bins[at : at + step]])
        for band, bins in bands.items()
        for at in range(0, len(bins), step)
    ]
    done = parallel_map(lambda w: adder.total(w[1]), work, n_threads)
    values: dict[str, dict[str, npt.NDArray[Any]]] = {name: {} for name in methods}
    for band, bins in bands.items():
        parts = [total for (of, _), total in zip(work, done) if of == band]
        for part in parts[1:]:
            parts[0] += part
        mean = dict(zip(rows, parts[0]))
        for name in methods:
            values[name][band] = _square(name, mean, 1.0 / len(bins), sums.n_channels)
    return values


class _BandAdder:
    """Adds measures over bins, some rows of pairs at a time, which the cache holds."""

    def __init__(self, sums: PairSums, pending: Chunk | None, rows: Sequence[str]) -> None:
        self._sums, self._pending = sums, pending
        self._adder = BinAdder(sums.n_channels, sums.n_tapers, sums.names)
        names = list(sums.names)
        self._where = np.array([names.index(s) if s in names else -1 for s in SUMS])
        self._measures = np.array([MEASURES.index(row) for row in rows], dtype=np.int64)
        self._n_epochs = sums.n_epochs + (pending[1] if pending else 0)
        self._shape = (len(names), n_pairs(sums.n_channels))
        self._rows = list(_row_blocks(sums.n_channels))

    def total(self, bins: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the sum of each measure over some bins, axes (measure, pair)."""
        out = np.zeros((len(self._measures), self._shape[1]), dtype=np.float32)
        for f in bins:
            self._add_bin(f, out)
        return out

    def _add_bin(self, f: int, out: npt.NDArray[np.float32]) -> None:
        n, sums = self._sums.n_channels, self._sums
        summed = sums.values is not None
        values = sums.values[f] if sums.values is not None else np.zeros((self._shape[0], 0))
        power = np.zeros(n) if sums.power is None else sums.power[f].copy()
        if self._pending is not None:
            chunk, count = self._pending
            prepared = self._adder.prepare(chunk[f], count, power)
        extra = np.zeros((self._shape[0], 0))
        root = np.sqrt(power)
        inverse = np.divide(1.0, root, out=np.zeros(n), where=root > 0)
        for first, last, before, after in self._rows:
            if self._pending is not None:
                extra = scratch("pending sums", (self._shape[0], after - before), np.float64)
                self._adder.add(prepared, count, extra, (first, last))
            elif not summed:
                extra = np.zeros((self._shape[0], after - before))
            add_measures(
                values, extra, self._where, inverse, first, last, self._n_epochs, before, summed,
                self._measures, out,
            )  # fmt: skip


def _row_blocks(n: int) -> Iterator[tuple[int, int, int, int]]:
    """Return rows (first, last) and their pairs (before, after), about equally many a block."""
    first, before = 0, 0
    while first < n:
        last = first + 1
        while last < n and last * n - last * (last + 1) // 2 - before < _PAIRS:
            last += 1
        after = last * n - last * (last + 1) // 2
        yield first, last, before, after
        first, before = last, after


def _square(
    name: str, mean: Mapping[str, npt.NDArray[np.float32]], factor: float, n_channels: int
) -> npt.NDArray[Any]:
    """Return a measure's matrix from its packed rows times ``factor``."""

    def filled(row: str, mirror: int) -> npt.NDArray[np.float32]:
        out = np.zeros((n_channels, n_channels), dtype=np.float32)
        fill_square(mean[row], factor, mirror, out)
        return out

    symmetry = METHODS[name].symmetry
    if symmetry == "hermitian":
        whole = np.empty((n_channels, n_channels), dtype=np.complex64)
        real, imag = METHODS[name].rows(name)
        whole.real, whole.imag = filled(real, 1), filled(imag, -1)
        return whole
    return filled(name, {"symmetric": 1, "antisymmetric": -1, "complement": 0}[symmetry])
