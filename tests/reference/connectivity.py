"""Plain float64 connectivity: one pair, one bin, one epoch at a time in spirit."""

from __future__ import annotations

import numpy as np


def spectra(epochs, tapers, bins):
    """Return tapered spectra, axes (epoch, taper, channel, bin)."""
    x = np.asarray(epochs, dtype=np.float64)
    x = x - x.mean(axis=-1, keepdims=True)
    flat = np.ptp(np.asarray(epochs), axis=-1, keepdims=True) == 0
    x = np.where(flat, 0.0, x)
    tapered = x[:, None] * tapers[None, :, None, :]
    return np.fft.rfft(tapered, axis=-1)[..., bins]


def cross_spectra(epochs, tapers, bins):
    """Return the cross-spectrum of every epoch, axes (epoch, channel i, channel j, bin)."""
    return from_spectra(spectra(epochs, tapers, bins))


def from_spectra(z):
    """Return cross-spectra summed over tapers from spectra (epoch, taper, channel, bin)."""
    return np.einsum("ekif,ekjf->eijf", z, z.conj())


def sums(c):
    """Return the sums over epochs that measures are made of, each axes (i, j, bin)."""
    unit = _ratio(c, np.abs(c)).sum(0)
    return {
        "re": c.real.sum(0),
        "im": c.imag.sum(0),
        "abs_im": np.abs(c.imag).sum(0),
        "positive": np.heaviside(c.imag, 0.5).sum(0),
        "im2": np.square(c.imag).sum(0),
        "unit_re": unit.real,
        "unit_im": unit.imag,
    }


def _ratio(a, b):
    return np.divide(
        a,
        b,
        out=np.zeros(np.broadcast(a, b).shape, dtype=np.result_type(a, b)),
        where=np.abs(b) > 0,
    )


def per_bin(c, method):
    """Return a measure from cross-spectra (epoch, i, j, bin), axes (i, j, bin)."""
    n = len(c)
    s = c.imag
    power = np.einsum("eiif->if", c).real
    scale = np.sqrt(power[:, None] * power[None])
    unit = _ratio(c, np.abs(c)).sum(0)
    sign = np.sign(s).sum(0) / n
    if method == "coh":
        return _ratio(np.abs(c.sum(0)), scale)
    if method == "cohy":
        return _ratio(c.sum(0), scale)
    if method == "imcoh":
        return _ratio(s.sum(0), scale)
    if method == "plv":
        return np.abs(unit) / n
    if method == "ciplv":
        return _ratio(np.abs(unit.imag) / n, np.sqrt(np.maximum(1 - (unit.real / n) ** 2, 0)))
    if method == "ppc":
        return (np.abs(unit) ** 2 - n) / (n * (n - 1))
    if method == "pli":
        return np.abs(sign)
    if method == "pli2_unbiased":
        return (n * sign**2 - 1) / (n - 1)
    if method == "dpli":
        return np.heaviside(s, 0.5).sum(0) / n
    if method == "wpli":
        return _ratio(np.abs(s.sum(0)), np.abs(s).sum(0))
    q = (s**2).sum(0)
    return _ratio(s.sum(0) ** 2 - q, np.abs(s).sum(0) ** 2 - q)


def band_mean(epochs, tapers, bins, method):
    """Return a measure averaged over bins, axes (i, j), zero diagonal."""
    value = per_bin(cross_spectra(epochs, tapers, bins), method).mean(-1)
    np.fill_diagonal(value, 0)
    return value
