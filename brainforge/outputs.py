"""What a Result leaves in its folder, and the JSON document that tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from brainforge.provenance import peak_rss_bytes
from brainforge.result import Result
from brainforge.strict_json import to_json

REPORT: Final = "report.html"
CONNECTIVITY: Final = "connectivity.zarr"
RESULT: Final = "result.json"

#: stages whose seconds every document has
_STAGES = ("ingest_s", "preprocess_s", "artifacts_s", "connectivity_s", "report_s", "total_s")


def write_views(
    result: Result, aside: Path, folder: Path, tell: Callable[[str, float], None]
) -> tuple[dict[str, str | None], float]:
    """Write the report and the connectivity, where there is one, into a folder.

    Parameters
    ----------
    result : Result
    aside : Path
        The folder to write into.
    folder : Path
        Where its content is going to be.
    tell : callable
        Told the stage in words and the share of it that is done, 0 to 1.

    Returns
    -------
    outputs : dict
        Where ``report`` and ``connectivity`` will be; None for what there is not.
    seconds : float
        What the report took.
    """
    # the report is arithmetic, the connectivity mostly waiting for files
    with ThreadPoolExecutor(1) as beside:
        connectivity = beside.submit(_write_connectivity, result, aside)
        begun = time.perf_counter()
        tell("writing the report", 0.0)
        result.report(aside / REPORT)
        tell("writing the report", 1.0)
        seconds = time.perf_counter() - begun
        written = connectivity.result()
    return {
        "report": str(folder / REPORT),
        "connectivity": str(folder / CONNECTIVITY) if written else None,
    }, seconds


def write_document(document: dict[str, Any], aside: Path) -> None:
    """Write what `result_document` gave into a folder."""
    (aside / RESULT).write_text(to_json(document) + "\n", encoding="utf-8")


def _write_connectivity(result: Result, aside: Path) -> bool:
    """Write the connectivity where there is one; return whether there is."""
    from brainforge.pipeline.outputs import save_connectivity

    if result.connectivity is None:
        return False
    save_connectivity(
        result.connectivity, aside / CONNECTIVITY, graph=result.graph, operator=result.operator
    )
    return True


def result_document(
    result: Result, timings: dict[str, float], outputs: dict[str, str | None]
) -> dict[str, Any]:
    """Return what is told of a finished job, for `brainforge.strict_json.to_json`."""
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
        "timings": {**dict.fromkeys(_STAGES, 0.0), **timings},
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
