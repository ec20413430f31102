"""Device twin of `brainforge.kernels.connectivity.fourier`: CUDA tapers, the library's FFT."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from brainforge.kernels.connectivity.fourier import before_taper, check_pack, not_finite
from brainforge.kernels.connectivity.layout import LANES, n_blocks
from brainforge.kernels.device.launch import launch
from brainforge.kernels.device.scratch import batch
from brainforge.kernels.namespace import namespace, to_device, to_host

_THREADS: Final = 128


def pack(
    chunk: Any,
    at: int,
    epochs: Sequence[Any] | Any,
    tapers: Any,
    bins: Any,
    *,
    scale: Any = None,
    n_threads: int = 1,
) -> None:
    """Twin of `brainforge.kernels.connectivity.fourier.pack`; one number comes home a call."""
    check_pack(chunk, at, epochs, tapers, bins)
    if not len(bins) or not chunk.shape[1]:
        return
    xp, n = namespace(chunk), len(epochs)
    windows = np.ascontiguousarray(tapers, dtype=np.float64)
    bad = xp.zeros((1,), dtype=xp.int32, device=chunk.device)
    wanted = to_device(np.asarray(bins, dtype=np.int64), like=chunk)
    parameters = [to_device(a, like=chunk) for a in (windows, before_taper(windows))]
    for begin in range(0, n, step := _step(windows, chunk)):
        some = [epochs[e] for e in range(begin, min(begin + step, n))]
        n_channels, n_times = some[0].shape
        gains = np.ones(n_channels) if scale is None else np.asarray(scale, dtype=np.float64)
        tapered = xp.empty(
            (len(some), n_channels, len(windows), n_times), dtype=xp.float32, device=chunk.device
        )
        launch(
            "tapers",
            "taper_rows",
            (len(some) * n_channels,),
            (_THREADS,),
            (
                xp.stack(some), np.int32(n_channels), np.int32(n_times), *parameters,
                np.int32(len(windows)), to_device(gains, like=chunk), tapered, bad,
            ),
            like=chunk,
            constants={"THREADS": _THREADS},
        )  # fmt: skip
        spectra = xp.take(xp.fft.rfft(tapered, axis=-1), wanted, axis=-1)
        first = at + begin
        chunk[:, :, first : first + len(some), :, :] = _by_lane(spectra)
    if n and to_host(bad)[0]:
        raise not_finite()


def _step(windows: Any, chunk: Any) -> int:
    """Return how many epochs to transform at a time: their spectra are twice the tapered ones."""
    return batch(16 * windows.size * chunk.shape[1] * LANES)


def _by_lane(spectra: Any) -> Any:
    """Return spectra (epoch, channel, taper, bin) as (bin, block, epoch, row, lane)."""
    xp = namespace(spectra)
    n_epochs, n_channels, n_tapers, n_bins = spectra.shape
    # each part of the spectrum gets a row: re and im beside each other
    rows = xp.stack([xp.real(spectra), xp.imag(spectra)], axis=3)
    rows = xp.reshape(rows, (n_epochs, n_channels, 2 * n_tapers, n_bins))
    missing = n_blocks(n_channels) * LANES - n_channels
    if missing:
        shape = (n_epochs, missing, 2 * n_tapers, n_bins)
        nothing = xp.zeros(shape, dtype=rows.dtype, device=rows.device)
        rows = xp.concat([rows, nothing], axis=1)
    rows = xp.reshape(rows, (n_epochs, -1, LANES, 2 * n_tapers, n_bins))
    return xp.permute_dims(rows, (4, 1, 0, 3, 2))
