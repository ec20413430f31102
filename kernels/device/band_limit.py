"""Device twins of `brainforge.kernels.band_limit`."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.fft import next_fast_len

from brainforge.errors import KernelInputError
from brainforge.kernels.band_limit import as_runs, band_response, check_band, padding
from brainforge.kernels.namespace import namespace, to_device


def band_limit(x: Any, sfreq: float, low: float, high: float, *, runs: Any = None) -> Any:
    """Twin of `brainforge.kernels.band_limit.band_limit`; ``runs`` is a host array."""
    check_band(x, sfreq, low, high)
    xp, at, parts = namespace(x), 0, []
    for start, stop in as_runs(runs, x.shape[-1]).tolist():
        if stop > start:
            parts += [
                xp.zeros_like(x[..., at:start]),
                _filtered(x[..., start:stop], sfreq, low, high),
            ]
            at = stop
    return xp.concat([*parts, xp.zeros_like(x[..., at:])], axis=-1)


def analytic_band(x: Any, sfreq: float, low: float, high: float) -> Any:
    """Twin of `brainforge.kernels.band_limit.analytic_band`."""
    check_band(x, sfreq, low, high)
    if not low > 0:
        raise KernelInputError(where="low", expected="above 0 Hz", got=f"{low:g} Hz")
    xp, n = namespace(x), x.shape[-1]
    kind = xp.complex64 if x.dtype == xp.float32 else xp.complex128
    if 0 in x.shape:
        return xp.zeros(x.shape, dtype=kind, device=x.device)
    pad, length = _sizes(n, sfreq, low, high)
    # negative frequencies are nothing, positive ones count twice
    gain = np.ones(length // 2 + 1)
    gain[1 : (length + 1) // 2] = 2
    centred = x - xp.mean(x, axis=-1, keepdims=True)
    spectrum = _spectrum(centred, sfreq, low, high, pad, length, gain)
    nothing = xp.zeros((*x.shape[:-1], length - len(gain)), dtype=kind, device=x.device)
    whole = xp.fft.ifft(xp.concat([spectrum, nothing], axis=-1), axis=-1)
    return whole[..., pad : pad + n]


def _sizes(n: int, sfreq: float, low: float, high: float) -> tuple[int, int]:
    pad = padding(n, sfreq, low, high)
    return pad, int(next_fast_len(n + 2 * pad, real=True))


def _spectrum(
    x: Any, sfreq: float, low: float, high: float, pad: int, length: int, gain: Any
) -> Any:
    """Return the limited spectrum of the mirrored samples, each frequency times its gain."""
    xp, n = namespace(x), x.shape[-1]
    before, after = x[..., 1 : pad + 1], x[..., n - 1 - pad : n - 1]
    joined = xp.concat([xp.flip(before, axis=-1), x, xp.flip(after, axis=-1)], axis=-1)
    freqs = np.fft.rfftfreq(length, 1 / sfreq)
    response = gain * band_response(freqs, low, high, max(low / 2, 1e-9), high / 4)
    single = np.float32 if x.dtype == xp.float32 else np.float64
    return xp.fft.rfft(joined, n=length, axis=-1) * to_device(response.astype(single), like=x)


def _filtered(x: Any, sfreq: float, low: float, high: float) -> Any:
    xp, n = namespace(x), x.shape[-1]
    if 0 in x.shape:
        return x
    pad, length = _sizes(n, sfreq, low, high)
    mean = xp.mean(x, axis=-1, keepdims=True)
    spectrum = _spectrum(x - mean, sfreq, low, high, pad, length, np.ones(length // 2 + 1))
    out = xp.fft.irfft(spectrum, n=length, axis=-1)[..., pad : pad + n]
    return out if low else out + mean
