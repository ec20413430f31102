"""Device twin of `brainforge.kernels.whitening`."""

from __future__ import annotations

from typing import Any

from brainforge.kernels.device.apply import apply_matrix
from brainforge.kernels.namespace import to_device
from brainforge.kernels.whitening import Whitening, component_mean


def whiten(white: Whitening, data: Any, mean: Any = None, *, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.whitening.whiten`; ``white`` and ``mean`` are on the host."""
    out = apply_matrix(white.whitener, data)
    return out if mean is None else out - to_device(component_mean(white, mean), like=out)
