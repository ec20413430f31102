"""`brainforge diagnose` says which backend would be used and why."""

from __future__ import annotations

import json

import pytest

from brainforge.kernels.device.memory import describe
from tests.cli.conftest import Cli

pytestmark = pytest.mark.skipif(
    describe()["available"], reason="a CUDA device is here: what is tested is a machine without"
)


def test_without_cuda_the_cpu_is_used_and_the_reason_said(cli: Cli) -> None:
    ran = cli("diagnose", "--json")
    facts = json.loads(ran.out)
    assert (ran.code, ran.err) == (0, "")
    assert facts["backend"] == "cpu"
    assert facts["why"] == facts["cuda"]["why"] != ""
    assert facts["threads"] >= 1


def test_every_kernel_has_a_twin_or_a_reason(cli: Cli) -> None:
    rows = json.loads(cli("diagnose", "--json").out)["kernels"]
    assert len(rows) > 10
    assert all(bool(row["device"]) != bool(row["why_not"]) for row in rows)
    shown = cli("diagnose", "--kernels").out
    assert all(row["name"] in shown for row in rows)


def test_asked_for_cuda_diagnose_tells_and_process_refuses(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, small_archive, tmp_path
) -> None:
    monkeypatch.setenv("BRAINFORGE_BACKEND", "cuda")
    told = cli("diagnose")
    assert told.code == 0
    assert "cuda was asked for" in told.out
    refused = cli("process", small_archive, "--out", tmp_path / "out")
    assert refused.code == 2
    assert "brainforge diagnose" in refused.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_backend_is_named(cli: Cli, small_archive, tmp_path) -> None:
    ran = cli("process", small_archive, "--out", tmp_path / "out", "--backend", "abacus")
    assert ran.code == 2
    assert "auto, cpu or cuda" in ran.err
    assert "abacus" in ran.err
