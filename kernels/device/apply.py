"""Device twins of `brainforge.kernels.apply`."""

from __future__ import annotations

from typing import Any

from brainforge.errors import KernelInputError
from brainforge.kernels.apply import LowRank, check_apply_input
from brainforge.kernels.namespace import namespace, to_device


def apply_matrix(matrix: Any, data: Any, out: Any = None, *, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.apply.apply_matrix`; ``matrix`` may be a host array."""
    _check(matrix, data, out)
    xp = namespace(data)
    return xp.matmul(xp.astype(to_device(matrix, like=data), xp.float32), data)


def apply_low_rank(update: LowRank, data: Any, out: Any = None, *, n_threads: int = 1) -> Any:
    """Twin of `brainforge.kernels.apply.apply_low_rank`; ``update`` is on the host."""
    _check(update.right, data, out)
    xp = namespace(data)
    left, right = (to_device(part, like=data) for part in (update.left, update.right))
    return data + xp.matmul(left, xp.matmul(right, data))


def _check(matrix: Any, data: Any, out: Any) -> None:
    check_apply_input(matrix, data)
    if out is not None:
        raise KernelInputError(
            where="out", expected="None on a device", got="a buffer", fix="take what is returned"
        )
