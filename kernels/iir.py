"""Cascades of biquads for live use: time x channel, state in float64, any cutting the same.

Direct form II transposed. A 1 Hz high-pass at 1 kHz loses 3e-4 with float32 state, so the state
and all sums are float64 whatever the samples are. Each sample goes through the same operations
in the same order wherever a block ends, so cutting the stream changes no bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.parallel import parallel_map, slices

F64 = npt.NDArray[np.float64]
_LANES = 160  # channels at a time: four samples and two states of them stay in the nearest cache
_FLOATS = ("float32", "float64")


@lazy_jit(
    [
        f"void(Array({x}, 2, 'C', readonly=True), Array(float64, 2, 'C', readonly=True),"
        f" float64[:,:,::1], {y}[:,::1], int64, int64)"
        for x in _FLOATS
        for y in _FLOATS
    ],
    # no reassociation: the remainder below has to round as the loop over four samples does
    fastmath=frozenset({"contract"}),
)
def _cascade(x: Any, sos: Any, state: Any, out: Any, first: int, last: int) -> None:
    n = x.shape[0]
    whole = n - n % 4
    x0, x1 = np.empty(_LANES), np.empty(_LANES)
    x2, x3 = np.empty(_LANES), np.empty(_LANES)
    for begin in range(first, last, _LANES):
        end = min(begin + _LANES, last)
        width = end - begin
        for t in range(0, whole, 4):
            i0, i1 = x[t, begin:end], x[t + 1, begin:end]
            i2, i3 = x[t + 2, begin:end], x[t + 3, begin:end]
            for c in range(width):
                x0[c] = i0[c]
                x1[c] = i1[c]
                x2[c] = i2[c]
                x3[c] = i3[c]
            for s in range(sos.shape[0]):
                b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], -sos[s, 4], -sos[s, 5]
                p, q = state[s, 0, begin:end], state[s, 1, begin:end]
                for c in range(width):
                    z1, z2 = p[c], q[c]
                    u = x0[c]
                    y = b0 * u + z1
                    z1 = (z2 + b1 * u) + a1 * y
                    z2 = b2 * u + a2 * y
                    x0[c] = y
                    u = x1[c]
                    y = b0 * u + z1
                    z1 = (z2 + b1 * u) + a1 * y
                    z2 = b2 * u + a2 * y
                    x1[c] = y
                    u = x2[c]
                    y = b0 * u + z1
                    z1 = (z2 + b1 * u) + a1 * y
                    z2 = b2 * u + a2 * y
                    x2[c] = y
                    u = x3[c]
                    y = b0 * u + z1
                    p[c] = (z2 + b1 * u) + a1 * y
                    q[c] = b2 * u + a2 * y
                    x3[c] = y
            o0, o1 = out[t, begin:end], out[t + 1, begin:end]
            o2, o3 = out[t + 2, begin:end], out[t + 3, begin:end]
            for c in range(width):
                o0[c] = x0[c]
                o1[c] = x1[c]
                o2[c] = x2[c]
                o3[c] = x3[c]
        for t in range(whole, n):
            x0[:width] = x[t, begin:end]
            for s in range(sos.shape[0]):
                b0, b1, b2, a1, a2 = sos[s, 0], sos[s, 1], sos[s, 2], -sos[s, 4], -sos[s, 5]
                p, q = state[s, 0, begin:end], state[s, 1, begin:end]
                for c in range(width):
                    u = x0[c]
                    y = b0 * u + p[c]
                    p[c] = (q[c] + b1 * u) + a1 * y
                    q[c] = b2 * u + a2 * y
                    x0[c] = y
            out[t, begin:end] = x0[:width]


@kernel(
    device="brainforge.kernels.device.iir:sosfilt",
    raw=True,
    supports="out has to be None; state lives beside x",
    takes={"x": "float32|float64 (sample, channel)"},
)
def sosfilt(
    x: npt.NDArray[Any],
    sos: F64,
    state: F64,
    *,
    out: npt.NDArray[Any] | None = None,
    n_threads: int = 1,
) -> npt.NDArray[Any]:
    """Filter samples through a cascade of biquads and carry its state.

    Parameters
    ----------
    x : float32 or float64 array, axes (sample, channel)
        Finite.
    sos : float64 array, axes (section, 6)
        Rows ``b0, b1, b2, 1, a1, a2`` as in SciPy; see `design_causal`.
    state : float64 array, C order, axes (section, 2, channel)
        Changed in place; zeros or `steady_state` at the start of a stream.
    out : float32 or float64 array, C order, axes (sample, channel) | None
        Written to and returned; may be ``x``. None for a new one of the type of ``x``.
    n_threads : int
        Threads over blocks of channels.

    Returns
    -------
    array, axes (sample, channel)
        Any cutting of the stream along samples gives the same bits.

    Raises
    ------
    KernelInputError
        Where shapes or types do not fit, or samples are not finite (a device does not look).

    Notes
    -----
    Direct form II transposed (Oppenheim & Schafer 2010, Discrete-Time Signal Processing, 6.3).
    """
    sections = checked_sos(sos)
    check_state(state.shape, state.dtype.name, len(sections), x.shape[1])
    if not state.flags.c_contiguous:
        raise KernelInputError(where="state", expected="C order", got="another")
    if not np.isfinite(x).all():
        # once inside the state it would never leave
        raise KernelInputError(
            where="x", expected="finite samples", got="NaN or infinity", fix="bridge them first"
        )
    if out is None:
        out = np.empty(x.shape, x.dtype)
    if out.shape != x.shape or out.dtype.name not in _FLOATS or not out.flags.c_contiguous:
        raise KernelInputError(
            where="out",
            expected=f"C-ordered float32 or float64 of shape {x.shape}",
            got=f"{out.dtype} of shape {out.shape}",
        )
    samples, result = np.ascontiguousarray(x), out

    def work(part: slice) -> None:
        _cascade(samples, sections, state, result, part.start, part.stop)

    parallel_map(work, slices(x.shape[1], n_threads, 8), n_threads)
    return out


def steady_state(sos: F64, level: npt.ArrayLike) -> F64:
    """Return the state after a constant has gone in for ever.

    Parameters
    ----------
    sos : float64 array, axes (section, 6)
    level : array, axes (channel,)
        The constant of each channel.

    Returns
    -------
    float64 array, axes (section, 2, channel)

    Raises
    ------
    KernelInputError
        Where a section has a pole at zero frequency, or the arguments do not fit.
    """
    sections = checked_sos(sos)
    u = np.asarray(level, dtype=np.float64)
    if u.ndim != 1:
        raise KernelInputError(where="level", expected="a vector", got=f"shape {u.shape}")
    state = np.empty((len(sections), 2, len(u)))
    for section, z in zip(sections, state):
        b, a = section[:3], section[3:]
        if a.sum() == 0:
            raise KernelInputError(where="sos", expected="no pole at 0 Hz", got=f"{section}")
        y = u * (b.sum() / a.sum())
        z[1] = b[2] * u - a[2] * y
        z[0] = b[1] * u - a[1] * y + z[1]
        u = y
    return state


def design_causal(
    sfreq: float,
    l_freq: float | None,
    h_freq: float | None,
    *,
    order: int = 4,
    notch: Sequence[float] = (),
    notch_width: float = 2.0,
) -> F64:
    """Design a Butterworth band-pass and notches as one cascade of biquads.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    l_freq, h_freq : float | None
        -3 dB edges in Hz; None leaves that side open.
    order : int
        Of each edge.
    notch : sequence of float
        Notched frequencies in Hz, one biquad each.
    notch_width : float
        Width of a notch between its -3 dB points, in Hz.

    Returns
    -------
    sos : float64 array, axes (section, 6)
        ``group_delay`` says by how much it delays.

    Raises
    ------
    KernelInputError
        Edges or notches outside 0 to the Nyquist rate, or not in order.
    """
    from scipy import signal

    nyquist = sfreq / 2
    edges = [f for f in (l_freq, h_freq) if f is not None]
    if not all(0 < f < nyquist for f in [*edges, *notch]) or edges != sorted(set(edges)):
        raise KernelInputError(
            where="l_freq, h_freq, notch",
            expected=f"frequencies inside 0 to {nyquist:g} Hz, l_freq below h_freq",
            got=f"{l_freq}, {h_freq} and {tuple(notch)}",
        )
    if order < 1 or not notch_width > 0:
        raise KernelInputError(
            where="order, notch_width",
            expected="at least 1, above 0 Hz",
            got=f"{order} and {notch_width:g}",
        )
    parts = [np.zeros((0, 6))]
    if len(edges) == 2:
        parts.append(signal.butter(order, edges, "bandpass", fs=sfreq, output="sos"))
    elif edges:
        kind = "lowpass" if l_freq is None else "highpass"
        parts.append(signal.butter(order, edges[0], kind, fs=sfreq, output="sos"))
    for f in notch:
        b, a = signal.iirnotch(f, f / notch_width, fs=sfreq)
        parts.append(np.concatenate([b, a])[None])
    return np.ascontiguousarray(np.concatenate(parts))


def group_delay(sos: F64, freqs: npt.ArrayLike, sfreq: float) -> F64:
    """Return the delay of a cascade in seconds.

    Parameters
    ----------
    sos : float64 array, axes (section, 6)
    freqs : array, axes (frequency,)
        In Hz; NaN comes back where a section has a zero exactly there.
    sfreq : float

    Returns
    -------
    float64 array, axes (frequency,)
    """
    sections = checked_sos(sos)
    k = np.arange(3)
    wave = np.exp(-2j * np.pi * np.multiply.outer(np.asarray(freqs, np.float64) / sfreq, k))
    delay = np.zeros(wave.shape[:-1])
    for section in sections:
        for sign, taps in ((1, section[:3]), (-1, section[3:])):
            value = wave @ taps
            zero = np.abs(value) < 1e-12 * np.abs(taps).sum()
            delay += sign * np.where(
                zero, np.nan, (wave @ (k * taps) / np.where(zero, 1, value)).real
            )
    return delay / sfreq


def check_state(shape: tuple[int, ...], dtype: str, n_sections: int, n_channels: int) -> None:
    """Raise KernelInputError unless a state fits a cascade of ``n_sections`` sections."""
    wanted = (n_sections, 2, n_channels)
    if tuple(shape) != wanted or dtype != "float64":
        raise KernelInputError(
            where="state",
            expected=f"C-ordered float64 of shape {wanted}",
            got=f"{dtype} of shape {tuple(shape)}",
        )


def checked_sos(sos: F64) -> F64:
    """Return sections in C order; raise KernelInputError where they are not of that form."""
    sections = np.ascontiguousarray(sos, dtype=np.float64)
    if sections.ndim != 2 or sections.shape[1] != 6 or not np.isfinite(sections).all():
        raise KernelInputError(
            where="sos", expected="finite sections x 6", got=f"shape {sections.shape}"
        )
    if not (sections[:, 3] == 1).all():
        raise KernelInputError(
            where="sos", expected="sections with a0 = 1", got=f"{sections[:, 3]}"
        )
    return sections
