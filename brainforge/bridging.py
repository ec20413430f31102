"""Put something harmless in the place of samples that must not be believed.

A filter has to be fed at every sample. What is put in never counts as data: the samples stay
masked in whatever comes out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.block import Cause, Mask, RawBlock
from brainforge.kernels.namespace import dtype_name, namespace, to_host
from brainforge.masks import true_runs


def non_finite_masks(block: RawBlock, rows: npt.NDArray[np.intp]) -> tuple[Mask, ...]:
    """Return a mask for every run of NaN or infinity in some rows of a block."""
    if not dtype_name(block.data).startswith("float"):
        return ()
    xp = namespace(block.data)
    with np.errstate(all="ignore"):  # a sum is finite only if all its terms are
        suspects = np.flatnonzero(~np.isfinite(to_host(xp.sum(block.data, axis=1))))
    found = []
    for row in np.intersect1d(suspects, rows).tolist():
        name = (block.info.names[row],)
        for a, b in true_runs(~np.isfinite(to_host(block.data[row, :]))):
            found.append(Mask(name, block.start + a, block.start + b, Cause.NON_FINITE))
    return tuple(found)


def trailing_run(bad: npt.NDArray[np.bool_], longest: int) -> int:
    """Return the longest run of bad samples at the end of any row that is not over ``longest``.

    Such a run may end soon after the block: only then can it be told how to bridge it.
    """
    tail = bad[:, max(bad.shape[1] - longest - 1, 0) :]
    if not tail.size:
        return 0
    good = ~tail[:, ::-1]
    lengths = np.where(good.any(axis=1), good.argmax(axis=1), tail.shape[1])
    return int(lengths[lengths <= longest].max(initial=0))


def bridge(
    data: npt.NDArray[Any],
    bad: npt.NDArray[np.bool_],
    left: npt.NDArray[Any] | None,
    longest: int,
) -> None:
    """Replace bad samples in place.

    Parameters
    ----------
    data : array, axes (channel, sample)
        Changed in place; integers get rounded values.
    bad : bool array, axes (channel, sample)
    left : array, axes (channel,) | None
        The samples before the first ones; None at the start of a segment.
    longest : int
        Runs up to this many samples become a straight line between their neighbours. Longer
        ones hold the value before them and run to the value after them on a line over their
        last ``longest`` samples. Without a neighbour on one side the other's value is held;
        without any the samples become zero.
    """
    for row in np.flatnonzero(bad.any(axis=1)):
        x = data[row]
        for a, b in true_runs(bad[row]):
            before = x[a - 1] if a else None if left is None else left[row]
            after = x[b] if b < len(x) else None
            if before is None or after is None:
                value = before if after is None else after
                x[a:b] = 0 if value is None else value
                continue
            ramp = min(b - a, longest)
            x[a : b - ramp] = before
            line = np.linspace(float(before), float(after), ramp + 2)[1:-1]
            x[b - ramp : b] = np.rint(line) if np.issubdtype(x.dtype, np.integer) else line


def reflect(edge: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    """Continue rows beyond their end by odd reflection about the last sample.

    Parameters
    ----------
    edge : float array, axes (channel, sample)
        The last samples, at least one.
    n : int
        Samples to make. Where the reflection runs out of samples its last value is held.

    Returns
    -------
    extension : array, axes (channel, n)
        ``2 * x[last] - x[last - i]`` for i = 1 to n.
    """
    m = min(n, edge.shape[1] - 1)
    xp = namespace(edge)
    mirrored = 2 * edge[:, -1:] - edge[:, edge.shape[1] - 1 - m : edge.shape[1] - 1][:, ::-1]
    last = mirrored[:, -1:] if m else edge[:, -1:]
    held = xp.broadcast_to(last, (edge.shape[0], n - m))
    return xp.concat([mirrored, held], axis=1)
