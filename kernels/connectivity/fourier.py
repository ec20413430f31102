"""Epochs to packed spectra: mean off, taper, FFT, and only the bins that the bands need.

The packed chunk has axes (frequency, block of channels, epoch, row, lane): sixteen channels lie
side by side and fill a cache line; row 2k holds the real and 2k + 1 the imaginary part under
taper k. Channels that fill up the last block are zero.

Spectra of brains fall by a factor of a hundred from 2 to 45 Hz, and the rounding of a float32
transform is relative to the largest. So the tapered epoch is differenced in float64 before it is
rounded: y[t] - 0.95 y[t - 1], around the end. That multiplies a bin by one number for all
channels and epochs, of which every measure is free.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.connectivity.layout import LANES, aligned, n_blocks
from brainforge.kernels.dispatch import kernel
from brainforge.kernels.jit import lazy_jit
from brainforge.kernels.namespace import dtype_name, is_device, namespace
from brainforge.kernels.parallel import parallel_map
from brainforge.kernels.scratch import scratch

#: how much of the sample before is taken off
EMPHASIS: Final = 0.95
#: rows transformed at a time: they stay in the second-level cache
_ROWS: Final = 64
_INFINITY: Final = 0x7F800000


@dataclass(frozen=True)
class BandBins:
    """Which FFT bins the bands need.

    ``bins`` are the indices into an rfft of ``n_times`` samples, each once and ascending;
    ``freqs`` the same in Hz; ``of_band[name]`` positions within ``bins``.
    """

    n_times: int
    bins: npt.NDArray[np.intp]
    freqs: npt.NDArray[np.float64]
    of_band: dict[str, npt.NDArray[np.intp]]


def band_bins(n_times: int, sfreq: float, bands: Mapping[str, tuple[float, float]]) -> BandBins:
    """Return the FFT bins inside the bands, both edges included as in mne-connectivity.

    Parameters
    ----------
    n_times : int
        Samples per epoch.
    sfreq : float
        In Hz.
    bands : mapping of str to (low, high)
        In Hz.

    Raises
    ------
    KernelInputError
        Where a band reaches above the Nyquist frequency, is upside down or holds no bin, or the
        rate or the length is not positive.
    """
    if not (n_times >= 1 and np.isfinite(sfreq) and sfreq > 0):
        raise KernelInputError(
            where="n_times, sfreq",
            expected="at least one sample and a positive, finite rate",
            got=f"{n_times} samples at {sfreq:g} Hz",
        )
    for name, (low, high) in bands.items():
        # an edge given in whole digits may lie a rounding above
        if not 0 <= low <= high <= 0.5 * sfreq * (1 + 1e-9):
            raise KernelInputError(
                where=f"band {name}",
                expected=f"0 <= low <= high <= {0.5 * sfreq:g} Hz (Nyquist)",
                got=f"{low:g}-{high:g} Hz",
                fix="narrow the band, or sample faster",
            )
    freqs = np.fft.rfftfreq(n_times, 1.0 / sfreq)
    inside = {name: (freqs >= low) & (freqs <= high) for name, (low, high) in bands.items()}
    for name, chosen in inside.items():
        if not chosen.any():
            raise KernelInputError(
                where=f"band {name}",
                expected=f"an FFT bin inside it (they lie {sfreq / n_times:.3g} Hz apart)",
                got=f"{bands[name][0]:g}-{bands[name][1]:g} Hz at {sfreq:g} Hz",
                fix="widen the band or take longer epochs",
            )
    used = np.flatnonzero(np.any(list(inside.values()), axis=0)) if inside else np.zeros(0, int)
    of_band = {name: np.searchsorted(used, np.flatnonzero(c)) for name, c in inside.items()}
    return BandBins(n_times, used.astype(np.intp), freqs[used], of_band)


def hann_taper(n_times: int) -> npt.NDArray[np.float64]:
    """Return the symmetric Hann window of mne-connectivity's mode "fourier", axes (1, time).

    It is divided by its sum, so that a spectrum is of the order of the signal's amplitude.
    """
    window = np.hanning(n_times)
    return (window / max(window.sum(), np.finfo(float).tiny))[None]


def new_chunk(n_bins: int, n_channels: int, n_tapers: int, n_epochs: int, like: Any = None) -> Any:
    """Return an empty packed chunk for ``n_epochs`` epochs, on the device of ``like`` if any."""
    shape = (n_bins, n_blocks(n_channels), n_epochs, 2 * n_tapers, LANES)
    if not is_device(like):
        return aligned(shape)
    xp = namespace(like)
    return xp.zeros(shape, dtype=xp.float32, device=like.device)


@lazy_jit(
    [
        "int64(Array(float32, 2, 'A', readonly=True), Array(int32, 2, 'A', readonly=True),"
        " int64, float64[:, ::1], float64[:, ::1], float64[::1], float64[::1],"
        " float32[:, :, ::1])"
    ]
)
def _taper(
    epoch: Any, bits: Any, first: Any, tapers: Any, before: Any, scale: Any, row: Any, out: Any
) -> Any:
    """Fill out (channel, taper, time) with tapered differences; return the largest exponent.

    ``before[k, t]`` is what the sample before t is multiplied by. ``bits`` are the epoch's own
    bits: comparing floats could not tell NaN with the arithmetic this is compiled for.
    """
    n_times, worst = out.shape[2], np.int32(0)
    for c in range(out.shape[0]):
        if first + c >= epoch.shape[0]:
            out[c] = 0
            continue
        x, b, start = epoch[first + c], bits[first + c], np.float64(epoch[first + c, 0])
        total, moved = 0.0, 0.0
        for t in range(n_times):
            worst = max(worst, b[t] & np.int32(0x7F800000))
            row[t] = np.float64(x[t]) - start
            total += row[t]
            moved += abs(row[t])
        mean = total / n_times
        # a flat epoch has no phase: rounding of its mean must not give it one
        gain = scale[first + c] if moved > 0.0 else 0.0
        for t in range(n_times):
            row[t] = (row[t] - mean) * gain
        for k in range(tapers.shape[0]):
            y, w, v = out[c, k], tapers[k], before[k]
            y[0] = row[0] * w[0] - row[n_times - 1] * v[0]
            for t in range(1, n_times):
                y[t] = row[t] * w[t] - row[t - 1] * v[t]
    return np.int64(worst)


def emphasised(bins: npt.NDArray[np.intp], n_times: int) -> npt.NDArray[np.complex128]:
    """Return what differencing multiplies the FFT bins of ``n_times`` samples by."""
    factor: npt.NDArray[np.complex128] = 1.0 - EMPHASIS * np.exp(-2j * np.pi * bins / n_times)
    return factor


@lazy_jit(["void(float32[:, :, :, ::1], int64[::1], int64, int64, float32[:, :, :, :, ::1])"])
def _scatter(spectra: Any, bins: Any, first: Any, at: Any, chunk: Any) -> None:
    """Copy spectra (channel, taper, frequency, re/im) to one epoch of a chunk."""
    for block in range(spectra.shape[0] // 16):
        some = spectra[16 * block : 16 * (block + 1)]
        for k in range(spectra.shape[1]):
            for f in range(bins.shape[0]):
                b = bins[f]
                real = chunk[f, first // 16 + block, at, 2 * k]
                imag = chunk[f, first // 16 + block, at, 2 * k + 1]
                for lane in range(16):
                    real[lane] = some[lane, k, b, 0]
                    imag[lane] = some[lane, k, b, 1]


@kernel(
    device="brainforge.kernels.device.fourier:pack",
    raw=True,
    tolerance=2e-6,
    takes={"chunk": "float32 (frequency, block, epoch, row, lane)"},
)
def pack(
    chunk: npt.NDArray[np.float32],
    at: int,
    epochs: Sequence[npt.NDArray[np.float32]] | npt.NDArray[np.float32],
    tapers: npt.NDArray[np.floating[Any]],
    bins: npt.NDArray[np.intp],
    *,
    scale: npt.NDArray[np.floating[Any]] | None = None,
    n_threads: int = 1,
) -> None:
    """Transform epochs and write them to a packed chunk. The bits of one do not depend on others.

    Parameters
    ----------
    chunk : float32 array, axes (frequency, block of channels, epoch, 2 * taper, lane)
        Written to; the epochs are where it is, all else on the host.
    at : int
        Which epoch of the chunk the first one becomes.
    epochs : sequence of float32 arrays, axes (channel, time)
        Any strides.
    tapers : array, axes (taper, time)
    bins : int array
        FFT bins to keep; see `band_bins`.
    scale : array, axes (channel,) | None
        Factor per channel; the same for every epoch of a recording. Fourth powers of the
        scaled amplitudes have to fit into float32 (1e-38 to 1e38).
    n_threads : int

    Raises
    ------
    KernelInputError
        Where the shapes or dtypes do not fit together, or an epoch holds NaN or infinity: then
        what was written to the chunk is not to be used.
    """
    check_pack(chunk, at, epochs, tapers, bins)
    if not len(epochs):
        return
    n_channels, n_times = epochs[0].shape
    windows = np.ascontiguousarray(tapers, dtype=np.float64)
    before = before_taper(windows)
    gains = np.ascontiguousarray(np.ones(n_channels) if scale is None else scale, np.float64)
    # Numba comes with it
    from brainforge.kernels.connectivity.lane_spectra import bin_plan, has_lanes

    by_lanes = has_lanes(n_times)
    # an epoch at a time, or a part of it where there are threads to spare
    parts = 1 if len(epochs) >= 2 * n_threads or n_threads == 1 else n_threads
    step = -(-chunk.shape[1] // parts) if by_lanes else max(_ROWS // len(windows) // LANES, 1)
    step = max(step, 1) * LANES
    body = _pack_lanes if by_lanes else _pack_rows
    wanted = bin_plan(n_times, tuple(int(b) for b in bins)) if by_lanes else bins

    def transform(piece: tuple[int, int]) -> bool:
        e, first = piece
        worst = body(epochs[e], first, step, windows, before, gains, wanted, chunk, at + e)
        return bool(worst < _INFINITY)

    pieces = [(e, first) for e in range(len(epochs)) for first in range(0, n_channels, step)]
    if not all(parallel_map(transform, pieces, n_threads)):
        raise not_finite()


def _pack_lanes(
    epoch: Any, first: int, step: int, tapers: Any, before: Any, gains: Any, plan: Any, chunk: Any,
    at: int,
) -> int:  # fmt: skip
    """Pack blocks of channels with transforms of our own; return the largest exponent."""
    from brainforge.kernels.connectivity.lane_spectra import pack_lanes
    from brainforge.kernels.vectors import WIDTH

    n_times = epoch.shape[1]
    if epoch.strides[1] != epoch.itemsize:
        epoch = np.ascontiguousarray(epoch)
    raw = scratch("samples by lane", (2 * WIDTH * n_times,), np.float32)
    z = scratch("transform by lane", (WIDTH * n_times,), np.float32)
    blocks = first // LANES, min((first + step) // LANES, chunk.shape[1])
    worst: int = pack_lanes(
        epoch, *blocks, tapers, before, gains, raw, z, plan.passes.schedule,
        plan.passes.twiddles, plan.places, plan.turns, chunk, at,
    )  # fmt: skip
    return worst


def _pack_rows(
    epoch: Any, first: int, step: int, tapers: Any, before: Any, gains: Any, bins: Any, chunk: Any,
    at: int,
) -> int:  # fmt: skip
    """Pack some channels with SciPy's transform, which takes any length."""
    from scipy.fft import rfft

    n_times = epoch.shape[1]
    rows = min(step, chunk.shape[1] * LANES - first)
    tapered = scratch("tapered epochs", (rows, len(tapers), n_times), np.float32)
    row = scratch("epoch of a channel", (n_times,), np.float64)
    worst: int = _taper(epoch, epoch.view(np.int32), first, tapers, before, gains, row, tapered)
    spectra = rfft(tapered, axis=-1, overwrite_x=True)
    wanted = np.ascontiguousarray(bins, dtype=np.int64)
    _scatter(spectra.view(np.float32).reshape(*spectra.shape, 2), wanted, first, at, chunk)
    return worst


