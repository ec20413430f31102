"""What every kernel has to pass: each twin equals the plain reference, whatever the layout.

Subclass `KernelSuite` in a test file and give it a table of `KernelCase`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class KernelCase:
    """One kernel, its twins and how to try it.

    Parameters
    ----------
    twins : mapping of str to callable
        By backend name; all take the same arguments and return an array or a dict of arrays.
    reference : callable
        The plain float64 version.
    inputs : callable
        ``inputs(rng, size)`` draws the arguments; ``size`` grows from 0.
    sizes : tuple of int
        Sizes to try; 0 and 1 belong among them unless the kernel refuses them.
    atol, rtol : float
    """

    twins: Mapping[str, Callable[..., Any]]
    reference: Callable[..., Any]
    inputs: Callable[[np.random.Generator, int], tuple[Any, ...]]
    sizes: tuple[int, ...] = (0, 1, 2, 7, 33)
    atol: float = 1e-6
    rtol: float = 1e-6


def strided(array: Array) -> Array:
    """Return equal values in a view that skips every other element of each axis."""
    wide = np.full([2 * n for n in array.shape], 7, dtype=array.dtype)
    view = wide[tuple(slice(0, None, 2) for _ in array.shape)]
    view[...] = array
    return view


#: name -> the same values laid out otherwise
LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "fortran": np.asfortranarray,
    "strided": strided,
    "reversed": lambda array: array[::-1].copy()[::-1],
}


def _outputs(value: Any) -> dict[str, Array]:
    if isinstance(value, Mapping):
        return {str(k): np.asarray(v) for k, v in value.items()}
    if isinstance(value, tuple):
        return {str(k): np.asarray(v) for k, v in enumerate(value)}
    return {"": np.asarray(value)}


class KernelSuite:
    """Twin = reference over random sizes and layouts, for every case of ``table``."""

    table: ClassVar[dict[str, KernelCase]] = {}
    seed: ClassVar[int] = 20

    def pytest_generate_tests(self, metafunc: Any) -> None:
        """Spread the table over the tests."""
        names = metafunc.fixturenames
        if "kernel_size" in names:
            spread = [
                (kernel, twin, size)
                for kernel, case in self.table.items()
                for twin in case.twins
                for size in case.sizes
            ]
            metafunc.parametrize("kernel,twin,kernel_size", spread)
        elif "kernel" in names:
            spread_twins = [(k, t) for k, case in self.table.items() for t in case.twins]
            metafunc.parametrize("kernel,twin", spread_twins)

    def _draw(self, kernel: str, size: int) -> tuple[KernelCase, tuple[Any, ...]]:
        case = self.table[kernel]
        return case, case.inputs(np.random.default_rng([self.seed, size]), size)

    def _check(self, case: KernelCase, got: Any, wanted: Any, what: str) -> None:
        ours, theirs = _outputs(got), _outputs(wanted)
        assert ours.keys() == theirs.keys()
        for key, value in ours.items():
            assert value.shape == theirs[key].shape, f"{what}: {key}"
            np.testing.assert_allclose(
                value, theirs[key], atol=case.atol, rtol=case.rtol, err_msg=f"{what}: {key}"
            )

    def test_twin_equals_reference(self, kernel: str, twin: str, kernel_size: int) -> None:
        """Compare with the plain version over sizes; the message names the seed."""
        case, args = self._draw(kernel, kernel_size)
        what = f"seed {[self.seed, kernel_size]}"
        self._check(case, case.twins[twin](*args), case.reference(*args), what)

    def test_layout_does_not_matter(self, kernel: str, twin: str) -> None:
        """Give the same values in Fortran order, strided and reversed."""
        case, args = self._draw(kernel, max(self.table[kernel].sizes))
        wanted = case.reference(*args)
        for name, layout in LAYOUTS.items():
            other = [layout(a) if isinstance(a, np.ndarray) else a for a in args]
            self._check(case, case.twins[twin](*other), wanted, name)

    def test_inputs_are_left_alone(self, kernel: str, twin: str) -> None:
        """Read-only inputs are accepted and hold the same values afterwards."""
        case, args = self._draw(kernel, max(self.table[kernel].sizes))
        before = [np.copy(a) for a in args if isinstance(a, np.ndarray)]
        for array in args:
            if isinstance(array, np.ndarray):
                array.flags.writeable = False
        case.twins[twin](*args)
        after = [a for a in args if isinstance(a, np.ndarray)]
        for was, now in zip(before, after):
            np.testing.assert_array_equal(was, now)
