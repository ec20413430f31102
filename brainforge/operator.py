"""Operator: an instantaneous linear map over named channels, and how such maps compose.

Field correction, component removal and channel repair are each one of these; composed they are
one matrix that touches the data once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError

#: singular values below this share of the largest are rounding in float32 data
RANK_TOLERANCE = 1e-8


@dataclass(frozen=True, eq=False)
class Operator:
    """A square matrix over named channels: ``y = matrix @ x`` at every sample.

    Parameters
    ----------
    names : tuple of str
        Channel names, the order of both axes of ``matrix``.
    matrix : float64 array, axes (output channel, input channel)
        Dimensionless between channels of one unit; working units otherwise. Kept read-only.
    description : str
        A sentence for the report: what it does.
    params : dict
        JSON-ready figures on how it was made.

    Raises
    ------
    InputError
        Where the matrix is not square over the names, is not finite or names repeat.
    """

    names: tuple[str, ...]
    matrix: npt.NDArray[np.float64]
    description: str = ""
    params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = tuple(self.names)
        matrix = np.array(self.matrix, dtype=np.float64, order="C")
        n = len(names)
        if len(set(names)) != n:
            raise InputError(where="operator", expected="unique names", got=f"{n} with repeats")
        if matrix.shape != (n, n):
            raise InputError(where="operator", expected=f"shape {(n, n)}", got=f"{matrix.shape}")
        if not np.isfinite(matrix).all():
            raise InputError(where="operator", expected="finite numbers", got="NaN or infinity")
        matrix.flags.writeable = False
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "matrix", matrix)

    @classmethod
    def identity(cls, names: Iterable[str], description: str = "", **params: Any) -> Self:
        """Return the operator that changes nothing."""
        names = tuple(names)
        return cls(names, np.eye(len(names)), description, params)

    @property
    def operator(self) -> Operator:
        """Itself: an operator is the simplest thing that a Learner can give."""
        return self

    def summary(self) -> dict[str, Any]:
        """Return what it does, JSON-ready, with the digest that names it: for the provenance."""
        return {"digest": self.digest, "rank": self.rank, "steps": _steps(self)}

    @cached_property
    def rank(self) -> int:
        """Rank of what comes out of full-rank input: the number of independent channels left."""
        if not self.names:
            return 0
        values = np.linalg.svd(self.matrix, compute_uv=False)
        return int(np.count_nonzero(values > RANK_TOLERANCE * values[0])) if values[0] else 0

    @cached_property
    def is_identity(self) -> bool:
        """Whether it changes nothing, exactly."""
        return bool(np.array_equal(self.matrix, np.eye(len(self.names))))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of names and matrix, for provenance and for cache keys."""
        digest = hashlib.sha256("\0".join(self.names).encode())
        digest.update(self.matrix.astype("<f8").tobytes())
        return digest.hexdigest()

    def rows(self, names: Iterable[str]) -> npt.NDArray[np.intp]:
        """Return the positions of the named channels on the matrix's axes."""
        index = {n: i for i, n in enumerate(self.names)}
        names = tuple(names)
        unknown = [n for n in names if n not in index]
        if unknown:
            raise InputError(
                where="operator", expected="channels it knows", got=f"{', '.join(unknown[:5])}"
            )
        return np.array([index[n] for n in names], dtype=np.intp)

    def pick(self, names: Iterable[str]) -> Operator:
        """Return the operator over some channels, in the order given.

        Raises
        ------
        InputError
            Where a picked output depends on a channel left out: the result would be another map.
        """
        names = tuple(names)
        rows = self.rows(names)
        left = np.setdiff1d(np.arange(len(self.names)), rows)
        needed = left[np.any(self.matrix[np.ix_(rows, left)] != 0, axis=0)]
        if needed.size:
            raise InputError(
                where="operator.pick",
                expected="channels that depend on no other",
                got=f"a dependence on {', '.join(self.names[i] for i in needed[:5])}",
                fix="pick those too",
            )
        return Operator(names, self.matrix[np.ix_(rows, rows)], self.description, self.params)

    def expand(self, names: Iterable[str]) -> Operator:
        """Return the operator over more channels, in the order given, identity on the new ones.

        With the same channels in another order it only reorders.
        """
        names = tuple(names)
        index = {n: i for i, n in enumerate(names)}
        missing = [n for n in self.names if n not in index]
        if missing:
            raise InputError(
                where="operator.expand",
                expected="all of the operator's channels among the new ones",
                got=f"none named {', '.join(missing[:5])}",
            )
        matrix = np.eye(len(names))
        rows = np.array([index[n] for n in self.names], dtype=np.intp)
        matrix[np.ix_(rows, rows)] = self.matrix
        return Operator(names, matrix, self.description, self.params)

    def __matmul__(self, first: Operator) -> Operator:
        """Return ``self`` after ``first`` as one operator, over the channels of ``first``.

        Joined by name; both have to be over the same set of channels (see `expand`).
        """
        if set(self.names) != set(first.names):
            odd = sorted(set(self.names) ^ set(first.names))
            raise InputError(
                where="operator @ operator",
                expected="the same channels on both sides",
                got=f"{', '.join(odd[:5])} on one side only",
                fix="expand them to common channels first",
            )
        matrix = self.expand(first.names).matrix @ first.matrix
        text = "; ".join(d for d in (first.description, self.description) if d)
        return Operator(first.names, matrix, text, {"steps": [*_steps(first), *_steps(self)]})


def _steps(operator: Operator) -> list[dict[str, Any]]:
    if set(operator.params) == {"steps"}:
        return list(operator.params["steps"])
    return [{"description": operator.description, **operator.params}]
