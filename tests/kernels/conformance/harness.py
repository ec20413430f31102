"""The form of a conformance case, and how results are compared wherever they were made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.kernels.namespace import TRAFFIC, is_device, to_host
from tests.emulator import mirror, strict

Array = npt.NDArray[Any]
SEED = 11


@dataclass(frozen=True)
class Case:
    """How to try a kernel.

    Parameters
    ----------
    kernel : str
        Its name in the catalogue.
    function : callable
        The public function.
    reference : callable
        The plain float64 version, of the same arguments (host arrays).
    inputs : callable
        ``inputs(rng, size) -> (args, kwargs)`` draws host arguments; sizes grow from 0.
    sizes : tuple of int
        0 and 1 belong among them unless the kernel refuses them: then `refused` says why.
    data : tuple of int
        Positions of the arguments that live on the device; the rest stay on the host.
    tolerance : float
        Relative to the largest value of each output, absolute where ``absolute``.
    transfers : int
        Copies to the host that the device twin may make (small results).
    layouts : bool
        Whether arguments may be of any memory layout.
    refused : str
        Why sizes 0 and 1 are not among the sizes.
    """

    kernel: str
    function: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: Callable[[np.random.Generator, int], tuple[tuple[Any, ...], dict[str, Any]]]
    sizes: tuple[int, ...] = (0, 1, 2, 7, 33)
    data: tuple[int, ...] = (0,)
    tolerance: float = 1e-6
    absolute: bool = False
    transfers: int = 0
    layouts: bool = True
    refused: str = ""
    places: tuple[str, ...] = field(default=("cpu", "fake", "mirror"))

    def draw(self, size: int) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments of a size, always the same."""
        return self.inputs(np.random.default_rng([SEED, size]), size)


def cases() -> dict[str, Case]:
    """Return all cases of the files beside, by name of the kernel and number."""
    found = {}
    for file in sorted(Path(__file__).with_name("cases").glob("*.py")):
        module = import_module(f"tests.kernels.conformance.cases.{file.stem}")
        for number, case in enumerate(module.CASES):
            found[f"{case.kernel}-{number}"] = case
    return found


def placed(case: Case, args: tuple[Any, ...], place: str) -> tuple[Any, ...]:
    """Return the arguments with the data moved to a place: cpu, fake, mirror or cuda."""
    if place == "cpu":
        return args
    move = {"fake": strict.put, "mirror": mirror.put, "cuda": _to_cuda}[place]
    return tuple(
        move(a) if at in case.data and isinstance(a, np.ndarray) else a for at, a in enumerate(args)
    )


def _to_cuda(array: Array) -> Any:
    import cupy

    return cupy.asarray(array)


def outputs(value: Any) -> dict[str, Array]:
    """Return the arrays of a result on the host, by name."""
    if isinstance(value, Mapping):
        items = {str(k): v for k, v in value.items()}
    elif is_dataclass(value) and not isinstance(value, type):
        items = {f.name: getattr(value, f.name) for f in fields(value)}
    elif isinstance(value, tuple):
        items = {str(k): v for k, v in enumerate(value)}
    else:
        return {"": to_host(value)}
    return {
        f"{name}.{inner}" if inner else name: array
        for name, item in items.items()
        for inner, array in outputs(item).items()
    }


def assert_close(case: Case, got: Any, wanted: Any, what: str) -> None:
    """Compare all outputs; shapes must be equal, NaN in the same places."""
    ours, theirs = outputs(got), outputs(wanted)
    assert ours.keys() == theirs.keys(), what
    for key, value in ours.items():
        want = theirs[key]
        assert value.shape == want.shape, f"{what}: {key or 'result'}"
        finite = np.abs(want[np.isfinite(want)]) if want.dtype.kind in "fc" else np.abs(want)
        size = 1.0 if case.absolute else float(finite.max(initial=0.0)) or 1.0
        np.testing.assert_allclose(
            value, want, rtol=0, atol=case.tolerance * size, err_msg=f"{what}: {key or 'result'}"
        )


def run(case: Case, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Run the kernel; on a device, count what comes home."""
    before = TRAFFIC.to_host
    result = case.function(*args, **kwargs)
    if any(is_device(a) for a in args):
        home = TRAFFIC.to_host - before
        assert home <= case.transfers, f"{home} transfers home, {case.transfers} allowed"
    return result
