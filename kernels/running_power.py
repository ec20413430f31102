"""Sums of periodograms over many calls, in the order in which they come out fastest.

Where the length of a segment is a product of 2, 3 and 5 the transforms run with a channel to
each lane of a vector and their squares stay where the passes leave them; other lengths take
SciPy's transforms. On a device the sums stay there.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.fft

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import is_device, to_host
from brainforge.kernels.parallel import parallel_map, slices
from brainforge.kernels.psd import WelchPlan, check_inside, segment_power
from brainforge.kernels.rows import together
from brainforge.kernels.scratch import scratch
from brainforge.kernels.segments import add_squares, pack_pairs

F32 = npt.NDArray[np.float32]
F64 = npt.NDArray[np.float64]
Keep = npt.NDArray[np.bool_]
_TILE_BYTES = 3 << 18  # of windowed segments at a time: what the second cache holds


class RunningPower:
    """Sums of the two-sided periodograms of some rows.

    Parameters
    ----------
    plan : WelchPlan
    n_rows : int

    Notes
    -----
    Segments 2i and 2i + 1 of a call share one transform, and pairs are added in order: cut into
    calls between pairs, the same segments give the same bits.
    """

    def __init__(self, plan: WelchPlan, n_rows: int) -> None:
        self.plan, self.n_rows = plan, n_rows
        #: axes (row, n_per_seg), wherever they live
        self._plain: Any = None
        #: axes (group of rows, place * lane)
        self._lanes: F64 | None = None

    def add(
        self,
        x: Any,
        keep: Keep,
        *,
        rows: npt.NDArray[np.int64] | None = None,
        first: int = 0,
        before: Any = None,
        n_threads: int = 1,
    ) -> None:
        """Add the segments of a block; the arguments are those of `segment_power`."""
        if is_device(x):
            plain = self._plain
            if plain is not None:
                x, plain = together(x, plain)
            self._plain = segment_power(
                x, self.plan, keep, rows=rows, first=first, before=before, total=plain
            )
            return
        before = x[:, :0] if before is None else before
        rows = np.arange(x.shape[0]) if rows is None else np.ascontiguousarray(rows, np.int64)
        check_inside(x.shape, before.shape[1], self.plan, keep, first, self.n_rows)
        if not keep.any():
            return
        x, before, keep = (np.ascontiguousarray(a) for a in (x, before, keep))
        add = self._add_lanes if _smooth(self.plan.n_per_seg) else self._add_plain
        add(x, before, rows, keep, first, n_threads)

    def merge(self, other: RunningPower) -> None:
        """Add the sums of other segments of the same rows."""
        if (other.plan, other.n_rows) != (self.plan, self.n_rows):
            raise KernelInputError(
                where="other",
                expected=f"{self.n_rows} rows, {self.plan}",
                got=f"{other.n_rows} rows, {other.plan}",
            )
        if other._plain is not None:
            self._plain = _sum(self._plain, other._plain)
        if other._lanes is not None:
            self._lanes = _sum(self._lanes, other._lanes)

    def copy(self) -> RunningPower:
        """Return sums that go on by themselves."""
        out = RunningPower(self.plan, self.n_rows)
        out.merge(self)
        return out

    def sums(self) -> F64:
        """Return the sums on the host, float64, axes (row, n_per_seg), in order of frequency.

        `brainforge.kernels.psd.folded` makes them one-sided densities.
        """
        out = np.zeros((self.n_rows, self.plan.n_per_seg))
        if self._plain is not None:
            out += to_host(self._plain)
        if self._lanes is not None:
            order = _passes(self.plan.n_per_seg).order
            lanes = self._lanes.reshape(len(self._lanes), len(order), -1).transpose(0, 2, 1)
            out[:, order] += lanes.reshape(-1, len(order))[: self.n_rows]
        return out

    def set(self, sums: F64) -> None:
        """Go on from what `sums` returned: here with the same bits, as if never interrupted."""
        self._plain, self._lanes = np.array(sums), None
        if not _smooth(self.plan.n_per_seg):
            return
        from brainforge.kernels.vectors import WIDTH

        order = _passes(self.plan.n_per_seg).order
        padded = np.zeros((-(-self.n_rows // WIDTH) * WIDTH, len(order)))
        padded[: self.n_rows] = self._plain[:, order]
        lanes = padded.reshape(-1, WIDTH, len(order)).transpose(0, 2, 1)
        self._plain, self._lanes = None, lanes.reshape(len(lanes), -1)

    def _add_lanes(
        self, x: F32, before: F32, rows: Any, keep: Keep, first: int, n_threads: int
    ) -> None:
        from brainforge.kernels.lane_fft import SAMPLE
        from brainforge.kernels.lane_power import add_power
        from brainforge.kernels.vectors import WIDTH

        n, passes = self.plan.n_per_seg, _passes(self.plan.n_per_seg)
        schedule, twiddles = passes.schedule, passes.twiddles
        if self._lanes is None:
            self._lanes = np.zeros((-(-self.n_rows // WIDTH), n * WIDTH))
        total, taper = self._lanes, self.plan.taper().astype(np.float32)
        flat, flat_before = x.reshape(-1), before.reshape(-1)

        def work(part: slice) -> None:
            some = slice(part.start * WIDTH, min(part.stop * WIDTH, self.n_rows))
            add_power(
                flat, x.shape[1], flat_before, before.shape[1], rows[some], keep[some], first,
                self.plan.step, taper, scratch("lanes", (n * SAMPLE,), np.float32), schedule,
                twiddles, total[part],
            )  # fmt: skip

        parallel_map(work, slices(len(total), 2 * n_threads), n_threads)

    def _add_plain(
        self, x: F32, before: F32, rows: Any, keep: Keep, first: int, n_threads: int
    ) -> None:
        n, n_pairs = self.plan.n_per_seg, -(-keep.shape[1] // 2)
        if self._plain is None:
            self._plain = np.zeros((self.n_rows, n))
        # sums that began on a device go on there
        total = np.zeros((self.n_rows, n)) if is_device(self._plain) else self._plain
        taper = self.plan.taper().astype(np.float32)
        tile = max(_TILE_BYTES // (8 * n * n_pairs), 1)

        def work(part: slice) -> None:
            shape = (part.stop - part.start, n_pairs, 2 * n)
            pair = scratch("pair of segments", (2, n), np.float32)
            packed = scratch("packed segments", shape, np.float32)
            pack_pairs(
                x, before, rows[part], keep[part], first, self.plan.step, taper, pair, packed
            )
            spectra = scipy.fft.fft(packed.view(np.complex64), axis=-1, overwrite_x=True)
            add_squares(spectra.view(np.float32), total[part])

        parallel_map(work, slices(self.n_rows, -(-self.n_rows // tile)), n_threads)
        if total is not self._plain:
            self._plain = _sum(self._plain, total)


def _sum(mine: Any, more: Any) -> Any:
    if mine is None:
        return np.array(more) if isinstance(more, np.ndarray) else more + 0.0
    mine, more = together(mine, more)
    return mine + more


@lru_cache(maxsize=16)
def _passes(n: int) -> Any:
    from brainforge.kernels.lane_fft import Passes

    return Passes(n)


@lru_cache(maxsize=64)
def _smooth(n: int) -> bool:
    return math.prod(_passes(n).radices) == n
