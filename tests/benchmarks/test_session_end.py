"""The benchmark of a session's end runs at a tiny size; its equality must hold, times may not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.session_end import main


def test_a_tiny_session_ends_as_offline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "end.json"
    main(
        ["--minutes", "0.5", "--channels", "20", "--aec", "without", "--repeats", "1", "--check",
         "--folder", str(tmp_path), "--json", str(out)]
    )  # fmt: skip
    (row,) = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert row["equal"]
    assert row["run"]["checkpoints"] == 2
    assert row["median_wall_s"] > 0
    assert "the same as offline: yes" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["end.json"]
