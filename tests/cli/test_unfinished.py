"""Archives that are being recorded or were interrupted: one line, and the way on."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brainforge.archive.growing import Account, GrowingArchive, lock
from brainforge.info import Channel, Info
from tests.cli.conftest import Cli
from tests.faults.recorder_server import Order, Recorders


@pytest.fixture
def growing(tmp_path: Path) -> GrowingArchive:
    info = Info(10.0, tuple(Channel(f"C{i}", "mag", cal=1e-15) for i in range(4)))
    archive = GrowingArchive.create(
        tmp_path / "a.zarr", info, np.int16, source={}, shard_samples=50
    )
    archive.seal(0, np.arange(200, dtype=np.int16).reshape(4, 50))
    return archive


@pytest.mark.parametrize("command", [("info",), ("process", "--out", "report.html", "--quiet")])
def test_an_interrupted_one_names_the_way_on(
    cli: Cli, growing: GrowingArchive, command: tuple[str, ...]
) -> None:
    ran = cli(command[0], growing.path, *command[1:])
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.count("\n") == 1
    assert f"interrupted; finish it with: brainforge repair {growing.path}" in ran.err


def test_one_that_is_being_recorded_names_who_does(cli: Cli, growing: GrowingArchive) -> None:
    with lock(growing.path):
        ran = cli("info", growing.path)
    assert ran.code == 2
    assert f"process {os.getpid()} has been recording since" in ran.err


def test_a_finished_one_has_nothing_to_repair(cli: Cli, growing: GrowingArchive) -> None:
    growing.finish(Account(3, 53))
    ran = cli("repair", growing.path)
    assert ran.code == 0
    assert "nothing to repair" in ran.out
    assert "50 samples received, 50 stored" in ran.out
    found = json.loads(cli("repair", growing.path, "--json").out)
    assert (found["ok"], found["state"], found["repaired"]) == (True, "finished", False)
    assert (found["received"], found["exact"], found["ledger"]) == (50, True, {})


def test_repair_of_nothing_is_one_line(cli: Cli, tmp_path: Path) -> None:
    ran = cli("repair", tmp_path / "none.zarr")
    assert (ran.code, ran.out) == (2, "")
    assert "nothing there" in ran.err


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Return a recording whose recorder was killed in its midst."""
    out = tmp_path_factory.mktemp("killed") / "a.zarr"
    order = Order(str(out))
    with Recorders() as recorders:
        worker = threading.Thread(target=recorders.run, args=(order,))
        worker.start()
        while not (out / "counts/c/0/0").exists():
            time.sleep(0.005)  # the first shard is the sign that enough is there
        os.kill(recorders.child, signal.SIGKILL)
        worker.join()
    yield out
    order.remove_ring()


def test_verify_then_repair_then_verify(cli: Cli, interrupted: Path) -> None:
    ran = cli("verify", interrupted, "--json")
    found = json.loads(ran.out)
    assert (ran.code, found["state"], found["ok"]) == (3, "interrupted", True)
    before = found["stored"]
    assert before >= 300
    assert found["received"] == before + sum(g["stop"] - g["start"] for g in found["gaps"])
    text = cli("verify", interrupted)
    assert text.code == 3
    assert f"interrupted (finish it with: brainforge repair {interrupted})" in text.out
    assert "exact, by counter" in text.out
    ran = cli("repair", interrupted)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith("finished what was interrupted\n")
    found = json.loads(cli("verify", interrupted, "--json").out)
    assert (found["state"], found["ok"], found["exact"]) == ("finished", True, True)
    assert found["stored"] >= before
    assert cli("info", interrupted).code == 0
    assert "nothing to repair" in cli("repair", interrupted).out


def test_repair_lets_a_living_recorder_alone(cli: Cli, growing: GrowingArchive) -> None:
    with lock(growing.path):
        ran = cli("repair", growing.path)
    assert (ran.code, ran.out) == (2, "")
    assert f"is being recorded by process {os.getpid()}" in ran.err
    assert ran.err.count("\n") == 1
    assert growing.shard_path(0).exists()
