"""Temporal separation: models of any size, a strong time course in both parts, masks."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.field_split import FieldSplit
from brainforge.kernels.tsss import tsss_window
from brainforge.kernels.tsss_solve import least_samples
from tests.kernels.conformance.harness import Case
from tests.reference.tsss import tsss_reference


def _split(rng, n):
    """Return a model with a third of the channels' dimensions inside, a sixth outside."""
    inside, outside = n // 3, n // 6
    frame = np.linalg.qr(rng.standard_normal((n, inside + outside)))[0]
    inner = np.eye(inside, inside + outside)
    inner[:, inside:] = 0.3 * rng.standard_normal((inside, outside))
    return FieldSplit(frame, inner, frame[:, :inside].copy(), np.ones(n, bool), 1.0)


def _window(rng, size):
    split = _split(rng, size)
    x = rng.standard_normal((size, 8 * size + 40 * (size > 0)))
    x += 30 * np.outer(rng.standard_normal(size), rng.standard_normal(x.shape[1]))
    return x.astype(np.float32), split


def _plain(rng, size):
    return _window(rng, size), {}


def _masked(rng, size):
    x, split = _window(rng, size)
    good = np.ones(x.shape, bool)
    good[: size // 8, 5:20] = False
    good[size // 2 :, 30:33] = False
    x[~good] = np.nan
    return (x, split, good), {}


def _reference(x, split, good=None):
    x = x if good is None else np.where(good, x, 0)
    _, _, usable = tsss_reference(x, split, good, temporal=False)
    temporal = bool(usable.sum() >= max(least_samples(split), 1))
    data, n_removed, _ = tsss_reference(x, split, good, temporal=temporal)
    return {"data": data, "n_removed": n_removed, "temporal": temporal, "usable": usable}


CASES = [
    Case("tsss.tsss_window", tsss_window, _reference, _plain, tolerance=1e-5, transfers=1),
    Case("tsss.tsss_window", tsss_window, _reference, _masked, tolerance=1e-5, transfers=3),
]
