"""Device twin of `brainforge.kernels.csd`."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.kernels.csd import picked_freqs
from brainforge.kernels.device.psd import segments_at, spectra
from brainforge.kernels.device.scratch import batch
from brainforge.kernels.namespace import namespace, to_device
from brainforge.kernels.psd import WelchPlan, check_signal, good_segments


def csd_sums(
    x: Any,
    plan: WelchPlan,
    good: Any = None,
    *,
    fmin: float = 0.0,
    fmax: float = np.inf,
    n_threads: int = 1,
) -> tuple[Any, int]:
    """Twin of `brainforge.kernels.csd.csd_sums`; ``good`` is a host array."""
    xp = namespace(x)
    check_signal(x, good)
    n_channels, n_seg = x.shape[0], plan.n_segments(x.shape[1])
    picked = picked_freqs(plan, fmin, fmax)
    shape = (len(picked), n_channels, n_channels)
    real, imag = (xp.zeros(shape, dtype=xp.float64, device=x.device) for _ in range(2))
    keep = np.arange(n_seg)
    if good is not None and n_seg:
        keep = np.flatnonzero(good_segments(good, plan).all(axis=0))
    if not len(keep) or not n_channels:
        return _joined(real, imag), 0
    size = batch(8 * n_channels * plan.n_per_seg)
    for at in range(0, len(keep), size):
        found = spectra(segments_at(x, keep[at : at + size] * plan.step, plan), plan)
        found = xp.permute_dims(found[..., picked[0] : picked[-1] + 1], (2, 0, 1))
        re, im = xp.real(found), xp.imag(found)
        re_t, im_t = (xp.permute_dims(part, (0, 2, 1)) for part in (re, im))
        real = real + xp.astype(xp.matmul(re, re_t) + xp.matmul(im, im_t), xp.float64)
        cross = xp.matmul(im, re_t)
        imag = imag + xp.astype(cross - xp.permute_dims(cross, (0, 2, 1)), xp.float64)
    factor = to_device(plan.one_sided()[picked, None, None], like=x)
    return _joined(real * factor, imag * factor), len(keep)


def _joined(real: Any, imag: Any) -> Any:
    xp = namespace(real)
    return xp.astype(real, xp.complex128) + xp.astype(imag, xp.complex128) * 1j
