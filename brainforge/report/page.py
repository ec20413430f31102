"""What a page consists of: sections, each with charts, tables and controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from brainforge.report.arrays import ArrayPool


@dataclass(frozen=True)
class Control:
    """A choice that the charts of one group share.

    ``options`` are (value, label) pairs; ``chosen`` is the value shown first (empty for the
    first option); ``style`` is ``"radio"`` or ``"select"``.
    """

    group: str
    name: str
    label: str
    options: tuple[tuple[str, str], ...]
    style: str = "radio"
    chosen: str = ""

    def is_chosen(self, value: str) -> bool:
        """Whether an option is the one shown first."""
        return value == (self.chosen or self.options[0][0])


@dataclass(frozen=True)
class Chart:
    """One figure.

    Parameters
    ----------
    id : str
        Unique in the page.
    title : str
        Heading above the figure.
    alt : str
        What the figure shows, in words, for those who cannot see it.
    note : str
        What one is looking at, how it was computed, and the source of the method.
    data, layout
        Plotly's, as plain dicts. ``{"$a": name}`` stands for an array of the pool,
        ``{"$v": name}`` for a value, ``"--name"`` for a colour of the theme, and ``@name``
        in a reference for the state of a control.
    height : int
        Pixels.
    square : int
        For a figure as high as it is wide: pixels that legend and labels add below; it then
        shrinks with a narrow page. 0 for others.
    group : str
        Controls that it follows.
    size : str
        ``"full"``, ``"half"``, ``"third"`` or ``"small"`` of the column's width.
    """

    id: str
    title: str
    alt: str
    note: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]
    height: int = 360
    square: int = 0
    group: str = ""
    size: str = "full"

    def spec(self) -> dict[str, Any]:
        """Return what the script needs to draw it."""
        return {"data": self.data, "layout": self.layout, "group": self.group}


@dataclass(frozen=True)
class Table:
    """A table; ``rows`` hold cells of text; without ``head`` it is a list of facts."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Part:
    """A titled run of controls, charts and tables inside a section."""

    title: str = ""
    text: str = ""
    controls: tuple[Control, ...] = ()
    charts: tuple[Chart, ...] = ()
    tables: tuple[Table, ...] = ()
    template: str = ""
    context: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Section:
    """A section of the report. ``absent`` is the sentence shown where it has no parts."""

    id: str
    title: str
    lead: str
    parts: tuple[Part, ...] = ()
    absent: str = ""

    @property
    def charts(self) -> tuple[Chart, ...]:
        """All charts of the section."""
        return tuple(c for p in self.parts for c in p.charts)


def payload(sections: Sequence[Section], pool: ArrayPool) -> dict[str, Any]:
    """Return everything that the page's script reads."""
    charts = {c.id: c.spec() for s in sections for c in s.charts}
    return {"charts": charts, "arrays": pool.arrays, "values": pool.values}
