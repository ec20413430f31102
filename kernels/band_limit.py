"""Zero-phase band limiting of a few traces, each continuous run by itself.

For detection and classification, where the trace is short or one of few; the signal path itself
has its own filter. The response is flat between ``low`` and ``high`` with raised-cosine edges
outside of them. Runs are mirrored at their ends, never joined: a sample left out between two
runs makes no edge.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.namespace import dtype_name

Array = npt.NDArray[Any]
Runs = npt.NDArray[np.int64]


def as_runs(runs: Runs | None, n_samples: int) -> Runs:
    """Return continuous runs as an array of (start, stop); all samples are one where None.

    Raises
    ------
    KernelInputError
        Where they overlap, are out of order or leave the array.
    """
    if runs is None:
        return np.array([[0, n_samples]] if n_samples else np.zeros((0, 2)), dtype=np.int64)
    out = np.asarray(runs, dtype=np.int64).reshape(-1, 2)
    flat = out.ravel()
    if flat.size and (flat[0] < 0 or flat[-1] > n_samples or (np.diff(flat) < 0).any()):
        raise KernelInputError(
            where="runs", expected=f"disjoint runs in order within {n_samples}", got=f"{runs}"
        )
    return out


def band_response(
    freqs: Array, low: float, high: float, low_edge: float, high_edge: float
) -> Array:
    """Return the response at ``freqs``: 1 in [low, high], raised cosines outside."""
    rise = np.clip((freqs - (low - low_edge)) / low_edge, 0, 1) if low > 0 else 1.0
    fall = np.clip(((high + high_edge) - freqs) / high_edge, 0, 1)
    return np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2


@kernel(
    device="brainforge.kernels.device.band_limit:band_limit",
    tolerance=5e-6,
    takes={"x": "float32|float64 (..., sample)"},
)
def band_limit(
    x: Array, sfreq: float, low: float, high: float, *, runs: Runs | None = None
) -> Array:
    """Return ``x`` limited to a band, zero-phase.

    Parameters
    ----------
    x : float array, axes (..., sample)
    sfreq : float
        In Hz.
    low, high : float
        Edges of the flat part in Hz; ``low`` 0 keeps everything below. ``high`` above Nyquist
        keeps everything above ``low``. Edges are as wide as half of ``low`` and a quarter of
        ``high``.
    runs : int array, axes (run, start/stop) | None
        Continuous stretches; samples outside of them come back as 0.

    Returns
    -------
    array, axes (..., sample)
        Of the input's type.

    Raises
    ------
    KernelInputError
        Integers instead of floats, a band that is empty or wholly above Nyquist.
    """
    check_band(x, sfreq, low, high)
    out = np.zeros(x.shape, dtype=x.dtype)
    for start, stop in as_runs(runs, x.shape[-1]):
        if stop > start:
            out[..., start:stop] = _filtered(x[..., start:stop], sfreq, low, high)
    return out


@kernel(
    device="brainforge.kernels.device.band_limit:analytic_band",
    tolerance=5e-6,
    takes={"x": "float32|float64 (..., sample)"},
)
def analytic_band(x: Array, sfreq: float, low: float, high: float) -> Array:
    """Return the analytic signal of ``x`` limited to a band, one continuous run.

    Parameters
    ----------
    x : float array, axes (..., sample)
    sfreq : float
        In Hz.
    low, high : float
        As of `band_limit`, ``low`` above 0.

    Returns
    -------
    complex array, axes (..., sample)
        Its real part is what `band_limit` gives; of the input's precision.

    Raises
    ------
    KernelInputError
        As `band_limit`, or for a band that begins at 0.
    """
    from scipy.fft import ifft

    check_band(x, sfreq, low, high)
    if not low > 0:
        raise KernelInputError(where="low", expected="above 0 Hz", got=f"{low:g} Hz")
    n = x.shape[-1]
    if not n:
        return np.zeros(x.shape, dtype=np.result_type(x.dtype, np.complex64))
    spectrum, pad, length = _spectrum(x - x.mean(axis=-1, keepdims=True), sfreq, low, high)
    # negative frequencies are nothing, positive ones count twice
    spectrum[..., 1 : (length + 1) // 2] *= 2
    return ifft(spectrum, length)[..., pad : pad + n]


def check_band(x: Array, sfreq: float, low: float, high: float) -> None:
    """Raise KernelInputError where a band or the type of the samples is impossible."""
    if dtype_name(x) not in ("float32", "float64"):
        raise KernelInputError(where="x", expected="float32 or float64", got=str(x.dtype))
    if not 0 <= low < high or low >= sfreq / 2:
        raise KernelInputError(
            where="band",
            expected=f"0 <= low < high and low under {sfreq / 2:g} Hz",
            got=f"{low:g} to {high:g} Hz",
        )


def padding(n: int, sfreq: float, low: float, high: float) -> int:
    """Return how many samples to mirror at either end of ``n``.

    Two periods of the lowest frequency or six of the highest, or what the run allows.
    """
    return min(int(sfreq * (2 / low if low else 6 / high)) + 1, n - 1)


def _spectrum(x: Array, sfreq: float, low: float, high: float) -> tuple[Array, int, int]:
    """Return the limited spectrum of the mirrored samples, their padding and its length."""
    from scipy.fft import next_fast_len, rfft

    n = x.shape[-1]
    pad = padding(n, sfreq, low, high)
    length = next_fast_len(n + 2 * pad, real=True)
    spectrum = rfft(np.concatenate([x[..., pad:0:-1], x, x[..., -2 : -2 - pad : -1]], -1), length)
    response = band_response(
        np.fft.rfftfreq(length, 1 / sfreq), low, high, max(low / 2, 1e-9), high / 4
    )
    spectrum *= response.astype(x.dtype)
    return spectrum, pad, length


def _filtered(x: Array, sfreq: float, low: float, high: float) -> Array:
    from scipy.fft import irfft

    mean = x.mean(axis=-1, keepdims=True)
    spectrum, pad, length = _spectrum(x - mean, sfreq, low, high)
    out = irfft(spectrum, length)[..., pad : pad + x.shape[-1]]
    return out if low else out + mean
