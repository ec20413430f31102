"""The choice of a backend, once per session, and the device that a session's samples go to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.errors import DeviceError, InputError
from brainforge.kernels.device.memory import CudaMemory, describe, device_error

BACKENDS = ("auto", "cpu", "cuda")
#: below this many bytes a device is not tried again
SMALLEST_BUDGET = 256 << 20
#: a device's kernels must be this near to the CPU's in the check before a session
_CHECK_TOLERANCE = 1e-4


class Device(Protocol):
    """Where the samples of a session live while they are processed."""

    #: bytes that the session may use
    budget: int

    def put(self, array: npt.NDArray[Any]) -> Any:
        """Copy an array to the device."""

    def release(self) -> None:
        """Give back what the session has held."""


def choose(name: str = "auto", *, n_threads: int = 0, memory: int = 0) -> Backend:
    """Return the backend to use, with the reason.

    Parameters
    ----------
    name : {"auto", "cpu", "cuda"}
        ``auto`` takes CUDA where a device is there and its kernels give the CPU's numbers.
    n_threads, memory : int
        As for `Backend`.

    Raises
    ------
    InputError
        An unknown name, or ``cuda`` where there is none that works.
    """
    if name not in BACKENDS:
        raise InputError(where="backend", expected=f"one of {', '.join(BACKENDS)}", got=repr(name))
    if name == "cpu":
        return Backend("cpu", n_threads, memory, "asked for")
    trouble = cuda_trouble()
    if not trouble:
        why = "asked for" if name == "cuda" else "a CUDA device is there and passed the check"
        return Backend("cuda", n_threads, memory, why)
    if name == "cuda":
        raise InputError(
            where="backend",
            expected="a CUDA device that works",
            got=trouble,
            fix="see `brainforge diagnose`, or use backend cpu",
        )
    return Backend("cpu", n_threads, memory, trouble)


def cuda_trouble() -> str:
    """Return why CUDA cannot be used; empty where it can."""
    facts = describe()
    if not facts["available"]:
        return str(facts["why"])
    try:
        device = CudaMemory()
        try:
            wrong = check(device)
        finally:
            device.release()
    except OSError as error:
        return f"CuPy cannot keep compiled kernels ({error}); CUPY_CACHE_DIR names where"
    except Exception as error:
        known = device_error(error)
        if known is None:
            raise
        return str(known)
    return f"its {wrong} differs from the CPU's" if wrong else ""


def check(device: Device) -> str:
    """Run a raw CUDA kernel, an FFT and a product on a device; return what is wrong, or nothing."""
    from brainforge.kernels.decimate import decimate, polyphase
    from brainforge.kernels.namespace import to_host
    from brainforge.kernels.overlap_save import FirPlan, overlap_save

    rng = np.random.default_rng(0)
    counts = rng.integers(-3000, 3000, (3, 4000)).astype(np.int16)
    taps = np.hanning(41) / 20.0
    phases = polyphase(taps, 4)
    here = decimate(counts, phases, 900)
    there = decimate(device.put(counts), phases, 900)
    if not _near(to_host(there), here):
        return "decimation"
    plan = FirPlan(taps, 300)
    if not _near(to_host(overlap_save(there, plan)), overlap_save(here, plan)):
        return "filter"
    product = there @ there.T
    return "" if _near(to_host(product), here @ here.T) else "matrix product"


def _near(there: npt.NDArray[Any], here: npt.NDArray[Any]) -> bool:
    return bool(np.allclose(there, here, rtol=0, atol=_CHECK_TOLERANCE * np.abs(here).max()))


class Host:
    """The device of backend cpu: nothing is copied."""

    budget = 0

    def put(self, array: npt.NDArray[Any]) -> Any:
        """Return the array itself."""
        return array

    def release(self) -> None:
        """Hold nothing, give nothing back."""


def open_device(backend: Backend) -> Device:
    """Return the device of a backend."""
    return CudaMemory(backend.memory) if backend.name == "cuda" else Host()


def after(error: DeviceError, backend: Backend) -> Backend:
    """Return what to try after a device has failed: half the memory, or the CPU."""
    budget = backend.memory or _budget()
    if error.memory and budget >= 2 * SMALLEST_BUDGET:
        return replace(backend, memory=budget // 2, why=f"{error}; with half the memory")
    return replace(backend, name="cpu", memory=0, why=str(error))


def _budget() -> int:
    facts = describe()
    free: list[int] = [device["free_mib"] << 20 for device in facts["devices"][:1]]
    return free[0] if free else 0


@contextmanager
def device_errors() -> Iterator[None]:
    """Turn errors of the device's libraries into `DeviceError`, whatever layer they came from."""
    try:
        yield
    except DeviceError:
        raise
    except Exception as error:
        known = device_error(error)
        if known is None:
            raise
        raise known from error
