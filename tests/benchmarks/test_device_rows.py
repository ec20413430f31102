"""The GPU's benchmark without a GPU: it says so; and it runs where the CPU stands for one."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest

from benchmarks import device
from benchmarks.device_rows import KERNELS, MEASURES, STAGES
from benchmarks.material import Material
from brainforge.backend import Backend


class Stand:
    """The CPU in the place of a GPU."""

    name, context_s = "stand-in", 0.1

    def put(self, array):
        return array

    def seconds(self, call):
        begun = time.perf_counter()
        call()
        return time.perf_counter() - begun


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    return Material(0.4, tmp_path_factory.mktemp("device"), 16)


@pytest.mark.parametrize("row", KERNELS, ids=lambda row: row.name)
def test_every_kernel_row_runs(row, material):
    found = device.kernel_result(row, material, Stand(), 2)
    assert found["wall_s"] > 0
    assert found["error"] == 0.0


@pytest.mark.parametrize("row", MEASURES, ids=lambda row: row.name)
def test_every_measure_row_runs(row, material):
    found = device.measure_result(row, material, Stand(), Backend(), 1)
    assert found["wall_s"] > 0
    assert found["error"] == 0.0


def test_the_job_gives_every_stage(material):
    found = device.job_results(material, Stand(), Backend(), patients=1, repeats=1)
    assert set(found) == {s.name for s in STAGES} | {"patients"}
    assert found["whole"]["wall_s"] > found["report"]["wall_s"] > 0
    assert found["whole"]["error"] == 0.0


def test_a_row_that_fails_says_why():
    def broken():
        raise MemoryError("out of it")

    assert device._tried(broken)["status"] == "failed on hardware: MemoryError: out of it"


def test_difference_is_relative_and_looks_everywhere():
    a = {"x": np.array([1.0, np.nan, -4.0]), "y": (np.zeros(2), np.zeros(0))}
    b = {"x": np.array([1.0, np.nan, -4.4]), "y": (np.zeros(2), np.zeros(0))}
    assert device.difference(a, a) == 0.0
    assert device.difference(a, b) == pytest.approx(0.4 / 4.4)


def test_without_a_gpu_measured_rows_stay(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(device, "cuda_trouble", lambda: "none here")
    path = tmp_path / "device.json"
    assert device.main(["--json", str(path)]) == 0
    assert "no GPU: none here" in capsys.readouterr().out
    rows = json.loads(path.read_text())["rows"]
    assert {row["status"] for row in rows} == {device.WAITING}
    rows[0].update(wall_s=0.01, status="measured")
    path.write_text(json.dumps({"rows": rows[:-1]}))
    assert device.main(["--json", str(path)]) == 0
    again = json.loads(path.read_text())["rows"]
    assert again[0]["wall_s"] == 0.01
    assert [row["name"] for row in again] == [row["name"] for row in rows]


def test_the_committed_file_knows_every_row():
    rows = json.loads(device.DEVICE.read_text())["rows"]
    wanted = {row.name for row in (*STAGES, *MEASURES, *KERNELS)} & {
        row["name"] for row in device.waiting()
    }
    assert wanted <= {row["name"] for row in rows}
