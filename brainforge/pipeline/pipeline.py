"""Pipeline: a Recipe bound to an Info and a Backend. Fed raw blocks, it gives a Result.

It re-cuts whatever arrives onto one absolute grid, so any cutting of the input gives not
similar but the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.masks import masks_from_state, masks_to_state
from brainforge.pipeline.assemble import Account
from brainforge.pipeline.clock import Clock, Progress, silent
from brainforge.pipeline.first_pass import FirstPass, Seen
from brainforge.pipeline.full import full_result
from brainforge.pipeline.grid import SHORTEST_FULL_S, SHORTEST_S
from brainforge.pipeline.lane import Gate
from brainforge.pipeline.short import short_result
from brainforge.recipe import Recipe, load_recipe
from brainforge.result import Result
from brainforge.shelf import Shelf
from brainforge.units import MEG_KINDS


class Pipeline:
    """Takes RawBlocks in order and gives the Result when the stream has ended.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the source.
    backend : Backend | None
    progress : callable | None
        Told the stage in words and the share of it that is done.
    folder : str | None
        Where the working copy lives; the system's temporary folder where None.
    lasting : bool
        Whether blocks stay as they are after `feed` has returned: true of a Recording's, not
        of a source that reuses its buffer.
    shelf : Shelf | None
        Where all that grows with the recording goes, if it is to outlive the process.

    Raises
    ------
    InputError
        No MEG channel to process.
    """

    def __init__(
        self,
        recipe: Recipe,
        info: Info,
        backend: Backend | None = None,
        *,
        progress: Progress | None = None,
        folder: str | None = None,
        lasting: bool = False,
        shelf: Shelf | None = None,
    ) -> None:
        if not info.names_of(*MEG_KINDS, bads=False):
            kinds = sorted({c.kind for c in info.channels})
            marked = " that is not marked bad" if info.names_of(*MEG_KINDS) else ""
            raise InputError(
                where="recording",
                expected=f"at least one MEG channel (mag or grad){marked}",
                got=f"{info.n_channels} channels of kind {', '.join(kinds) or 'none'}",
                fix="name the sensors with --sensors if their kind is not known",
            )
        self.recipe, self.info = recipe, info
        self.backend = backend or Backend()
        self.gate = Gate(self.backend)
        self._progress = progress or silent
        self.clock = Clock()
        self._seen = Seen([])
        self._first: FirstPass | None = None
        #: blocks of a stream that may still turn out to be a short recording
        self._kept: list[RawBlock] = []
        self._enough = round(SHORTEST_FULL_S * info.sfreq)
        self._folder, self._lasting, self._shelf = folder, lasting, shelf

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of threads and memory, and of the working copy where it is a temporary one."""
        if self._first is not None:
            self._first.close()

    def feed(self, raw: RawBlock) -> None:
        """Take the next block of the source, of any size."""
        with self.clock("preprocess_s"):
            self._seen.add(raw)
            if self._first is not None:
                self._first.feed(raw)
                return
            # a source may reuse its buffer, so what has to wait is copied
            self._kept.append(replace(raw, data=raw.data.copy()))
            if self.recipe.mode != "short" and self._longest() >= self._enough:
                self._first = self._begun()
                for block in self._kept:
                    self._first.feed(block)
                self._kept = []

    def finish(
        self,
        account: Account | Callable[[], Account] | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Return the Result of all that was fed.

        Parameters
        ----------
        account : Account | callable | None
            What is told of the recording, or what gives it: called late, where it is needed.
        progress : callable | None
            Instead of the one given at first.

        Raises
        ------
        InputError
            Less than a second of samples came.
        """
        told = account if callable(account) else lambda: account or Account()
        longest = self._longest()
        if longest < round(SHORTEST_S * self.info.sfreq):
            raise InputError(
                where=told().name,
                expected=f"at least {SHORTEST_S:g} s of continuous samples",
                got=f"{longest / self.info.sfreq:.3g} s ({longest} samples)",
            )
        if self._first is None:
            recipe = self.recipe
            warnings: tuple[str, ...] = ()
            if recipe.mode != "short":
                recipe = load_recipe("short")
                warnings = (
                    f"The longest continuous stretch has {longest / self.info.sfreq:.3g} s, less "
                    f"than three filter lengths ({SHORTEST_FULL_S:.3g} s): recipe 'short' was run "
                    f"instead of '{self.recipe.name}'.",
                )
            return short_result(
                recipe, self.info, self._kept, self._seen, told(), self.backend, self.clock,
                warnings,
            )  # fmt: skip
        with self.clock("preprocess_s"):
            self._first.finish()
        return full_result(self._first, self._seen, told, self.clock, progress or self._progress)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint between two calls of `feed`, as `brainforge.checkpoint` packs it."""
        state = {
            "seen": [list(s) for s in self._seen.segments],
            "kept": [[b.start, self._put(b.data), masks_to_state(b.masks)] for b in self._kept],
            "first": None if self._first is None else self._first.state(),
        }
        # the last thing: making the state has put more there
        return {**state, "shelf": 0 if self._shelf is None else self._shelf.size}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint of the same recipe, source and shelf; nothing was fed yet.

        Raises
        ------
        ReadError
            The shelf's file is shorter than it was.
        """
        if self._shelf is not None:
            self._shelf.reopen(state["shelf"])
        self._seen = Seen([(a, b) for a, b in state["seen"]])
        kept = state["kept"] if self._shelf is None else self._shelf.filled(state["kept"])
        self._kept = [
            RawBlock(data, self.info, start, masks_from_state(masks)) for start, data, masks in kept
        ]
        if state["first"] is not None:
            self._first = self._begun()
            self._first.restore(state["first"])

    def _put(self, data: npt.NDArray[Any]) -> Any:
        return data if self._shelf is None else self._shelf.keep(data)

    def _begun(self) -> FirstPass:
        return FirstPass(
            self.recipe,
            self.info,
            self.backend,
            self._folder,
            gate=self.gate,
            lasting=self._lasting,
            shelf=self._shelf,
        )

    def _longest(self) -> int:
        return max((b - a for a, b in self._seen.segments), default=0)
