"""The crash matrix: a handful of its trials by seed here, all of them in the slow test.

After every death, cut or misdeed no acknowledged sample is missing, none is invented, and the
ledger adds up; `tests/faults/oracle.py` says how that is seen.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import crash_matrix
from tests.faults.bad_disks import FAILURES, failing, full_disk, second_recorder, torn
from tests.faults.kills import kill, points
from tests.faults.matrix_page import to_page
from tests.faults.power_cuts import cuts, judge, record
from tests.faults.recorder_server import Recorders
from tests.faults.system_calls import require_strace

SEED = random.SystemRandom().randrange(10_000)
N_KILLS, N_TORN = 5, 6


@pytest.fixture(scope="module", autouse=True)
def _strace() -> None:
    require_strace()


@pytest.fixture(scope="module")
def recorders() -> Iterator[Recorders]:
    with Recorders() as made:
        yield made


@pytest.fixture
def seeds() -> random.Random:
    print(f"seed {SEED}")
    return random.Random(SEED)


def test_killed_at_a_system_call(
    recorders: Recorders, tmp_path: Path, seeds: random.Random
) -> None:
    for number, point in enumerate(seeds.sample(points(recorders, tmp_path), N_KILLS)):
        row = kill(recorders, tmp_path, point, takeover=bool(number % 2))
        assert not row.problems, row


def test_power_cut_at_a_system_call(
    recorders: Recorders, tmp_path: Path, seeds: random.Random
) -> None:
    (tmp_path / "disk").mkdir()
    told = record(recorders, tmp_path / "disk", tmp_path / "calls")
    where = tmp_path / "left"
    for cut in cuts(told, tmp_path / "disk", where, seeds, strict=0.04, kinder=0.007):
        assert not judge(where, cut), cut


def test_last_frame_torn(recorders: Recorders, tmp_path: Path, seeds: random.Random) -> None:
    for trial in torn(recorders, tmp_path, seeds, N_TORN):
        assert not trial.problems, trial


@pytest.mark.parametrize("failure", [FAILURES[1], FAILURES[-3]], ids=["sync", "hang"])
def test_disk_that_fails_or_hangs(
    recorders: Recorders, tmp_path: Path, failure: tuple[str, str, str, str]
) -> None:
    trial = failing(recorders, tmp_path, failure)
    assert not trial.problems, trial


def test_two_recorders_on_one_archive(recorders: Recorders, tmp_path: Path) -> None:
    with Recorders() as others:
        for trial in second_recorder(recorders, others, tmp_path):
            assert not trial.problems, trial


def test_disk_full(tmp_path: Path) -> None:
    try:
        trial = full_disk(tmp_path, 4096)
    except RuntimeError as error:
        pytest.skip(f"no small disk of its own here (unshare, mount of tmpfs): {error}")
    assert not trial.problems, trial


def test_the_published_page_is_that_of_its_results() -> None:
    results = json.loads(crash_matrix.RESULTS.read_text(encoding="utf-8"))
    assert crash_matrix.PAGE.read_text(encoding="utf-8") == to_page(results)
    assert crash_matrix.failures(results) == []
    assert len(results["kills"]) > 300
    assert all(row["killed"] for row in results["kills"])


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_whole_matrix(tmp_path: Path) -> None:
    results = json.loads(json.dumps(crash_matrix.run(tmp_path)))
    assert crash_matrix.failures(results) == []
