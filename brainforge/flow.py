"""The contracts that everything plugs into: Source, Sink, Stage, Step, Learner, Measure.

A frozen declaration (Stage) is bound to an Info and gives a Step that holds the running state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

from brainforge.backend import Backend
from brainforge.block import Block, RawBlock
from brainforge.info import Info
from brainforge.operator import Operator

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


@runtime_checkable
class Source(Protocol):
    """Where blocks come from. A context manager that yields RawBlocks of any size, in order.

    A jump of ``start`` between two blocks is a gap. ``info`` is known once it is entered.
    """

    @property
    def info(self) -> Info:
        """Info of the blocks."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
    def __iter__(self) -> Iterator[RawBlock]: ...


@runtime_checkable
class Sink(Protocol[In_contra]):
    """Where blocks go to. ``close`` publishes; leaving by an exception discards."""

    def write(self, block: In_contra) -> None:
        """Take one block."""

    def close(self) -> None:
        """Finish and publish."""


@runtime_checkable
class Step(Protocol):
    """A Stage bound to an Info: running state.

    Fed blocks of any size, in order, it must give the same numbers for every way of cutting.
    """

    info: Info
    #: delay of the output against the input in seconds; known before data flows
    latency: float

    def process(self, block: Any) -> list[Block]:
        """Take one block, return what is ready."""

    def finish(self) -> list[Block]:
        """Return what is left when the stream has ended."""

    def state(self) -> dict[str, Any]:
        """Return a checkpoint (arrays and JSON-ready values)."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""


@runtime_checkable
class Stage(Protocol):
    """Frozen, serialisable parameters of a processing stage (a frozen dataclass)."""

    def bind(self, info: Info, backend: Backend) -> Step:
        """Check the parameters against ``info`` and return the running Step."""


@dataclass(frozen=True)
class Lessons:
    """What a Learner may learn from besides the working copy.

    Parameters
    ----------
    info : Info
        Of the working copy, with the channels found bad so far marked.
    measures : mapping
        Results of the first pass's measures by name, e.g. ``"gram"``.
    before : Operator
        What is applied before the operator to be learned, over the MEG channels.
    backend : Backend
    """

    info: Info
    measures: Mapping[str, Any]
    before: Operator
    backend: Backend


class Fitted(Protocol):
    """What a Learner gives: an Operator, or something that knows more and holds one."""

    @property
    def operator(self) -> Operator:
        """The instantaneous linear map that was learned, over the MEG channels."""


class Learner(Protocol):
    """Frozen, serialisable parameters of something learned between the passes."""

    def fit(self, working: Any, lessons: Lessons) -> Fitted:
        """Learn from a working copy (``info``, ``blocks()``) and what was measured on it."""


class Measure(Protocol):
    """An accumulator: one pass, mergeable, checkpointable. ``result`` changes nothing."""

    def update(self, block: Block) -> None:
        """Take one block."""

    def merge(self, other: Self) -> None:
        """Add what another instance has seen; the order must not matter (1e-6)."""

    def result(self) -> Any:
        """Return the result of all seen so far."""

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
