"""The end of a session: findings and the report from what the exact path holds."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from brainforge.archive import open_archive
from brainforge.errors import ReadError
from brainforge.live.outputs import write_outputs
from brainforge.pipeline.assemble import Account
from brainforge.recording import Recording
from brainforge.session.header import is_finished

if TYPE_CHECKING:
    from brainforge.session.worker import Worker

#: seconds that the recorder may take to finish its archive
ARCHIVE_S = 120.0


def finish(worker: Worker) -> None:
    """Learn, measure, write the report and say what became of it in ``outcome.json``."""
    begun = time.monotonic()
    last = worker.last_arrival
    # what is told of the recording besides its samples is in the archive, a moment later
    archive = worker.paths.archive

    def account() -> Account:
        recording = finished_archive(archive)
        worker.check_all_taken(recording)
        return Account.of(recording)

    result = worker.exact.finish(account, worker.tell)
    found = time.monotonic()
    live = worker.live_part()
    outputs = write_outputs(
        result, worker.paths.results, archive=str(archive), live=live,
        progress=worker.tell,
    )  # fmt: skip
    written = time.monotonic()
    document = {
        "outputs": outputs,
        "live": live,
        "timings": {
            "last_sample": last,
            "begun": begun,
            "findings_ready": found,
            "report_ready": written,
            **result.timings,
        },
        "peak_rss_bytes": result.peak_rss_bytes,
    }
    partial = worker.paths.outcome.with_suffix(".partial")
    partial.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
    partial.replace(worker.paths.outcome)


def finished_archive(path: Path, patience: float = ARCHIVE_S) -> Recording:
    """Return the recording once the recorder has published it.

    Raises
    ------
    ReadError
        It does not come.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if is_finished(path):
            return open_archive(path)
        time.sleep(0.02)
    raise ReadError(
        where=str(path), expected="a finished recording", got=f"none in {patience:g} s",
        fix=f"brainforge repair {path}",
    )  # fmt: skip
