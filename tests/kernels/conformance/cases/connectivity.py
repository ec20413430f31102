"""Spectral connectivity: packing, pair sums and finishing, with one taper and with several."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.connectivity.finish import band_means
from brainforge.kernels.connectivity.finish_rows import MEASURES
from brainforge.kernels.connectivity.fourier import emphasised, new_chunk, pack
from brainforge.kernels.connectivity.layout import LANES, SUMS, n_blocks, n_pairs
from brainforge.kernels.connectivity.multitaper import dpss_tapers
from brainforge.kernels.connectivity.sums import add_epochs
from brainforge.kernels.namespace import contiguous, is_device, namespace
from tests.kernels.conformance.harness import Case
from tests.reference import connectivity as reference


def _packed(epochs, tapers, bins, scale):
    chunk = new_chunk(len(bins), epochs.shape[1], len(tapers), epochs.shape[0] + 2, like=epochs)
    some = [epochs[e, :, :] for e in range(epochs.shape[0])]
    pack(chunk, 1, some, tapers, bins, scale=scale)
    return chunk


def _epochs(n_tapers):
    def draw(rng, size):
        n_times = 20 + 2 * size + size % 2
        epochs = rng.standard_normal((size % 7, size, n_times)).astype(np.float32)
        epochs[: size % 3, size // 2 :] = 0.1
        bins = np.unique(rng.integers(0, n_times // 2 + 1, 4))
        scale = rng.uniform(0.5, 2, size)
        return (epochs, dpss_tapers(n_times, 2.0, n_tapers), bins, scale), {}

    return draw


def _reference_packed(epochs, tapers, bins, scale):
    n, n_channels, n_times = epochs.shape
    z = reference.spectra(epochs, tapers, bins) * emphasised(bins, n_times)
    z = z * scale[:, None]
    out = np.zeros((len(bins), n + 2, 2 * len(tapers), n_blocks(n_channels) * LANES))
    out[:, 1 : n + 1, 0::2, :n_channels] = z.real.transpose(3, 0, 1, 2)
    out[:, 1 : n + 1, 1::2, :n_channels] = z.imag.transpose(3, 0, 1, 2)
    out = out.reshape(*out.shape[:3], -1, LANES)
    return out.transpose(0, 3, 1, 2, 4)


def _spectra(n_tapers, names):
    def draw(rng, size):
        n_bins, room = 3, size % 11 + 2
        chunk = rng.standard_normal((n_bins, n_blocks(size), room, 2 * n_tapers, LANES))
        chunk = chunk.astype(np.float32)
        if size:
            chunk[:, -1, ..., (size - 1) % LANES + 1 :] = 0
            # a channel that is flat in one epoch, another that is flat in all
            chunk[:, 0, 0, :, 0] = 0
            chunk[:, -1, :, :, (size - 1) % LANES] = 0
        return (chunk, room - 1, size, names), {}

    return draw


def _zeros(like, shape):
    xp = namespace(like)
    return xp.zeros(shape, dtype=xp.float64, **({"device": like.device} if is_device(like) else {}))


def _summed(chunk, n_epochs, n_channels, names):
    """Return twice the sums, for they are added to."""
    values = _zeros(chunk, (chunk.shape[0], len(names), n_pairs(n_channels)))
    power = _zeros(chunk, (chunk.shape[0], n_channels))
    chunk = contiguous(chunk)
    for _ in range(2):
        add_epochs(chunk, n_epochs, values, power, names)
    return values, power


def _reference_sums(chunk, n_epochs, n_channels, names):
    some = chunk.astype(np.float64)[:, :, :n_epochs].transpose(2, 3, 1, 4, 0)
    some = some.reshape(*some.shape[:2], -1, len(chunk))[:, :, :n_channels]
    c = reference.from_spectra(some[:, 0::2] + 1j * some[:, 1::2])
    sums = reference.sums(c)
    upper = np.triu_indices(n_channels, 1)
    values = np.array([2 * sums[name][upper] for name in names])
    values = values.reshape(len(names), len(upper[0]), len(chunk)).transpose(2, 0, 1)
    return values, 2 * np.einsum("eiif->fi", c).real


def _waiting(rng, size):
    draw = _spectra(2, SUMS)
    (chunk, n, _, _), _ = draw(rng, size)
    (gathered, room, _, _), _ = draw(rng, size)
    bands = (np.array([1]), np.array([0, 2, 1]))
    return (chunk, n, gathered, room if size % 2 else 0, size, bands), {}


def _means(chunk, n, gathered, room, n_channels, bands):
    values, power = _summed(chunk, n, n_channels, SUMS)
    waiting = (contiguous(gathered), room)
    return band_means(power, values, 2 * n, SUMS, bands, MEASURES, waiting if room else None)


def _reference_means(chunk, n, gathered, room, n_channels, bands):
    parts = [(chunk, n), (chunk, n), (gathered, room)]
    some = np.concatenate([c[:, :, :count] for c, count in parts], axis=2).astype(np.float64)
    some = some.transpose(2, 3, 1, 4, 0)
    some = some.reshape(*some.shape[:2], -1, len(chunk))[:, :, :n_channels]
    c = reference.from_spectra(some[:, 0::2] + 1j * some[:, 1::2])
    upper = np.triu_indices(n_channels, 1)
    per_bin = {m: reference.per_bin(c, m.removesuffix("_re"))[upper] for m in MEASURES}
    per_bin["cohy_re"] = per_bin["cohy_re"].real
    return np.array([[per_bin[m][:, bins].mean(-1) for m in MEASURES] for bins in bands])


SIZES = (0, 1, 2, 7, 33, 70)
CASES = [
    *(
        Case(
            "connectivity.fourier.pack", _packed, _reference_packed, _epochs(n_tapers),
            tolerance=2e-6, transfers=1,
        )
        for n_tapers in (1, 3)
    ),
    *(
        Case(
            "connectivity.sums.add_epochs", _summed, _reference_sums, _spectra(n_tapers, names),
            sizes=SIZES, tolerance=2e-6,
        )
        for n_tapers, names in ((1, SUMS), (7, SUMS), (1, ("positive",)), (2, ("im", "re")))
    ),
    Case(
        "connectivity.finish.band_means", _means, _reference_means, _waiting, sizes=SIZES,
        data=(0, 2), tolerance=1e-5, absolute=True,
    ),
]  # fmt: skip
