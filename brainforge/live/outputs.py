"""What a live session leaves beside its archive: report, connectivity and a JSON document."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brainforge.outputs import (
    CONNECTIVITY,
    REPORT,
    RESULT,
    result_document,
    write_document,
    write_views,
)
from brainforge.pipeline.clock import Progress, silent
from brainforge.result import Result
from brainforge.staging import staged


def write_outputs(
    result: Result,
    folder: Path,
    *,
    archive: str = "",
    live: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> dict[str, str | None]:
    """Write the outputs of a session; all of them appear or none, and replace older ones.

    Parameters
    ----------
    result : Result
        From `brainforge.live.exact.ExactPath.finish`.
    folder : Path
        ``NAME-results``; made where it is missing.
    archive : str
        Where the recording is.
    live : mapping
        What is told of the session itself (ledger, ages, restarts, revisions of the operator),
        as ``live`` in the document; beside it stands what ``brainforge process --json`` gives.
    progress : callable | None
        Told the stage in words and the share of it that is done, 0 to 1.

    Returns
    -------
    dict
        Where ``report``, ``connectivity``, ``archive`` and ``result`` are; None for what there
        is not.

    Raises
    ------
    OutputError
        The disk is full, or the folder is a file.
    """
    begun = time.perf_counter()
    with staged(folder, (REPORT, CONNECTIVITY, RESULT), overwrite=True) as aside:
        outputs, report_s = write_views(result, aside, folder, progress or silent)
        outputs["archive"] = archive or None
        timings = {**result.timings, "report_s": report_s}
        timings["total_s"] = result.timings.get("total_s", 0.0) + time.perf_counter() - begun
        document = {**result_document(result, timings, outputs), "live": dict(live or {})}
        write_document(document, aside)
    return {**outputs, "result": str(folder / RESULT)}
