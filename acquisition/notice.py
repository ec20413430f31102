"""Notice: something that happened to a stream, told once, in absolute source samples."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class What(StrEnum):
    """Kinds of notices."""

    #: samples [start, stop) were taken by the device and never came
    GAP = "gap"
    #: samples [start, stop) came again; the second copy was not stored
    DUPLICATE = "duplicate"
    #: samples [start, stop) came after later ones and were put back in their place
    REORDERED = "reordered"
    #: samples [start, stop) came when their place had been given up as a gap; not stored
    LATE = "late"
    #: the device's counter began anew (wrap, restart); the absolute index goes on
    COUNTER = "counter"
    #: the source's clock stepped or drifts against ours
    CLOCK = "clock"
    #: nothing has come for a while; the connection was lost; it is back
    SILENT, LOST, RECONNECTED = "silent", "lost", "reconnected"
    #: the layout changed in mid-stream: what came was refused
    REFUSED = "refused"
    #: the recorder itself: began, resumed after a crash, disk warnings, stop
    RECORDER = "recorder"


@dataclass(frozen=True)
class Notice:
    """One entry of a recording's ledger.

    Parameters
    ----------
    what : What
    start, stop : int
        Absolute source samples, stop exclusive; equal where it is about a moment.
    cause : str
        Why, in words: ``"sender restarted"``, ``"connection lost"``.
    exact : bool
        Whether ``start`` and ``stop`` rest on a counter; otherwise they are estimated from time
        stamps.
    detail : dict
        JSON-ready figures: counter values, seconds, ppm.
    """

    what: What
    start: int
    stop: int
    cause: str = ""
    exact: bool = True
    detail: dict[str, Any] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return it JSON-ready."""
        return {**asdict(self), "what": str(self.what)}

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> Notice:
        """Return the notice that `to_dict` wrote."""
        return cls(**{**document, "what": What(document["what"])})
