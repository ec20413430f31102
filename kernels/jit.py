"""Compile a kernel on first use with the options that the fast ones share.

Measured elsewhere in the project's notes: fastmath without ``reassoc`` costs 9x, Python's
division semantics 9x, arrays not typed ``::1`` 7x. ``lazy_jit`` sets all of them in one place.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from threading import Lock
from typing import Any

FASTMATH = frozenset({"nnan", "nsz", "arcp", "contract", "afn", "reassoc"})


class LazyKernel:
    """A function compiled by Numba when it is first called; ``py_func`` is the plain one."""

    def __init__(
        self, function: Callable[..., Any], signatures: list[str] | None, options: dict[str, Any]
    ) -> None:
        self.py_func = function
        self._signatures, self._options = signatures, options
        self._compiled: Callable[..., Any] | None = None
        self._lock = Lock()
        update_wrapper(self, function)

    def compiled(self) -> Callable[..., Any]:
        """Return the compiled dispatcher, compiling it if this is the first use."""
        if self._compiled is None:
            with self._lock:
                if self._compiled is None:
                    import numba

                    wrap = (
                        numba.njit(self._signatures, **self._options)
                        if self._signatures
                        else numba.njit(**self._options)
                    )
                    self._compiled = wrap(self.py_func)
        return self._compiled

    def __call__(self, *args: Any) -> Any:
        """Run the compiled kernel."""
        return self.compiled()(*args)


def lazy_jit(
    signatures: list[str] | None = None, *, fastmath: bool = True, **options: Any
) -> Callable[[Callable[..., Any]], LazyKernel]:
    """Decorate a kernel so that it compiles on first use and is cached on disk.

    Parameters
    ----------
    signatures : list of str | None
        Explicit Numba signatures with ``::1`` arrays. With them nothing is recompiled by
        surprise for another layout: a wrong one raises TypeError.
    fastmath : bool
        Reassociation and contraction allowed; NaN and infinity then are not honoured.
    """
    opts: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "cache": True,
        "fastmath": set(FASTMATH) if fastmath else False,
        **options,
    }
    return lambda function: LazyKernel(function, signatures, opts)
