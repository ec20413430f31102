"""The main job: a recording in, a folder with report, archive, connectivity and JSON out."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brainforge.backend import Backend
from brainforge.cli.output import to_json
from brainforge.cli.progress import Tell, counted
from brainforge.cli.staging import staged
from brainforge.flow import Source
from brainforge.recording import Recording
from brainforge.result import Result

REPORT, CONNECTIVITY, RESULT = "report.html", "connectivity.zarr", "result.json"


@dataclass(frozen=True)
class Job:
    """What to do and where to leave it.

    Parameters
    ----------
    folder : Path
        Where the outputs go.
    recipe : str
        A recipe's name or the path of a TOML file.
    backend : Backend
    archive : str
        Name of the archive to write, e.g. ``NAME.zarr``; empty for none.
    archived_as : str
        The archive that the recording was opened from, where it was one.
    overwrite : bool
        Replace outputs that exist.
    """

    folder: Path
    recipe: str
    backend: Backend
    archive: str = ""
    archived_as: str = ""
    overwrite: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The outputs that may be written into the folder."""
        return tuple(n for n in (REPORT, CONNECTIVITY, RESULT, self.archive) if n)


def run_job(
    job: Job, recording: Recording | Source, tell: Tell, *, ingest_s: float = 0.0
) -> tuple[Result, dict[str, Any]]:
    """Process a recording and write its outputs; nothing half-written stays behind.

    Parameters
    ----------
    ingest_s : float
        Seconds it took to open the recording.

    Returns
    -------
    result : Result
    payload : dict
        What ``brainforge process --json`` prints; also written to ``result.json``.
    """
    import brainforge as bf

    begun = time.perf_counter() - ingest_s
    with staged(job.folder, job.names, overwrite=job.overwrite) as aside:
        result = bf.process(recording, recipe=job.recipe, backend=job.backend, progress=tell)
        spent = {"ingest_s": ingest_s + result.timings.get("ingest_s", 0.0)}
        outputs = _write(job, recording, result, aside, tell, spent)
        spent["total_s"] = time.perf_counter() - begun
        payload = _payload(result, {**result.timings, **spent}, outputs)
        (aside / RESULT).write_text(to_json(payload) + "\n", encoding="utf-8")
    return result, payload


def _write(
    job: Job,
    recording: Recording | Source,
    result: Result,
    aside: Path,
    tell: Tell,
    spent: dict[str, float],
) -> dict[str, str | None]:
    """Write all outputs into ``aside``; return where each of them will be."""
    outputs: dict[str, str | None] = {"report": str(job.folder / REPORT)}
    # the report is arithmetic, the connectivity mostly waiting for files
    with ThreadPoolExecutor(1) as beside:
        connectivity = beside.submit(_write_connectivity, result, aside)
        begun = time.perf_counter()
        tell("writing the report", 0.0)
        result.report(aside / REPORT)
        tell("writing the report", 1.0)
        spent["report_s"] = time.perf_counter() - begun
        written = connectivity.result()
    outputs["archive"] = job.archived_as or None
    if job.archive and isinstance(recording, Recording):
        from brainforge.archive import import_recording

        begun = time.perf_counter()
        import_recording(recording, aside / job.archive, progress=counted(tell, "archiving"))
        spent["archive_s"] = time.perf_counter() - begun
        outputs["archive"] = str(job.folder / job.archive)
    outputs["connectivity"] = str(job.folder / CONNECTIVITY) if written else None
    return outputs


def _write_connectivity(result: Result, aside: Path) -> bool:
    """Write the connectivity where there is one; return whether there is."""
    from brainforge.pipeline.outputs import save_connectivity

    if result.connectivity is None:
        return False
    save_connectivity(
        result.connectivity, aside / CONNECTIVITY, graph=result.graph, operator=result.operator
    )
    return True


def _payload(
    result: Result, timings: dict[str, float], outputs: dict[str, str | None]
) -> dict[str, Any]:
    from brainforge.provenance import peak_rss_bytes

    keys = ("ingest_s", "preprocess_s", "artifacts_s", "connectivity_s", "report_s", "total_s")
    return {
        "recording": result.recording,
        "recipe": result.recipe,
        "bad_channels": [
            {
                "name": bad.name,
                "reason": bad.reason,
                "evidence": bad.evidence,
                "value": bad.value,
                "threshold": bad.threshold,
                "unit": bad.unit,
            }
            for bad in result.quality.bads
        ],
        "coverage": result.quality.coverage,
        "artifacts": _artifacts(result),
        "components": _components(result),
        "findings": [finding.to_dict() for finding in result.findings],
        "steps": list(result.steps),
        "warnings": list(result.warnings),
        "timings": {**dict.fromkeys(keys, 0.0), **timings},
        "peak_rss_bytes": peak_rss_bytes(),
        "outputs": outputs,
        "provenance": result.provenance,
    }


def _artifacts(result: Result) -> dict[str, Any]:
    """Heartbeats and blinks; None where the recipe did not look for them."""
    found = result.artifacts
    trains = {"ecg": found.ecg if found else None, "eog": found.eog if found else None}
    return {
        kind: {
            "n_events": train.n_events if train else None,
            "rate_per_min": train.rate_per_min if train else None,
            "reduction_db": train.reduction_db if train else None,
            "source": train.source if train else None,
        }
        for kind, train in trains.items()
    }


def _components(result: Result) -> dict[str, Any]:
    found = result.artifacts
    return {
        "method": found.method if found else None,
        "n_fitted": found.n_fitted if found else 0,
        "removed": [
            {"index": c.index, "kind": c.kind, "reason": c.reason}
            for c in (found.removed if found else ())
        ],
    }
