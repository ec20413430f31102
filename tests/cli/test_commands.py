"""Every command, from its arguments to what it leaves behind."""

from __future__ import annotations

import json
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest

import brainforge
from tests.cli.conftest import Cli, write_fif

KEYS = {
    "recording", "bad_channels", "artifacts", "components", "findings", "timings",
    "peak_rss_bytes", "outputs", "provenance",
}  # fmt: skip
TIMINGS = {"ingest_s", "preprocess_s", "artifacts_s", "connectivity_s", "report_s", "total_s"}


def _strict(text: str) -> Any:
    return json.loads(text, parse_constant=lambda name: pytest.fail(f"not strict: {name}"))


def test_version(cli: Cli) -> None:
    assert cli("--version") == (0, f"brainforge {brainforge.__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        "demo",
        "diagnose",
        "process",
        "info",
        "import",
        "export",
        "verify",
        "repair",
        "recipes",
        "phantom",
    ],
)
def test_every_command_explains_itself_and_has_json(cli: Cli, command: str) -> None:
    ran = cli(command, "--help")
    assert ran.code == 0
    assert "--json" in ran.out
    assert "--debug" in ran.out


def test_recipes_are_listed_and_printed(cli: Cli) -> None:
    listed = cli("recipes")
    assert "resting" in listed.out
    assert "short" in listed.out
    printed = cli("recipes", "resting")
    assert tomllib.loads(printed.out)["name"] == "resting"
    every = _strict(cli("recipes", "--json").out)["recipes"]
    assert {"resting", "short"} <= {recipe["name"] for recipe in every}
    one = _strict(cli("recipes", "resting", "--json").out)
    assert f"# hash {one['hash']}" in printed.out.splitlines()


def test_a_printed_recipe_can_be_given_back(cli: Cli, tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(cli("recipes", "short").out)
    one, two = (_strict(cli("recipes", name, "--json").out) for name in ("short", mine))
    assert one["hash"] == two["hash"]


def test_phantom_writes_its_truth_beside_it(cli: Cli, small_archive: Path) -> None:
    truth = _strict(small_archive.with_suffix(".truth.json").read_text())
    assert truth["phantom"]["seed"] == 3
    facts = _strict(cli("info", small_archive, "--json").out)
    assert (facts["n_channels"], facts["sfreq"], facts["duration_s"]) == (32, 500.0, 40.0)
    assert "32" in cli("info", small_archive).out


def test_verify_tells_whole_from_damaged(cli: Cli, small_archive: Path, tmp_path: Path) -> None:
    assert _strict(cli("verify", small_archive, "--json").out)["ok"] is True
    assert "whole" in cli("verify", small_archive).out
    copy = tmp_path / "copy.zarr"
    shutil.copytree(small_archive, copy)
    shard = max((p for p in copy.rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    ran = cli("verify", copy)
    assert ran.code == 2
    assert "damaged" in ran.out
    assert _strict(cli("verify", copy, "--json").out)["problems"]


def test_import_and_export_keep_the_samples(cli: Cli, tmp_path: Path) -> None:
    import mne
    import numpy as np

    file = write_fif(tmp_path / "one_raw.fif", seconds=5)
    archive, back = tmp_path / "one.zarr", tmp_path / "back_raw.fif"
    assert cli("import", file, "--out", archive, "--quiet").code == 0
    assert cli("export", archive, "--to", "fif", "--out", back, "--quiet").code == 0
    before, after = (mne.io.read_raw_fif(f, verbose="error") for f in (file, back))
    np.testing.assert_array_equal(after.get_data(), before.get_data())
    assert cli("import", file, "--out", archive, "--quiet").code == 2
    assert cli("import", file, "--out", archive, "--quiet", "--overwrite", "--json").code == 0


def test_export_adds_to_a_bids_data_set(cli: Cli, small_archive: Path, tmp_path: Path) -> None:
    root = tmp_path / "bids"
    options = ("--to", "bids", "--out", root, "--line-freq", "50", "--quiet")
    for subject in ("01", "02"):
        ran = cli("export", small_archive, *options, "--subject", subject)
        assert ran.code == 0, ran.err
    assert {"sub-01", "sub-02", "participants.tsv"} <= {p.name for p in root.iterdir()}
    before = sorted(root.rglob("*"))
    again = cli("export", small_archive, *options, "--subject", "02")
    assert again.code == 2
    assert again.err.count("\n") == 1
    assert cli("export", small_archive, *options, "--subject", "a b").code == 2
    assert sorted(root.rglob("*")) == before


def test_process_writes_everything_and_one_json_object(
    cli: Cli, small_archive: Path, tmp_path: Path
) -> None:
    import xarray

    out = tmp_path / "a" / "out"
    ran = cli("process", small_archive, "--out", out, "--json", "--quiet")
    assert ran.code == 0, ran.err
    assert ran.err == ""
    payload = _strict(ran.out)
    assert set(payload) >= KEYS
    assert set(payload["timings"]) >= TIMINGS
    assert payload["timings"]["total_s"] >= payload["timings"]["report_s"] > 0
    assert payload["recording"]["n_channels"] == 32
    assert payload["recording"]["sfreq"] == 500.0
    assert payload["recording"]["duration_s"] == pytest.approx(40.0)
    assert payload["artifacts"]["ecg"]["n_events"] >= 0
    assert payload["peak_rss_bytes"] > 50e6
    assert payload["outputs"]["archive"] == str(small_archive)
    assert sorted(p.name for p in out.iterdir()) == [
        "connectivity.zarr",
        "report.html",
        "result.json",
    ]
    assert _strict((out / "result.json").read_text()) == payload
    with xarray.open_zarr(payload["outputs"]["connectivity"]) as opened:
        assert "wpli2_debiased_alpha" in opened


def test_process_in_words(cli: Cli, tmp_path: Path) -> None:
    file = write_fif(tmp_path / "two.seconds_raw.fif", seconds=2)
    out = tmp_path / "out"
    ran = cli("process", file, "--out", out, "--recipe", "short", "--line-freq", "50")
    assert ran.code == 0, ran.err
    assert "Findings" in ran.out
    assert str(out / "report.html") in ran.out
    assert "Traceback" not in ran.err
    assert ": done" in ran.err
    names = {p.name for p in out.iterdir()}
    assert {"report.html", "result.json", "two.seconds_raw.zarr"} <= names
    again = cli("process", file, "--out", out, "--recipe", "short", "--overwrite", "--no-archive")
    assert again.code == 0, again.err
