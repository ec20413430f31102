"""DPSS tapers (Slepian 1978; Thomson 1982): seven at a time-bandwidth product of four."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError


def dpss_tapers(
    n_times: int, half_bandwidth: float = 4.0, n_tapers: int = 7
) -> npt.NDArray[np.float64]:
    """Return DPSS tapers, each times the root of its concentration, axes (taper, time).

    The weighting is that of a multitaper cross-spectrum, so that nothing is left to weight
    once the tapered spectra are multiplied and summed over tapers.

    Parameters
    ----------
    n_times : int
        Samples per epoch.
    half_bandwidth : float
        Time times half-bandwidth; the spectral half-width is ``half_bandwidth / duration``.
    n_tapers : int
        At most ``2 * half_bandwidth``.
    """
    from scipy.signal.windows import dpss

    if not (n_times > 2 * half_bandwidth and 1 <= n_tapers <= 2 * half_bandwidth):
        raise KernelInputError(
            where="tapers",
            expected=f"1 to {int(2 * half_bandwidth)} tapers over more than "
            f"{int(2 * half_bandwidth)} samples",
            got=f"{n_tapers} over {n_times}",
        )
    tapers, ratios = dpss(n_times, half_bandwidth, n_tapers, sym=False, return_ratios=True)
    return tapers * np.sqrt(ratios)[:, None] / np.sqrt(n_times)
