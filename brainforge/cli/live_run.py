"""Run a session in the foreground: look after it, show it, end it on Ctrl-C."""

from __future__ import annotations

import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

from brainforge.cli.state import ExitCode
from brainforge.session.session import Session, View
from brainforge.session.spec import SessionSpec

#: seconds between two looks at the processes, and between two lines where there is no terminal
LOOK_S, LINE_S = 0.1, 5.0


def run_session(spec: SessionSpec, *, quiet: bool) -> tuple[dict[str, Any], int]:
    """Run a session to its end.

    Parameters
    ----------
    spec : SessionSpec
    quiet : bool
        Show nothing while it runs.

    Returns
    -------
    payload : dict
        What ``brainforge live --json`` prints.
    code : int
        Exit code: 0 done, 3 done in part.

    Raises
    ------
    BrainForgeError
        It could not begin, or was given up; what was recorded is kept.
    """
    begun = time.monotonic()
    with _interrupts() as interrupted, Session(spec) as session, _shown(quiet) as show:
        stopped_at: float | None = None
        while True:
            view = session.poll()
            show(view)
            if view.phase in ("done", "failed"):
                break
            if interrupted() and stopped_at is None:
                stopped_at = time.monotonic()
                session.stop()
            if interrupted() > 1:
                break
            time.sleep(LOOK_S)
        outcome = session.outcome()
    return payload_of(spec, view, outcome, begun, stopped_at)


def payload_of(
    spec: SessionSpec,
    view: View,
    outcome: dict[str, Any],
    begun: float,
    stopped_at: float | None,
) -> tuple[dict[str, Any], int]:
    """Return what is told of a session that has ended, and the exit code."""
    from brainforge.archive import verify_archive

    archive = spec.paths.archive
    finished = (archive / "manifest.json").exists() and not (archive / "live").exists()
    ledger = verify_archive(archive) if finished else None
    timings = dict(outcome.get("timings", {}))
    last = timings.get("last_sample")
    if last is not None:
        end = max(last, stopped_at or last)
        for name in ("findings", "report"):
            timings[f"stop_to_{name}_s"] = timings[f"{name}_ready"] - end
    complete = finished and (not spec.analyse or "outputs" in outcome)
    trouble = outcome["trouble"]
    if finished and not complete and not trouble:
        trouble = (
            f"the analysis was given up: brainforge process {archive} --out "
            f"{spec.paths.results} --overwrite does it"
        )
    payload = {
        "ok": bool(complete and ledger is not None and ledger["ok"]),
        "source": spec.source,
        "archive": str(archive),
        "recording": ledger,
        "recorder": view.recorder,
        "outputs": outcome.get("outputs"),
        "result": _result(spec),
        "live": outcome.get("live"),
        "restarts": outcome["restarts"],
        "trouble": trouble,
        "timings": {**timings, "session_s": time.monotonic() - begun},
    }
    if outcome["recorder_code"] != ExitCode.DONE or trouble or not complete:
        return payload, ExitCode.PART
    return payload, ExitCode.DONE


def _result(spec: SessionSpec) -> dict[str, Any] | None:
    """Return what ``brainforge process --json`` would print of the recording."""
    try:
        found: dict[str, Any] = json.loads(
            (spec.paths.results / "result.json").read_text(encoding="utf-8")
        )
    except FileNotFoundError:
        return None
    return found


@contextmanager
def _interrupts() -> Iterator[Callable[[], int]]:
    """Count Ctrl-C and SIGTERM instead of unwinding: the first ends the session in order.

    A terminal that is closed ends nothing: a connection that breaks must not cost a recording.
    """
    count = 0

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal count
        count += 1

    previous = {s: signal.signal(s, note) for s in (signal.SIGINT, signal.SIGTERM)}
    previous[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: None)
    try:
        yield lambda: count
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


@contextmanager
def _shown(quiet: bool) -> Iterator[Callable[[View], None]]:
    """Give what shows a view: nothing, a line every few seconds, or a table that stays put."""
    if quiet or sys.stderr is None:
        yield lambda view: None
        return
    from brainforge.cli.live_view import line, screen

    if not sys.stderr.isatty():
        shown_at = -LINE_S

        def tell(view: View) -> None:
            nonlocal shown_at
            if time.monotonic() - shown_at >= LINE_S or view.phase in ("done", "failed"):
                shown_at = time.monotonic()
                with suppress(OSError):  # nobody reads it any more; the session goes on
                    print(line(view), file=sys.stderr, flush=True)

        yield tell
        return
    from rich.console import Console
    from rich.live import Live

    shown = Live(console=Console(stderr=True), refresh_per_second=5, transient=True)
    shown.start()
    try:
        yield lambda view: shown.update(screen(view))
    finally:
        with suppress(OSError):  # the terminal may be gone
            shown.stop()
