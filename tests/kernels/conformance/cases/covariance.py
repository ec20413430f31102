"""Covariance from moments of two blocks, with masks and a large constant."""

from __future__ import annotations

import numpy as np

from brainforge.kernels.covariance import moments
from tests.kernels.conformance.harness import Case
from tests.reference import covariance as reference


def _inputs(rng, size):
    data = rng.standard_normal((size, 9 * size + 4)) + 300 * np.arange(size)[:, None]
    good = rng.random(data.shape) > 0.1
    good[::2] = True
    data[~good] = np.nan
    return (data.astype("float32"), good), {}


def _covariance(data, good):
    cut = data.shape[1] // 3
    left = moments(data[:, :cut], good[:, :cut], tile=50)
    return left.merge(moments(data[:, cut:], good[:, cut:])).covariance()


CASES = [Case("covariance.moments", _covariance, reference.covariance, _inputs)]
