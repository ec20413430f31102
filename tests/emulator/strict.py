"""A stand-in for a GPU: strict array-API arrays on a device that nothing leaves by accident."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import array_api_strict as xp
import numpy as np

from brainforge.kernels.device import launch
from tests.emulator import cuda

DEVICE = xp.Device("device1")
_LEAKS = ("__bool__", "__float__", "__int__", "__index__", "__complex__")


def put(array: Any) -> Any:
    """Return a host array as a strict one on the fake device."""
    return xp.asarray(np.asarray(array, order="C"), device=DEVICE, copy=True)


@contextmanager
def fake_device() -> Iterator[None]:
    """Run CUDA sources by the emulator, and forbid hidden transfers, inside the context."""

    def guarded(name: str, plain: Any) -> Any:
        def refuse(self: Any) -> Any:
            if self.device == DEVICE:
                raise AssertionError(f"{name[2:-2]}() of a device array: a hidden transfer")
            return plain(self)

        return refuse

    plain = {name: getattr(xp.asarray(0).__class__, name) for name in _LEAKS}
    array = xp.asarray(0).__class__
    launch.LAUNCHERS["array_api_strict"] = cuda.run
    try:
        for name, method in plain.items():
            setattr(array, name, guarded(name, method))
        yield
    finally:
        for name, method in plain.items():
            setattr(array, name, method)
        del launch.LAUNCHERS["array_api_strict"]
