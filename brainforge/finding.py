"""Finding: one statement about a recording, with its uncertainty and its evidence."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One statement, or the reason why there is none.

    Parameters
    ----------
    name : str
        Stable key, e.g. ``"alpha_peak"``.
    title : str
        What a reader sees, e.g. ``"Alpha peak"``.
    value : float | None
        None where the finding abstains.
    unit : str
    uncertainty : tuple of 2 float | None
        95 % interval, in ``unit``.
    text : str
        One sentence for a reader; where it abstains, why.
    evidence : tuple of 2 float | None
        Interval of the recording that it rests on, in seconds from the recording's start.
    details : dict
        JSON-ready figures behind it (by region, by band, ...).
    method : str
        How it was computed, with its source.
    """

    name: str
    title: str
    value: float | None
    unit: str
    text: str
    uncertainty: tuple[float, float] | None = None
    evidence: tuple[float, float] | None = None
    details: dict[str, Any] = field(default_factory=dict)
    method: str = ""

    @property
    def abstained(self) -> bool:
        """Whether the finding says nothing, and ``text`` says why."""
        return self.value is None

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return {**asdict(self), "abstained": self.abstained}
