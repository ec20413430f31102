"""What a live session ends with is what reprocessing its archive gives, interrupted or not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import brainforge as bf
from brainforge.archive import import_recording, open_archive
from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.live.exact import ExactPath
from brainforge.pipeline.assemble import Account
from brainforge.recipe import load_recipe
from brainforge.recording import Gap, Recording, recording_from_array
from brainforge.result import Result
from tests.equal import assert_equal_results

SECONDS = 75
BACKEND = Backend(n_threads=2)
GAPS = (Gap(12_345, 12_360, "sender restarted"), Gap(48_000, 48_700, "connection lost"))


@cache
def _faulty() -> Recording:
    """Return a phantom with gaps, stretches that are not finite and a railed one."""
    phantom = bf.datasets.Phantom(n_channels=24, duration=SECONDS, seed=11, gaps=())
    with phantom.source(10_000) as source:
        data = np.concatenate([block.data for block in source], axis=1).astype(np.float32)
    data[3, 20_000:20_002] = np.nan
    data[5, 33_000:33_600] = np.inf
    data[7, 39_900:40_800] = data[7].max() + 1000
    return recording_from_array(data, phantom.info, gaps=GAPS)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("archive") / "session.zarr"
    import_recording(_faulty(), path)
    return path


@pytest.fixture(scope="module")
def offline(archive: Path) -> Result:
    return bf.process(open_archive(archive), backend=BACKEND)


def _pieces(seed: int) -> Iterator[RawBlock]:
    """Yield the recording as a source brings it: odd pieces, sample-major memory used again."""
    rng, recording = np.random.default_rng(seed), _faulty()
    memory = np.empty((3000, recording.info.n_channels), np.float32)
    for start, stop in recording.segments:
        at = start
        while at < stop:
            end = min(at + int(rng.choice((1, 49, 50, 997, 3000))), stop)
            view = memory[: end - at]
            view[:] = recording.read(at, end).data.T
            yield RawBlock(view.T, recording.info, at)
            at = end


def _every_cell() -> Iterator[float]:
    """Give times so far apart that every cell has its checkpoint."""
    seconds = 0.0
    while True:
        yield seconds
        seconds += 100.0


def _path(folder: Path) -> ExactPath:
    return ExactPath(
        load_recipe("resting"), _faulty().info, BACKEND, folder, monotonic=_every_cell().__next__
    )


def test_a_session_ends_with_what_its_archive_gives(
    archive: Path, offline: Result, tmp_path: Path
) -> None:
    path = _path(tmp_path)
    for piece in _pieces(1):
        path.feed(piece)
    result = path.finish(lambda: Account.of(open_archive(archive)))
    path.close()
    assert_equal_results(result, offline)
    assert result.recording == offline.recording
    assert [g["cause"] for g in result.recording["gaps"]] == [g.cause for g in GAPS]
    assert result.provenance["input"] == offline.provenance["input"]
    assert result.warnings == offline.warnings
    np.testing.assert_array_equal(result.operator.matrix, offline.operator.matrix)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
def test_a_process_that_takes_over_ends_with_the_same(
    share: float, archive: Path, offline: Result, tmp_path: Path
) -> None:
    pieces = list(_pieces_kept(2))
    dies, path = int(share * len(pieces)), _path(tmp_path)
    for piece in pieces[:dies]:
        path.feed(piece)
    state = path.checkpoint()
    path.close()

    path = _path(tmp_path)
    path.restore(state)
    fed = path.n_fed
    assert fed == sum(p.data.shape[1] for p in pieces if p.stop <= path.next_sample) or fed == 0
    # it begins again somewhat earlier than it has to
    for piece in pieces[max(dies - 60, 0) if fed else 0 :]:
        path.feed(piece)
    result = path.finish(Account.of(open_archive(archive)))
    path.close()
    assert_equal_results(result, offline)
    assert result.recording == offline.recording


def _pieces_kept(seed: int) -> Iterator[RawBlock]:
    for piece in _pieces(seed):
        yield RawBlock(piece.data.copy(), piece.info, piece.start)


#: feeds an archive again and again as if time went on, until it is killed
FEEDER = """
import sys
from itertools import count
from pathlib import Path
from brainforge.archive import open_archive
from brainforge.backend import Backend
from brainforge.live.exact import ExactPath
from brainforge.recipe import load_recipe

recording, hours = open_archive(Path(sys.argv[1])), count(0, 3600)
path = ExactPath(
    load_recipe("resting"), recording.info, Backend(n_threads=2), Path(sys.argv[2]),
    monotonic=lambda: float(next(hours)),
)
print(path.checkpoint()["token"], flush=True)
for block in recording.blocks(777):
    path.feed(block)
    print(path.n_fed, flush=True)
    sys.stdin.readline()
"""


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_process_that_is_killed_leaves_what_the_next_one_needs(
    seed: int, archive: Path, offline: Result, tmp_path: Path
) -> None:
    rng = np.random.default_rng(seed)
    dies = int(rng.integers(22_000, 74_000))
    print("seed", seed, "killed at about sample", dies)
    recording = open_archive(archive)
    command = [sys.executable, "-c", FEEDER, str(archive), str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        token = child.stdout.readline().decode().strip()
        # far ahead of what is done: it dies in the middle of a cell or of a checkpoint
        while int(child.stdout.readline()) < dies:
            child.stdin.write(b"\n")
            child.stdin.flush()
        child.kill()

    path = _path(tmp_path)
    path.restore({"token": token})
    print("gone on from", path.n_fed)
    for block in recording.blocks(1000):
        path.feed(block)
    assert path.n_fed == sum(stop - start for start, stop in recording.segments)
    result = path.finish(Account.of(recording))
    path.close()
    assert_equal_results(result, offline)
    assert result.recording == offline.recording
