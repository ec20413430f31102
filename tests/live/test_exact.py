"""The exact path takes pieces without making the caller wait, and says where it stands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.checkpoint import read_state
from brainforge.datasets import Phantom
from brainforge.errors import InputError, OutputError
from brainforge.info import Channel, Info
from brainforge.live.exact import SHELF, STATE, ExactPath
from brainforge.recipe import load_recipe

PHANTOM = Phantom(n_channels=6, duration=32.0, seed=2, gaps=(), bad_channels=())


@pytest.fixture(scope="module")
def counts() -> np.ndarray[Any, Any]:
    return PHANTOM.recording().read(0, 32_000).data


def _hours() -> Iterator[float]:
    seconds = 0.0
    while True:
        yield seconds
        seconds += 3600.0


def _path(folder: Path, **options: Any) -> ExactPath:
    options = {"monotonic": _hours().__next__, **options}
    return ExactPath(load_recipe("resting"), PHANTOM.info, Backend(n_threads=1), folder, **options)


def _feed(path: ExactPath, counts: np.ndarray[Any, Any], start: int, stop: int) -> None:
    for at in range(start, stop, 500):
        path.feed(RawBlock(counts[:, at : min(at + 500, stop)], PHANTOM.info, at))


def test_what_it_has_already_is_left_out(counts: np.ndarray[Any, Any], tmp_path: Path) -> None:
    path = _path(tmp_path)
    _feed(path, counts, 0, 2000)
    path.feed(RawBlock(counts[:, 1800:2100], PHANTOM.info, 1800))
    path.feed(RawBlock(counts[:, 0:100], PHANTOM.info, 0))
    assert (path.n_fed, path.next_sample) == (2100, 2100)
    result = path.finish()
    assert result.recording["n_samples"] == 2100
    assert result.recording["gaps"] == []
    path.close()


def test_it_waits_only_where_too_much_is_unprocessed(
    counts: np.ndarray[Any, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, go, begun = _path(tmp_path, backlog_s=3.0), threading.Event(), threading.Event()
    feed = path._pipe.feed

    def held(raw: RawBlock) -> None:
        begun.set()
        assert go.wait(10)
        feed(raw)

    monkeypatch.setattr(path._pipe, "feed", held)
    _feed(path, counts, 0, 1000)
    assert begun.wait(10)
    _feed(path, counts, 1000, 3000)
    assert path.behind == 3000
    waits = threading.Thread(target=_feed, args=(path, counts, 3000, 4000))
    waits.start()
    waits.join(0.05)
    assert waits.is_alive()
    go.set()
    waits.join(10)
    assert not waits.is_alive()
    assert path.n_fed == 4000
    path.close()


def test_what_fails_behind_comes_up_at_the_next_call(
    counts: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    path = _path(tmp_path)
    path._shelf._file.close()
    path._shelf._file = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    _feed(path, counts, 0, 32_000)
    with pytest.raises(OutputError, match="free some space"):
        path.finish()
    with pytest.raises(OutputError):
        path.checkpoint()
    path.close()


def test_other_channels_are_refused(counts: np.ndarray[Any, Any], tmp_path: Path) -> None:
    path = _path(tmp_path)
    _feed(path, counts, 0, 12_000)
    info = PHANTOM.info.pick(PHANTOM.info.names[::-1])
    path.feed(RawBlock(counts[:, 12_000:22_000], info, 12_000))
    with pytest.raises(InputError, match="the same 6 channels"):
        path.finish()
    path.close()


def test_a_stream_without_meg_is_refused_at_once(tmp_path: Path) -> None:
    info = Info(1000.0, (Channel("STI", "stim"),))
    with pytest.raises(InputError, match="at least one MEG channel"):
        ExactPath(load_recipe("resting"), info, Backend(), tmp_path)


def _left_behind(folder: Path, counts: np.ndarray[Any, Any]) -> dict[str, Any]:
    path = _path(folder)
    _feed(path, counts, 0, 25_000)
    path._stop()
    state = path.checkpoint()
    path.close()
    assert read_state(folder / STATE)["n_fed"] == 20_000
    return state


def test_it_goes_on_from_the_last_cell(counts: np.ndarray[Any, Any], tmp_path: Path) -> None:
    state = _left_behind(tmp_path, counts)
    path = _path(tmp_path)
    path.restore(state)
    assert (path.n_fed, path.next_sample) == (20_000, 20_000)
    path.close()


@pytest.mark.parametrize("what", ["missing", "torn", "shelf", "boot", "token"])
def test_it_begins_anew_where_nothing_can_be_gone_on_from(
    what: str, counts: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    state = _left_behind(tmp_path, counts)
    path = _path(tmp_path)
    if what == "missing":
        (tmp_path / STATE).unlink()
    if what == "torn":
        (tmp_path / STATE).write_bytes((tmp_path / STATE).read_bytes()[:-1])
    if what == "shelf":
        (tmp_path / SHELF).write_bytes(b"short")
    if what == "boot":
        path._boot = "another"
    if what == "token":
        state = {"token": "of another session"}
    path.restore(state)
    assert path.n_fed == 0
    _feed(path, counts, 0, 12_000)
    assert path.n_fed == 12_000
    assert path.finish().recording["n_samples"] == 12_000
    path.close()


def test_a_checkpoint_is_written_for_each_cell_but_not_in_a_hurry(
    counts: np.ndarray[Any, Any], tmp_path: Path
) -> None:
    hurried = _path(tmp_path / "hurried", monotonic=lambda: 0.0)
    steady = _path(tmp_path / "steady")
    for path, n_saved in ((hurried, 0), (steady, 3)):
        _feed(path, counts, 0, 32_000)
        path._stop()
        assert path.n_saved == n_saved
        path.close()
