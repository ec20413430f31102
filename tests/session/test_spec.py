"""What a session refuses before anything is started."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from brainforge.errors import InputError, OutputError
from brainforge.session.spec import SessionSpec


@pytest.fixture
def spec(tmp_path: Path) -> SessionSpec:
    return SessionSpec(source="phantom", archive=str(tmp_path / "a.zarr"))


def test_round_trip(spec: SessionSpec) -> None:
    full = replace(spec, options={"speed": "max"}, duration=12.5, counter_channel="C", threads=1)
    assert SessionSpec.from_json(full.to_json()) == full
    spec.check()


def test_paths(spec: SessionSpec, tmp_path: Path) -> None:
    paths = spec.paths
    assert paths.results == tmp_path / "a-results"
    assert paths.scratch == tmp_path / ".a.session"
    assert paths.checkpoint.parent == paths.scratch


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"archive": "a.fif"}, InputError, "expected NAME.zarr, got a.fif"),
        ({"duration": 0.0}, InputError, "positive number of seconds"),
        ({"duration": float("nan")}, InputError, "positive number of seconds"),
        ({"duration": float("inf")}, InputError, "positive number of seconds"),
        ({"ring_s": 0.5}, InputError, "1 to 600 seconds, got 0.5"),
        ({"block_s": 2.0}, InputError, r"0.005 to 1 seconds, got 2"),
        ({"recipe": "restin"}, InputError, "resting"),
        ({"archive": "/no such folder/a.zarr"}, OutputError, "a folder that exists"),
    ],
)
def test_mistakes(spec: SessionSpec, change, error, words: str) -> None:
    with pytest.raises(error, match=words):
        replace(spec, **change).check()


def test_what_another_session_has_left_is_told(spec: SessionSpec, tmp_path: Path) -> None:
    (tmp_path / ".a.session").mkdir()
    with pytest.raises(OutputError, match=r".a.session: another session of this name runs or was"):
        spec.check()


@pytest.mark.parametrize("name", ["a.zarr", "a-results"])
def test_nothing_is_overwritten(spec: SessionSpec, tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OutputError, match=f"{name}: exists already; brainforge repair"):
        spec.check()