def not_finite() -> KernelInputError:
    """Return what is raised for an epoch with NaN or infinity."""
    return KernelInputError(
        where="epochs", expected="finite samples", got="NaN or infinity", fix="mask them"
    )


def before_taper(tapers: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return what the sample before each is multiplied by, around the end."""
    return np.ascontiguousarray(EMPHASIS * np.roll(tapers, 1, axis=1))


def check_pack(chunk: Any, at: int, epochs: Any, tapers: Any, bins: Any) -> None:
    """Raise KernelInputError where the arguments of `pack` do not fit together."""
    first: Any = epochs[0] if len(epochs) else None
    for epoch in epochs:
        kind = dtype_name(epoch)
        if epoch.ndim != 2 or epoch.shape != first.shape or epoch.shape[1] < 1 or kind != "float32":
            raise KernelInputError(
                where="epochs",
                expected="float32 epochs of channels x times, all alike, at least one sample long",
                got=f"{kind} of shape {epoch.shape}",
            )
    if tapers.ndim != 2 or (first is not None and tapers.shape[1] != first.shape[1]):
        raise KernelInputError(
            where="tapers",
            expected=f"tapers x {'times' if first is None else f'{first.shape[1]} times'}",
            got=f"shape {tapers.shape}",
        )
    if len(bins) and not (np.min(bins) >= 0 and np.max(bins) <= tapers.shape[1] // 2):
        raise KernelInputError(
            where="bins",
            expected=f"FFT bins from 0 to {tapers.shape[1] // 2}",
            got=f"{np.min(bins)} to {np.max(bins)}",
        )
    blocks = chunk.shape[1] if first is None else n_blocks(first.shape[0])
    shape = (len(bins), blocks, chunk.shape[2], 2 * len(tapers), LANES)
    kind = dtype_name(chunk)
    flags = getattr(chunk, "flags", None)
    if chunk.shape != shape or kind != "float32" or not (flags is None or flags.c_contiguous):
        raise KernelInputError(
            where="chunk",
            expected=f"a C-ordered float32 array of shape {shape}",
            got=f"{kind} of shape {chunk.shape}",
        )
    if not 0 <= at <= chunk.shape[2] - len(epochs):
        raise KernelInputError(
            where="at",
            expected=f"room for {len(epochs)} epochs among {chunk.shape[2]}",
            got=str(at),
        )
