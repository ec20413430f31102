"""Strict JSON, and progress that fits the place it is shown in."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from brainforge.cli.output import show, table
from brainforge.cli.progress import progress
from brainforge.strict_json import jsonable, to_json


@dataclass(frozen=True)
class Pair:
    a: float
    b: tuple[int, ...]


def test_json_is_strict_and_plain() -> None:
    payload: dict[str, object] = {
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "count": np.int64(3),
        "flag": np.bool_(True),
        "array": np.array([[1.0, np.nan]]),
        "path": Path("/a/b"),
        "pair": Pair(1.5, (1, 2)),
        "unit": "µV/√Hz",
    }
    text = to_json(payload)
    assert text.isascii()
    back = json.loads(text, parse_constant=lambda name: pytest.fail(f"not strict: {name}"))
    assert back == {
        "nan": None,
        "inf": None,
        "count": 3,
        "flag": True,
        "array": [[1.0, None]],
        "path": "/a/b",
        "pair": {"a": 1.5, "b": [1, 2]},
        "unit": "µV/√Hz",
    }


def test_json_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TypeError, match="no JSON form for object"):
        jsonable(object())


def test_plain_progress_says_beginning_and_end(capsys: pytest.CaptureFixture[str]) -> None:
    with progress() as tell:
        for share in (0.0, 0.3, 0.9, 1.0, 1.0):
            tell("filtering", share)
        tell("streaming", 0.0)
        tell("report", 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "filtering ...",
        "filtering: done",
        "streaming ...",
        "streaming: done",
        "report: done",
    ]


def test_quiet_progress_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with progress(quiet=True) as tell:
        tell("filtering", 0.5)
    assert capsys.readouterr() == ("", "")


def test_bars_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with progress() as tell:
        tell("filtering", 0.5)
        tell("filtering", 1.0)
    out, err = capsys.readouterr()
    assert out == ""
    assert "filtering" in err


def test_tables_take_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    made = table("Title", "name", "value", right=("value",))
    made.add_row("[bold]MEG 2443[/bold]", "1")
    show(made, "a line [red]as it is[/red]")
    out = capsys.readouterr().out
    assert "[bold]MEG 2443[/bold]" in out
    assert out.splitlines()[-1] == "a line [red]as it is[/red]"
