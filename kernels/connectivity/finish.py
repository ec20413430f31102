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
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import is_device, namespace, to_host
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.scratch import scratch

#: bins finished at a time: threads share wide bands, and their number changes no bit
_BINS: Final = 16
#: pairs finished at a time: seven pending sums of them stay in the second-level cache
_PAIRS: Final = 16_000

#: packed spectra, and how many of their epochs count
Chunk = tuple[Any, int]


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
    like = sums.power if pending is None else pending[0]
    power = sums.power if sums.power is not None else zero_power(sums, like)
    means = band_means(
        power, sums.values, sums.n_epochs, sums.names, tuple(bands.values()), rows, pending,
        n_threads=n_threads,
    )  # fmt: skip
    home = to_host(means)
    return {
        name: {
            band: _square(name, dict(zip(rows, home[b])), sums.n_channels)
            for b, band in enumerate(bands)
        }
        for name in methods
    }


def zero_power(sums: PairSums, like: Any) -> Any:
    """Return the power of channels of which nothing is known, where ``like`` is."""
    xp, device = namespace(like), {"device": like.device} if is_device(like) else {}
    return xp.zeros((sums.n_bins, sums.n_channels), dtype=xp.float64, **device)


@kernel(
    device="brainforge.kernels.device.finish:band_means",
    raw=True,
    tolerance=1e-5,
    takes={"power": "float64 (bin, channel)"},
)
def band_means(
    power: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64] | None,
    n_epochs: int,
    names: tuple[str, ...],
    bands: Sequence[npt.NDArray[np.intp]],
    rows: tuple[str, ...],
    pending: Chunk | None = None,
    *,
    n_threads: int = 1,
) -> npt.NDArray[np.float32]:
    """Return the mean over each band's bins of each measure, axes (band, measure, pair).

    Parameters
    ----------
    power : float64 array, axes (bin, channel)
    values : float64 array, axes (bin, sum, pair) | None
        None where no epoch has been summed.
    n_epochs : int
        Epochs in the sums.
    names : tuple of str
        Of the sums.
    bands : sequence of int array
        Bins of each band, on the host.
    rows : tuple of str
        Of `MEASURES`.
    pending : (chunk, n_epochs) | None
        Packed epochs that are not in the sums yet, and are left out of them.
    n_threads : int
    """
    adder = _BandAdder(power, values, n_epochs, names, rows, pending)
    work = [
        (b, [int(f) for f in bins[at : at + _BINS]])
        for b, bins in enumerate(bands)
        for at in range(0, len(bins), _BINS)
    ]
    done = parallel_map(lambda w: adder.total(w[1]), work, n_threads)
    means = np.zeros((len(bands), len(rows), n_pairs(power.shape[1])), dtype=np.float32)
    for (b, _), total in zip(work, done):
        means[b] += total
    for b, bins in enumerate(bands):
        means[b] *= np.float32(1.0 / len(bins))
    return means


class _BandAdder:
    """Adds measures over bins, some rows of pairs at a time, which the cache holds."""

    def __init__(
        self, power: Any, values: Any, n_epochs: int, names: Any, rows: Any, pending: Any
    ) -> None:
        self._n = power.shape[1]
        self._power, self._values, self._pending = power, values, pending
        self._adder = None
        if pending is not None:
            self._adder = BinAdder(self._n, pending[0].shape[3] // 2, names)
        where = {name: k for k, name in enumerate(names)}
        self._where = np.array([where.get(s, -1) for s in SUMS], dtype=np.int64)
        self._measures = np.array([MEASURES.index(row) for row in rows], dtype=np.int64)
        self._n_epochs = n_epochs + (pending[1] if pending else 0)
        self._n_sums = len(names)
        self._rows = list(_row_blocks(self._n))

    def total(self, bins: Sequence[int]) -> npt.NDArray[np.float32]:
        """Return the sum of each measure over some bins, axes (measure, pair)."""
        out = np.zeros((len(self._measures), n_pairs(self._n)), dtype=np.float32)
        for f in bins:
            self._add_bin(f, out)
        return out

    def _add_bin(self, f: int, out: npt.NDArray[np.float32]) -> None:
        summed, nothing = self._values is not None, np.zeros((self._n_sums, 0))
        values, power = self._values[f] if summed else nothing, self._power[f]
        if self._adder is not None:
            power = power.copy()
            prepared = self._adder.prepare(self._pending[0][f], self._pending[1], power)
        root = np.sqrt(power)
        inverse = np.divide(1.0, root, out=np.zeros(self._n), where=root > 0)
        for first, last, before, after in self._rows:
            extra = nothing
            if self._adder is not None:
                extra = scratch("pending sums", (self._n_sums, after - before), np.float64)
                self._adder.add(prepared, self._pending[1], extra, (first, last))
            elif not summed:
                extra = np.zeros((self._n_sums, after - before))
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
    name: str, mean: Mapping[str, npt.NDArray[np.float32]], n_channels: int
) -> npt.NDArray[Any]:
    """Return a measure's matrix from its packed rows."""

    def filled(row: str, mirror: int) -> npt.NDArray[np.float32]:
        out = np.zeros((n_channels, n_channels), dtype=np.float32)
        fill_square(mean[row], mirror, out)
        return out

    symmetry = METHODS[name].symmetry
    if symmetry == "hermitian":
        whole = np.empty((n_channels, n_channels), dtype=np.complex64)
        real, imag = METHODS[name].rows(name)
        whole.real, whole.imag = filled(real, 1), filled(imag, -1)
        return whole
    return filled(name, {"symmetric": 1, "antisymmetric": -1, "complement": 0}[symmetry])
