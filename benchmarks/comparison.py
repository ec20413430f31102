"""The contract of a stage: a peer and the product on the same data, and figures of accuracy."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

#: threads the product is given, one run for each
THREADS = (2, 1)


@dataclass(frozen=True)
class Figure:
    """One figure of accuracy.

    Parameters
    ----------
    text : str
        What was compared with what, and relative to what.
    value : float
    bound : float | None
        What ``value`` must not exceed, or must reach where ``at_least``; None only informs.
    at_least : bool
    """

    text: str
    value: float
    bound: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether the bound is kept; NaN never keeps one."""
        if self.bound is None:
            return True
        if math.isnan(self.value):
            return False
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def to_dict(self) -> dict[str, Any]:
        return {
            "text": self.text,
            "value": None if math.isnan(self.value) else float(self.value),
            "bound": self.bound,
            "at_least": self.at_least,
            "met": bool(self.met),
        }


@dataclass(frozen=True)
class Comparison:
    """One stage on both sides.

    Parameters
    ----------
    title : str
    amount : str
        The data that both sides get.
    peer : str
        What the peer calls, with its settings.
    ours : str
        What the product calls.
    run_peer : callable
        Takes how many of ``units`` to work on.
    run_ours : callable
        Takes the number of threads; works on everything.
    figures : callable
        From what the peer (on most units) and the product (on most threads) returned.
    units : int
        Amount of work in ``unit``.
    unit : str
    peer_units : tuple of int
        What the peer is run on. One number equal to ``units``: measured. Two smaller ones: a
        straight line through both is extrapolated to ``units``.
    threads : tuple of int
        Of the product.
    notes : tuple of str
    prepare_peer : tuple of callable
        Called before the clock runs, and only where the peer is run: its data are large.
    logical_bytes : int
        What the product reads, counted as float32; 0 where reading is not what is timed.
    """

    title: str
    amount: str
    peer: str
    ours: str
    run_peer: Callable[[int], Any]
    run_ours: Callable[[int], Any]
    figures: Callable[[Any, Any], list[Figure]]
    units: int = 1
    unit: str = ""
    peer_units: tuple[int, ...] = (1,)
    threads: tuple[int, ...] = THREADS
    notes: tuple[str, ...] = ()
    prepare_peer: tuple[Callable[[], Any], ...] = ()
    logical_bytes: int = 0

    @property
    def extrapolated(self) -> bool:
        """Whether the peer's seconds are extrapolated."""
        return max(self.peer_units) < self.units

    @property
    def law(self) -> str:
        """How the peer's seconds are extrapolated, empty where they are measured."""
        if not self.extrapolated:
            return ""
        of = " and ".join(str(n) for n in sorted(self.peer_units))
        return f"line through {of} of {self.units} {self.unit}"


def extrapolate(comparison: Comparison, seconds: dict[int, float]) -> float:
    """Return the peer's seconds for all units, on the line through the measured ones.

    The line never falls below proportionality to the slope: a fixed cost counts once.
    """
    most = max(seconds)
    if most >= comparison.units or len(seconds) == 1:
        return seconds[most] * comparison.units / most
    least = min(seconds)
    slope = max(seconds[most] - seconds[least], 0.0) / (most - least)
    return seconds[most] + slope * (comparison.units - most)
