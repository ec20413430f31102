"""Compile a kernel on first use with the options that the fast ones share.

Measured elsewhere in the project's notes: fastmath without ``reassoc`` costs 9x, Python's
division semantics 9x, arrays not typed ``::1`` 7x. ``lazy_jit`` sets all of them in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import update_wrapper
from threading import Lock
from typing import Any

FASTMATH = frozenset({"nnan", "nsz", "arcp", "contract", "afn", "reassoc"})


#: called once each, when a kernel is met that no process has compiled before
_when_cold: list[Callable[[], None]] = []


@contextmanager
def when_cold(action: Callable[[], None]) -> Iterator[None]:
    """Call ``action`` once if, inside, a kernel has to be compiled that is not on disk.

    It may be called from any thread, after that kernel has been compiled.
    """
    _when_cold.append(action)
    try:
        yield
    finally:
        if action in _when_cold:
            _when_cold.remove(action)


def _tell_cold() -> None:
    while _when_cold:
        _when_cold.pop()()


class LazyKernel:
    """A function compiled by Numba when it is first called; ``py_func`` is the plain one.

    Of several signatures only the one that a call needs is compiled: a recording brings one type
    of samples, and every signature costs up to a second.
    """

    def __init__(
        self, function: Callable[..., Any], signatures: list[str] | None, options: dict[str, Any]
    ) -> None:
        self.py_func = function
        self._signatures, self._options = signatures or [], options
        self._only: Callable[..., Any] | None = None
        self._inner: Callable[..., Any] | None = None
        self._by_dtypes: dict[tuple[Any, ...], Callable[..., Any]] = {}
        self._lock = Lock()
        update_wrapper(self, function)

    @property
    def _numba_type_(self) -> Any:
        # what Numba asks for where one kernel calls another by its name
        from numba.core.types import Dispatcher

        with self._lock:
            if self._inner is None:
                # not to disk: there the same signature is the one that Python calls, and Numba
                # tells the two apart by nothing
                self._inner = self._jit([], no_cpython_wrapper=True, cache=False)
        return Dispatcher(self._inner)

    def __call__(self, *args: Any) -> Any:
        """Run the compiled kernel."""
        compiled = self._only or self.compiled(*args)
        return compiled(*args)

    def compiled(self, *args: Any) -> Callable[..., Any]:
        """Return Numba's dispatcher for these arguments, compiled if this is the first use.

        Raises
        ------
        TypeError
            No signature has arrays of these dtypes.
        """
        several = len(self._signatures) > 1
        key = tuple([getattr(a, "dtype", None) for a in args]) if several else ()
        found = self._by_dtypes.get(key)
        if found is None:
            with self._lock:
                found = self._by_dtypes.get(key)
                if found is None:
                    found = self._by_dtypes[key] = self._compile(key)
                    self._only = None if several else found
        return found

    def _compile(self, dtypes: tuple[Any, ...]) -> Callable[..., Any]:
        wanted = [s for s in self._signatures if not dtypes or _takes(s, dtypes)]
        if self._signatures and not wanted:
            raise TypeError(
                f"{self.py_func.__name__} is compiled for {'; '.join(self._signatures)}, not for "
                f"arrays of {', '.join(str(d) for d in dtypes if d is not None)}"
            )
        dispatcher = self._jit(wanted)
        if self._options["cache"] and dispatcher.stats.cache_misses:
            _tell_cold()
        return dispatcher

    def _jit(self, signatures: list[str], **options: Any) -> Any:
        import numba

        # wrappers for callers that there are none of are a tenth of the time to compile
        every = {"no_cfunc_wrapper": True, **self._options, **options}
        wrap = numba.njit(signatures, **every) if signatures else numba.njit(**every)
        return wrap(self.py_func)


def _takes(signature: str, dtypes: tuple[Any, ...]) -> bool:
    """Return whether the arrays of a signature are of these dtypes; None stands for a scalar."""
    from numba.core.sigutils import normalize_signature
    from numba.np.numpy_support import as_dtype

    formal, _ = normalize_signature(signature)  # type: ignore[no-untyped-call]  # has no types
    # a NumPy scalar has a dtype too, and converts
    return len(formal) == len(dtypes) and all(
        as_dtype(f.dtype) == d for f, d in zip(formal, dtypes) if hasattr(f, "ndim")
    )


def lazy_jit(
    signatures: list[str] | None = None,
    *,
    fastmath: bool | frozenset[str] = True,
    **options: Any,
) -> Callable[[Callable[..., Any]], LazyKernel]:
    """Decorate a kernel so that it compiles on first use and is cached on disk.

    Parameters
    ----------
    signatures : list of str | None
        Explicit Numba signatures with ``::1`` arrays. With them nothing is recompiled by
        surprise for another layout: a wrong one raises TypeError.
    fastmath : bool | frozenset of str
        Reassociation and contraction allowed; NaN and infinity then are not honoured. Or the
        liberties by name: contraction alone keeps the order of every sum.
    """
    opts: dict[str, Any] = {
        "nogil": True,
        "error_model": "numpy",
        "cache": True,
        "fastmath": set(FASTMATH) if fastmath is True else set(fastmath or ()) or False,
        **options,
    }
    return lambda function: LazyKernel(function, signatures, opts)
