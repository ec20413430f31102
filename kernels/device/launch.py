"""Launch CUDA source: compiled once for each set of constants, run on the array's own device.

A source gives each of its macros a default (#ifndef), so that it compiles alone in the tests; it
includes nothing and uses no warp intrinsics, so that it also runs in their emulator.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.errors import KernelInputError
from brainforge.kernels.namespace import is_device, namespace

SOURCES = Path(__file__).parent / "cuda"
#: options of every compilation; division and roots stay exact, as on the CPU. CuPy adds
#: -ftz=true: float32 numbers below 1.2e-38 become 0
OPTIONS = ("--std=c++17",)

Grid = tuple[int, ...]
Constant = int | float | str
Constants = tuple[tuple[str, Constant], ...]
#: what CUDA allows of blocks along each axis, and of threads in a block
MOST_BLOCKS = (2**31 - 1, 65_535, 65_535)
MOST_THREADS = 1024
#: runs (file, function, grid, block, arguments, constants)
Launcher = Callable[[str, str, Grid, Grid, Sequence[Any], Constants], None]

#: by name of the namespace; a test adds the one that runs the same source without a GPU
LAUNCHERS: dict[str, Launcher] = {}


def source(file: str) -> str:
    """Return the text of ``cuda/FILE.cu``."""
    return (SOURCES / f"{file}.cu").read_text(encoding="utf-8")


def definitions(constants: Constants) -> tuple[str, ...]:
    """Return constants as options of the compiler."""
    return tuple(f"-D{name}={value}" for name, value in constants)


@lru_cache(maxsize=64)
def _compiled(file: str, function: str, constants: Constants) -> Any:
    import cupy

    module = cupy.RawModule(code=source(file), options=(*OPTIONS, *definitions(constants)))
    return module.get_function(function)


def _on_cuda(
    file: str, function: str, grid: Grid, block: Grid, args: Sequence[Any], constants: Constants
) -> None:
    _compiled(file, function, constants)(grid, block, tuple(args))


def launch(
    file: str,
    function: str,
    grid: Grid,
    block: Grid,
    args: Sequence[Any],
    *,
    like: Any,
    constants: Mapping[str, Constant] | None = None,
) -> None:
    """Run a CUDA function on the device of an array.

    Parameters
    ----------
    file, function : str
        ``cuda/FILE.cu`` and a function of it with C linkage.
    grid, block : tuple of int
        Blocks, and threads of a block; up to three numbers each. Nothing is run where the
        grid is empty.
    args : sequence
        C-contiguous arrays of one device and NumPy scalars of the very types that the function
        declares.
    like : array
        Says where to run.
    constants : mapping of str to number or str | None
        Macros of the source (a str may name a type); each set is compiled once.

    Raises
    ------
    KernelInputError
        For an argument of another kind, an array that is not C-contiguous, or more blocks or
        threads than CUDA allows.
    """
    for at, arg in enumerate(args):
        _check_argument(f"{function}, argument {at}", arg)
    if 0 in grid:
        return
    if any(n > most for n, most in zip(grid, MOST_BLOCKS)) or prod(block) > MOST_THREADS:
        raise KernelInputError(
            where=function,
            expected=f"at most {MOST_BLOCKS} blocks of {MOST_THREADS} threads",
            got=f"{grid} of {block}",
            fix="work on fewer rows or epochs at a time",
        )
    defined = tuple(sorted((constants or {}).items()))
    space = namespace(like).__name__
    runner = _on_cuda if space == "array_api_compat.cupy" else LAUNCHERS.get(space)
    if runner is None:
        raise KernelInputError(
            where="like", expected="an array on a CUDA device", got=f"one of {space}"
        )
    runner(file, function, grid, block, args, defined)


def _check_argument(where: str, arg: Any) -> None:
    if isinstance(arg, np.generic):
        return
    if not is_device(arg):
        raise KernelInputError(
            where=where, expected="a device array or a NumPy scalar", got=type(arg).__name__
        )
    # the function gets a bare pointer: of steps in memory it would know nothing
    flags = getattr(arg, "flags", None)
    if flags is not None and not flags.c_contiguous:
        raise KernelInputError(
            where=where,
            expected="a C-contiguous array",
            got=f"steps of {tuple(arg.strides)} bytes for shape {tuple(arg.shape)}",
            fix="hand over contiguous(array)",
        )
