"""Turns: one after another, but nobody waits for one that hangs."""

from __future__ import annotations

import threading

import pytest

from brainforge.acquisition.recorder.turns import Turns, turns_path


def test_one_after_another(tmp_path) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def sync() -> None:
        nonlocal inside, most
        turns = Turns(tmp_path / "turns", patience=20)
        for _ in range(20):
            with turns:
                with lock:
                    inside += 1
                    most = max(most, inside)
                with lock:
                    inside -= 1
        assert turns.skipped == 0
        turns.close()

    threads = [threading.Thread(target=sync) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_nobody_waits_long(tmp_path) -> None:
    hung = Turns(tmp_path / "turns")
    waited: list[float] = []
    other = Turns(tmp_path / "turns", pause=waited.append)
    with hung:
        with other:
            pass
        assert other.skipped == 1
        assert 0.25 <= sum(waited) < 0.28
        with other:
            pass
        assert other.skipped == 2
    waited.clear()
    with other:
        pass
    assert (other.skipped, waited) == (2, [])
    hung.close()
    other.close()


def test_a_file_of_somebody_else_means_no_turns(tmp_path) -> None:
    (tmp_path / "target").write_text("x")
    (tmp_path / "turns").symlink_to(tmp_path / "target")
    with Turns(tmp_path / "turns") as turns:
        assert turns.skipped == 0


def test_where_they_agree(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    path = turns_path(tmp_path)
    assert path.parent == tmp_path
    assert path.name.startswith("brainforge-turns-")
    monkeypatch.setenv("XDG_RUNTIME_DIR", "relative")
    assert str(turns_path(tmp_path).parent) == "/tmp"


@pytest.mark.parametrize("path", [None])
def test_without_a_file_it_goes_ahead(path) -> None:
    with Turns(path) as turns:
        assert turns.skipped == 0
