"""What the terminal shows of a session, in every state it can be in."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from brainforge.cli.live import default_name, parse_options
from brainforge.cli.live_view import end_lines, line, screen
from brainforge.errors import InputError
from brainforge.feed import Snapshot
from brainforge.session.child import Death
from brainforge.session.session import View

RECORDER: dict[str, Any] = {
    "source": "tcp:127.0.0.1:5555",
    "exact": True,
    "received": 1_234_567,
    "committed": 1_234_500,
    "gaps": 2,
    "lost_samples": 312,
    "rate_hz": 999.98,
    "clock": {"drift_ppm": -21.4},
    "disk": {"free_bytes": 72 << 30, "hours_left": 88.2},
    "sync_ms": {"p99": 11.0},
    "cpu_s": 12.0,
    "last_notices": [{"what": "gap", "start": 10, "stop": 22, "cause": "sender lost them"}],
    "alarm": "",
}
STATUS: dict[str, Any] = {
    "age": {"p50_ms": 12.0, "p99_ms": 48.0},
    "revision": 2,
    "bads": [{"name": "MEG 2443", "reason": "noisy"}],
    "heart": {"rate_per_min": 61.2},
    "band_power": {"mag": {"alpha": 400.0, "beta": 25.0, "gamma": None}},
    "calibration": {"state": "waiting", "error": "", "collected_s": 0.0, "wanted_s": 120.0},
    "cpu_s": 40.0,
}


def view(recorder: dict[str, Any], status: dict[str, Any] | None, **fields: Any) -> View:
    topics = {} if status is None else {"status": Snapshot("status", 3, 1.0, status)}
    said: dict[str, Any] = {"stale": False, "silent_s": 0.02, "phase": "live", "restarts": ()}
    return View(recorder=recorder, topics=topics, **{**said, **fields})


def drawn(shown: View) -> str:
    """Return the screen as a terminal of 110 columns shows it."""
    console = Console(file=io.StringIO(), width=110, force_terminal=False)
    console.print(screen(shown))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    print(text)
    return text


def test_a_session_that_is_well() -> None:
    text = drawn(view(RECORDER, STATUS))
    for words in (
        "gaps exact, by a counter", "1 234 567", "312", "1000.0 Hz (-21 ppm)", "12 ms (p99 48)",
        "1: MEG 2443", "61/min", "revision 2", "72 GiB, 88 h", "11 ms", "12 s + 40 s",
        "alpha", "20 fT/√Hz", "sender lost them",
    ):  # fmt: skip
        assert words in text, words
    assert "gamma" not in text
    assert "heart 61/min" in line(view(RECORDER, STATUS))


def test_the_very_beginning() -> None:
    assert "–" in drawn(view({}, None, phase="starting", silent_s=None))
    assert line(view({}, None, phase="starting")).startswith("starting, – samples")


def test_calibrating_and_failing_to() -> None:
    collecting = {"state": "collecting", "error": "", "collected_s": 12.0, "wanted_s": 30.0}
    text = drawn(view(RECORDER, {**STATUS, "revision": 0, "calibration": collecting}))
    assert "collecting 12 of 30 s" in text
    failed = {**collecting, "error": "calibration failed: no rank"}
    assert "no rank" in drawn(view(RECORDER, {**STATUS, "revision": 0, "calibration": failed}))


def test_old_data_and_alarms_cannot_be_overlooked() -> None:
    stale = view(RECORDER, STATUS, stale=True, silent_s=3.2)
    assert "NO DATA for 3.2 s: everything below is old" in drawn(stale)
    assert "NO DATA for 3.2 s" in line(stale)
    alarm = view({**RECORDER, "alarm": "20 min of room left"}, STATUS)
    assert "ALARM: 20 min of room left" in drawn(alarm)
    assert "ALARM: 20 min of room left" in line(alarm)


def test_values_of_a_pipeline_that_is_behind_are_said_to_be_old() -> None:
    shown = view(RECORDER, STATUS, old_s=7.4)
    assert "what the pipeline shows is 7 s old" in drawn(shown)
    assert "values 7 s old" in line(shown)
    assert "heart" not in line(shown)


def test_trouble_and_the_end_are_told() -> None:
    trouble = "not analysed; the recording is not affected: no MEG channel"
    assert trouble in drawn(view(RECORDER, None, trouble=trouble))
    assert trouble in line(view(RECORDER, None, trouble=trouble))
    ending = view(RECORDER, STATUS, phase="finishing")
    assert "the last samples" in drawn(ending)
    said = {"stage": "finding components", "share": 0.42}
    ending.topics["progress"] = Snapshot("progress", 1, 1.0, said)
    assert "finishing: finding components, 42 %" in drawn(ending)
    assert "finding components, 42 %" in line(ending)


def test_restarts_are_told() -> None:
    shown = view(RECORDER, STATUS, restarts=(Death("pipeline", -9, 1.0, "was ended by SIGKILL"),))
    assert "the pipeline was ended by SIGKILL" in drawn(shown)
    assert "1 restarts" in line(shown)


def test_end() -> None:
    ledger = {
        "received": 1000, "stored": 988, "gaps": [{"start": 5, "stop": 17}], "ok": True,
    }  # fmt: skip
    payload = {
        "archive": "a.zarr",
        "recording": ledger,
        "trouble": "",
        "restarts": [{"process": "recorder", "why": "ended with code 1"}],
        "timings": {"stop_to_report_s": 3.21},
        "outputs": {"report": "a-results/report.html", "archive": None},
    }
    lines = list(end_lines(payload))
    assert "note: not analysed" in list(end_lines({**payload, "trouble": "not analysed"}))
    assert lines[0] == "a.zarr: 988 samples stored, 12 lost in 1 gaps, 1000 in all; whole"
    assert "note: the recorder ended with code 1 and was started again" in lines
    assert "report ready 3.2 s after the last sample" in lines
    assert lines[-1] == "report: a-results/report.html"
    broken = {**payload, "recording": None, "outputs": None, "timings": {}}
    assert "brainforge repair a.zarr" in next(iter(end_lines(broken)))


def test_options() -> None:
    assert parse_options(["speed=max", "a-b= 1 "]) == {"speed": "max", "a_b": "1"}
    for wrong in ("speed", "=max"):
        with pytest.raises(InputError, match="KEY=VALUE"):
            parse_options([wrong])


def test_default_name() -> None:
    from datetime import datetime

    assert default_name("lsl:X", datetime(2026, 1, 2, 3, 4, 5)) == "lsl-20260102-030405.zarr"
