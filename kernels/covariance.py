"""Covariance between channels in one pass: moments about a centre, which merge.

A masked sample of a channel counts as absent for every pair that the channel is in, means
included: what pandas calls pairwise complete. Products of deviations from a centre near the mean
are formed in float32 over at most 16,384 samples and added up in float64, so a large constant in
the data costs no digits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.gram import TILE, channel_means, check_gram_input
from brainforge.kernels.namespace import namespace

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Moments:
    """Sums over a stretch of samples, of deviations from ``centre``; see `moments`.

    Parameters
    ----------
    sums : float64 array, axes (channel, channel)
        Sum of (x_i - c_i) (x_j - c_j) over the samples at which both can be believed.
    totals : float64 array, axes (channel, channel)
        Sum of x_i - c_i over the same samples.
    counts : float64 array, axes (channel, channel)
        How many they are.
    centre : float64 array, axes (channel,)
    """

    sums: Any
    totals: Any
    counts: Any
    centre: Any

    def merge(self, other: Moments) -> Moments:
        """Return the moments of both stretches, about this one's centre.

        Raises
        ------
        KernelInputError
            Where the numbers of channels differ.
        """
        if self.sums.shape != other.sums.shape:
            raise KernelInputError(
                where="other", expected=f"shape {self.sums.shape}", got=f"{other.sums.shape}"
            )
        xp = namespace(self.sums)
        shift = other.centre - self.centre
        across = other.totals * shift[None, :]
        totals = other.totals + other.counts * shift[:, None]
        sums = other.sums + across + xp.permute_dims(across, (1, 0))
        sums = sums + other.counts * (shift[:, None] * shift[None, :])
        return Moments(
            self.sums + sums, self.totals + totals, self.counts + other.counts, self.centre
        )

    def covariance(self, ddof: int = 1) -> Any:
        """Return the covariance of each pair; NaN where there are too few samples.

        Parameters
        ----------
        ddof : int
            Taken off the number of samples: 1 for the unbiased estimate.

        Returns
        -------
        float64 array, axes (channel, channel)
        """
        xp = namespace(self.sums)
        nothing = xp.full_like(self.counts, xp.nan)
        enough = self.counts > ddof
        counts = xp.where(enough, self.counts, nothing)
        product = self.totals * xp.permute_dims(self.totals, (1, 0))
        return (self.sums - product / counts) / (counts - ddof)


@kernel(
    device="brainforge.kernels.device.covariance:moments",
    takes={"data": "float32 (channel, sample)"},
)
def moments(
    data: npt.NDArray[np.float32],
    good: npt.NDArray[np.bool_] | None = None,
    *,
    tile: int = TILE,
) -> Moments:
    """Return the moments of a block about its own means.

    Parameters
    ----------
    data : float32 array, axes (channel, sample)
        Values at masked samples may be anything, NaN included.
    good : bool array, axes (channel, sample) | None
        Which samples to believe; None for all.
    tile : int
        Samples whose products are formed in float32 before they are added in float64.

    Returns
    -------
    Moments

    Raises
    ------
    KernelInputError
        Where ``data`` is not float32 and 2-D, or ``good`` has another shape.

    References
    ----------
    Chan, Golub & LeVeque (1983), Algorithms for computing the sample variance. American
    Statistician 37:242-247.
    """
    check_gram_input(data, good, tile)
    n, n_samples = data.shape
    centre = channel_means(data, good)
    sums, totals, counts = (np.zeros((n, n)) for _ in range(3))
    for at in range(0, n_samples, tile):
        part = data[:, at : at + tile] - centre
        if good is None:
            totals += part.sum(axis=1, dtype=np.float64)[:, None]
            counts += part.shape[1]
        else:
            believed = good[:, at : at + tile]
            part[~believed] = 0
            ones = believed.astype(np.float32)
            totals += part @ ones.T
            counts += ones @ ones.T
        sums += part @ part.T
    return Moments(sums, totals, counts, centre[:, 0].astype(np.float64))
