"""One contract, two bodies: the array that a kernel is given chooses where it runs.

A kernel is a public function with a CPU body; ``@kernel`` names its device twin, which is
imported when the first device array comes. What is declared is also the capability table that
tests, documentation and `brainforge diagnose` read.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, wraps
from importlib import import_module
from inspect import signature
from typing import Any, ParamSpec, TypeVar

import numpy as np

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import dtype_name, is_device

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Kernel:
    """A row of the capability table.

    Parameters
    ----------
    name : str
        Module and function below ``brainforge.kernels``.
    device : str | None
        Device twin as ``module:function``; None where there is none on purpose.
    raw : bool
        Whether the twin launches CUDA source of its own.
    tolerance : float
        Largest difference of any twin to the float64 reference, relative to the size of the
        result.
    supports : str
        What the twin cannot do, in words; empty where it does all that the CPU body does.
    why_not : str
        Why there is no twin.
    takes : tuple of (str, str)
        Argument and what array it has to be, as ``"float32|float64 (channel, sample)"``; checked
        before either body runs.
    """

    name: str
    device: str | None
    raw: bool
    tolerance: float
    supports: str
    why_not: str
    takes: tuple[tuple[str, str], ...] = ()

    @cached_property
    def twin(self) -> Callable[..., Any]:
        """The device body.

        Raises
        ------
        KernelInputError
            Where there is none.
        """
        if self.device is None:
            raise KernelInputError(
                where=self.name,
                expected="NumPy arrays",
                got="a device array",
                fix=f"bring it home with to_host first: {self.why_not}",
            )
        module, _, function = self.device.partition(":")
        body: Callable[..., Any] = getattr(import_module(module), function)
        return body


#: all kernels declared so far, by name; `catalogue` sees to it that these are all there are
_DECLARED: dict[str, Kernel] = {}


class _Check:
    """Looks at one array argument of a call."""

    def __init__(self, argument: str, at: int, optional: bool, wanted: str) -> None:
        dtypes, _, axes = wanted.partition(" ")
        self._argument, self._at, self._optional, self._wanted = argument, at, optional, wanted
        self._dtypes, self._any_more = dtypes.split("|"), "..." in axes
        self._ndim = axes.count(",") + 1 - self._any_more

    def __call__(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        array: Any = args[self._at] if self._at < len(args) else kwargs.get(self._argument)
        if array is None and self._optional:
            return
        if not (isinstance(array, np.ndarray) or is_device(array)):
            got = type(array).__name__
        elif dtype_name(array) not in self._dtypes or not self._fits(array.ndim):
            got = f"{dtype_name(array)} of shape {tuple(array.shape)}"
        else:
            return
        axes = self._wanted.partition(" ")[2]
        raise KernelInputError(
            where=self._argument, expected=f"{' or '.join(self._dtypes)}, axes {axes}", got=got
        )

    def _fits(self, ndim: int) -> bool:
        return ndim >= self._ndim if self._any_more else ndim == self._ndim


def _place(body: Callable[..., Any], argument: str) -> tuple[int, bool]:
    """Return where an argument stands, and whether it may be left out."""
    parameters = signature(body).parameters
    return list(parameters).index(argument), parameters[argument].default is None


def kernel(
    *,
    device: str | None,
    tolerance: float = 1e-6,
    raw: bool = False,
    supports: str = "",
    why_not: str = "",
    takes: Mapping[str, str] | None = None,
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Declare a public function as a kernel; the decorated function runs the right twin.

    A device array among the positional arguments runs the twin, which has the same signature;
    parameters beside it may be host arrays. Without one the function itself runs. Arrays that
    ``takes`` names are checked first, for both: KernelInputError names the argument.
    """
    if (device is None) != bool(why_not):
        raise ValueError("a kernel has a device twin or a reason why not")

    def decorate(body: Callable[P, R]) -> Callable[P, R]:
        name = f"{body.__module__}.{body.__qualname__}".removeprefix("brainforge.kernels.")
        row = Kernel(name, device, raw, tolerance, supports, why_not, tuple((takes or {}).items()))
        checks = [_Check(argument, *_place(body, argument), of) for argument, of in row.takes]
        _DECLARED[name] = row

        @wraps(body)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            for check in checks:
                check(args, kwargs)
            if any(map(is_device, args)):
                result: R = row.twin(*args, **kwargs)
                return result
            return body(*args, **kwargs)

        return run

    return decorate


def catalogue() -> tuple[Kernel, ...]:
    """Return every kernel of the package, in order of name; imports all kernel modules."""
    package = import_module("brainforge.kernels")
    for module in pkgutil.walk_packages(package.__path__, "brainforge.kernels."):
        if not module.name.startswith("brainforge.kernels.device"):
            import_module(module.name)
    return tuple(_DECLARED[name] for name in sorted(_DECLARED))
