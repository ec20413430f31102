"""SessionSpec: what a session is asked to do, and where its files lie."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from brainforge.errors import InputError, OutputError
from brainforge.recipe import load_recipe

ENDING = ".zarr"


@dataclass(frozen=True)
class SessionSpec:
    """One patient's session.

    Parameters
    ----------
    source : str
        ``lsl:NAME``, ``fieldtrip:HOST:PORT``, ``tcp:HOST:PORT``, ``unix:PATH``,
        ``replay:PATH`` or ``phantom``.
    archive : str
        Where the recording goes, ``NAME.zarr``; must not exist.
    recipe : str
        Name of a recipe or path of a TOML file.
    options : dict
        Of the source, e.g. ``{"speed": "max"}``.
    duration : float | None
        Seconds of signal to record; None until it is stopped.
    counter_channel : str | None
        The channel in which the device counts its samples.
    block_s : float
        Longest piece that is processed at once while live, in seconds.
    ring_s : float
        Seconds of signal in memory: what a disk that hangs, or a pipeline that is away, may miss.
    threads : int
        Threads of the pipeline's kernels; 0 for all cores.
    analyse : bool
        False only records.
    outlets : str
        Prefix of LSL outlets for cleaned signals, features and markers; empty for none.
    """

    source: str
    archive: str
    recipe: str = "resting"
    options: dict[str, Any] = field(default_factory=dict)
    duration: float | None = None
    counter_channel: str | None = None
    block_s: float = 0.05
    ring_s: float = 60.0
    threads: int = 0
    analyse: bool = True
    outlets: str = ""

    @property
    def paths(self) -> Paths:
        """Where the session's files lie."""
        return Paths(Path(self.archive))

    def check(self) -> None:
        """Refuse what cannot work before anything is started.

        Raises
        ------
        InputError, OutputError
        """
        load_recipe(self.recipe)
        if not self.archive.endswith(ENDING):
            raise InputError(where="--out", expected=f"NAME{ENDING}", got=self.archive)
        if self.duration is not None and not 0 < self.duration < float("inf"):
            raise InputError(
                where="--duration", expected="a positive number of seconds", got=f"{self.duration}"
            )
        if not 0.005 <= self.block_s <= 1.0:
            raise InputError(where="block", expected="0.005 to 1 seconds", got=f"{self.block_s:g}")
        if not 1.0 <= self.ring_s <= 600.0:
            raise InputError(where="ring", expected="1 to 600 seconds", got=f"{self.ring_s:g}")
        paths = self.paths
        for path in (paths.archive, paths.results):
            if os.path.lexists(path):
                fix = f"brainforge repair {paths.archive} finishes what was interrupted, or "
                raise OutputError(f"{path}: exists already; {fix}choose another name")
        if os.path.lexists(paths.scratch):
            raise OutputError(
                f"{paths.scratch}: another session of this name runs or was killed; choose "
                "another name, or remove that folder if none runs"
            )
        if not paths.archive.parent.is_dir():
            raise OutputError(f"{paths.archive.parent}: expected a folder that exists; make it")

    def to_json(self) -> str:
        """Return the spec as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> SessionSpec:
        """Return the spec that `to_json` wrote."""
        return cls(**json.loads(text))


@dataclass(frozen=True)
class Paths:
    """Files of a session, all beside the archive.

    ``NAME.zarr`` is the recording, ``NAME-results`` what was found in it; the scratch folder
    holds what the processes tell each other and goes when the session has ended well.
    """

    archive: Path

    @property
    def stem(self) -> str:
        """The archive's name without its ending."""
        return self.archive.name.removesuffix(ENDING)

    @property
    def results(self) -> Path:
        """Folder of report, result and connectivity."""
        return self.archive.with_name(f"{self.stem}-results")

    @property
    def scratch(self) -> Path:
        """Folder of feeds, checkpoint, working copy and the processes' words."""
        return self.archive.with_name(f".{self.stem}.session")

    @property
    def spec(self) -> Path:
        """The session's spec, read by the pipeline's process."""
        return self.scratch / "session.json"

    @property
    def recorder_spec(self) -> Path:
        """The recorder's spec."""
        return self.scratch / "recorder.json"

    @property
    def recorder_feed(self) -> Path:
        """What the recorder says."""
        return self.scratch / "recorder.feed"

    @property
    def pipeline_feed(self) -> Path:
        """What the pipeline shows."""
        return self.scratch / "pipeline.feed"

    @property
    def checkpoint(self) -> Path:
        """The pipeline's last checkpoint."""
        return self.scratch / "checkpoint"

    @property
    def recording_id(self) -> Path:
        """The id of the recording, as the pipeline's process has read it."""
        return self.scratch / "recording"

    @property
    def outcome(self) -> Path:
        """What the pipeline's process has left when it has ended."""
        return self.scratch / "outcome.json"
