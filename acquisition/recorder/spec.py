"""Spec: what a recorder is asked to do, as the JSON file that its process is given."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from brainforge.errors import InputError


@dataclass(frozen=True)
class Spec:
    """One recording.

    Parameters
    ----------
    source : str
        ``lsl:NAME``, ``fieldtrip:HOST:PORT``, ...
    out : str
        The archive, ``NAME.zarr``.
    options : dict
        Of the source.
    duration_s : float | None
        Seconds of signal, gaps included; None until it is stopped.
    ring_s : float
        Seconds of signal in the ring.
    block_s : float
        Longest piece of signal that is handed on at once.
    counter_channel : str | None
        Channel in which the device counts its samples.
    feed : str
        File for snapshots; empty for none.
    resume : bool
        Go on with a recording that another process left.
    recording_id : str
        32 hexadecimal digits; made where it is empty. One that is resumed must have it.
    """

    source: str
    out: str
    options: dict[str, Any] = field(default_factory=dict)
    duration_s: float | None = None
    ring_s: float = 60.0
    block_s: float = 0.05
    counter_channel: str | None = None
    feed: str = ""
    resume: bool = False
    recording_id: str = ""

    def __post_init__(self) -> None:
        for name, expected, fits in (
            ("out", "NAME.zarr", self.out.endswith(".zarr")),
            ("duration_s", "a positive number", self._has_a_duration()),
            ("ring_s", "1 to 600 seconds", 1.0 <= self.ring_s <= 600.0),
            ("block_s", "0.001 to 1 seconds", 0.001 <= self.block_s <= 1.0),
        ):
            if not fits:
                raise InputError(where=name, expected=expected, got=repr(getattr(self, name)))

    def _has_a_duration(self) -> bool:
        return self.duration_s is None or 0 < self.duration_s < float("inf")

    def to_json(self) -> str:
        """Return the spec as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_file(cls, path: Path) -> Spec:
        """Return the spec that a file holds.

        Raises
        ------
        InputError
            There is none, or it has unknown or wrong entries.
        """
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            unknown = sorted(set(document) - {f.name for f in fields(cls)})
            if unknown:
                raise ValueError(f"the unknown entries {', '.join(unknown)}")
            return cls(**document)
        except (OSError, ValueError, TypeError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(
                where=str(path), expected="a recorder's spec", got=str(error)
            ) from error
