"""A stand-in for CuPy arrays: NumPy's promotion, scalars and views, CuPy's refusals and calls.

CuPy follows NumPy where strict arrays follow the standard: a NumPy scalar widens an array, a
view keeps its strides, results keep the order of their inputs. As in CuPy, a host array is not
an operand. Where CuPy is installed every call is also held to CuPy's own signature: that needs
no GPU.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any

import numpy as np

from brainforge.kernels.device import launch
from tests.emulator import cuda

DEVICE = "mirror0"
_SCALARS = (bool, int, float, complex, np.generic)
_ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
_BITS = ("and", "or", "xor")
_COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_UNARY = ("neg", "pos", "abs", "invert")
_LEAKS = ("bool", "float", "int", "index", "complex", "array")


class Array:
    """Looks like a CuPy array, lives in NumPy's memory."""

    __slots__ = ("_array",)
    #: NumPy's operators leave the work to those of this class
    __array_ufunc__ = None

    def __init__(self, array: Any) -> None:
        self._array = np.asarray(array)

    def __array_namespace__(self, **_: Any) -> Any:
        return SPACE

    def __getattr__(self, name: str) -> Any:
        if name not in ("shape", "strides", "dtype", "ndim", "size", "nbytes", "flags", "T", "mT"):
            raise AttributeError(f"{name}: not used of device arrays")
        return _wrapped(getattr(self._array, name))

    @property
    def device(self) -> str:
        return DEVICE

    def to_device(self, device: str) -> Any:
        assert device == "host"
        return self._array

    def __len__(self) -> int:
        return len(self._array)

    def __getitem__(self, key: Any) -> Array:
        return Array(self._array[_bare(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        self._array[_bare(key)] = _bare(value)


def _binary(function: Callable[..., Any], reflected: bool) -> Callable[[Array, Any], Any]:
    def run(self: Array, other: Any) -> Any:
        if not isinstance(other, (Array, *_SCALARS)):
            return NotImplemented
        pair = (self._array, other._array if isinstance(other, Array) else other)
        return Array(function(*(pair[::-1] if reflected else pair)))

    return run


def _unary(function: Callable[..., Any]) -> Callable[[Array], Array]:
    return lambda self: Array(function(self._array))


def _in_place(function: Callable[..., Any]) -> Callable[[Array, Any], Array]:
    def run(self: Array, other: Any) -> Array:
        function(self._array, _bare(other))
        return self

    return run


def _leak(name: str) -> Callable[..., Any]:
    def refuse(self: Array, *_: Any, **__: Any) -> Any:
        raise AssertionError(f"{name}() of a device array: a hidden transfer")

    return refuse


for _name in (*_ARITHMETIC, *_BITS, *_COMPARISONS):
    _plain = getattr(operator, f"{_name}_" if _name in ("and", "or") else _name)
    setattr(Array, f"__{_name}__", _binary(_plain, False))
    if _name not in _COMPARISONS:
        setattr(Array, f"__r{_name}__", _binary(_plain, True))
        setattr(Array, f"__i{_name}__", _in_place(getattr(operator, f"i{_name}")))
for _name in _UNARY:
    setattr(Array, f"__{_name}__", _unary(getattr(operator, _name)))
for _name in _LEAKS:
    setattr(Array, f"__{_name}__", _leak(_name))


def _bare(value: Any) -> Any:
    if isinstance(value, Array):
        return value._array
    if isinstance(value, np.ndarray):
        raise TypeError("Unsupported type <class 'numpy.ndarray'>")
    return type(value)(map(_bare, value)) if isinstance(value, list | tuple) else value


def _wrapped(value: Any) -> Any:
    return Array(value) if isinstance(value, np.ndarray | np.generic) else value


@lru_cache(maxsize=256)
def _signature(path: str) -> inspect.Signature | None:
    """Return how CuPy declares a function; None where it is not here or does not say."""
    try:
        found = import_module("array_api_compat.cupy")
    except ImportError:
        return None
    for name in path.split("."):
        found = getattr(found, name)
    try:
        return inspect.signature(found)
    except (ValueError, TypeError):
        return None


class _Space:
    """The functions of a NumPy module for arrays of this one."""

    def __init__(self, numpy: Any, prefix: str = "") -> None:
        self.__name__ = "tests.emulator.mirror"
        self._numpy, self._prefix = numpy, prefix

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._numpy, name)
        if isinstance(found, type | float):
            return found
        path = f"{self._prefix}{name}"

        def run(*args: Any, **kwargs: Any) -> Any:
            signature = _signature(path)
            if signature is not None:
                signature.bind(*args, **kwargs)
            assert kwargs.pop("device", DEVICE) == DEVICE
            value = found(*map(_bare, args), **{k: _bare(v) for k, v in kwargs.items()})
            if name.startswith("empty"):
                # nobody may rely on what is there
                value.fill(np.nan if value.dtype.kind in "fc" else 85)
            return _wrapped(value)

        return run


class _Root(_Space):
    fft = _Space(np.fft, "fft.")
    linalg = _Space(np.linalg, "linalg.")

    def asarray(
        self, value: Any, /, *, dtype: Any = None, device: Any = DEVICE, copy: Any = None
    ) -> Array:
        assert device == DEVICE
        # as in CuPy: the order of the memory is kept
        bare = value._array if isinstance(value, Array) else value
        return Array(np.array(bare, dtype=dtype, copy=copy))

    def __array_namespace_info__(self) -> Any:
        return self

    def default_device(self) -> str:
        return "host"


SPACE = _Root(np)


def put(array: Any) -> Array:
    """Return a copy of a host array as one of these."""
    return Array(np.array(array, order="C"))


@contextmanager
def mirror_device() -> Iterator[None]:
    """Run CUDA sources by the emulator on these arrays, inside the context."""
    launch.LAUNCHERS[SPACE.__name__] = cuda.run
    try:
        yield
    finally:
        del launch.LAUNCHERS[SPACE.__name__]
