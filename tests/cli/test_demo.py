"""What a newcomer runs first."""

from __future__ import annotations

import json
from pathlib import Path

from tests.cli.conftest import Cli


def test_demo_processes_both_recordings_and_compares_with_the_truth(
    cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "demo"
    # an earlier demo is replaced
    (out / "sample").mkdir(parents=True)
    (out / "sample" / "report.html").write_text("an earlier one")
    ran = cli("demo", "--out", out, "--seconds", "30", "--json", "--quiet")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["sample"]["recording"]["n_channels"] == 376
    assert "MEG 2443" in [bad["name"] for bad in told["sample"]["bad_channels"]]
    assert told["phantom"]["recording"]["n_channels"] == 306
    checks = {check["what"]: check for check in told["phantom"]["truth"]}
    assert any(check["planted"] == "flat" and check["ok"] for check in checks.values())
    assert "heartbeats" in checks
    for name in ("sample", "phantom"):
        report = Path(told[name]["outputs"]["report"])
        assert report.read_text(encoding="utf-8").lower().startswith("<!doctype html>")
