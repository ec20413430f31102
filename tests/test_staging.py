"""Outputs appear whole or not at all."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from brainforge import staging
from brainforge.errors import OutputError
from brainforge.staging import restored_on_failure, staged


def _tree(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def _write(
    folder: Path,
    text: str,
    *names: str,
    overwrite: bool = False,
    then: type[BaseException] | None = None,
) -> None:
    names = names or ("one",)
    with staged(folder, names, overwrite=overwrite) as aside:
        for name in names:
            (aside / name).write_text(text)
        if then is not None:
            raise then


def test_outputs_move_into_a_new_folder(tmp_path: Path) -> None:
    out = tmp_path / "a" / "b"
    with staged(out, ["one", "two.zarr"]) as aside:
        (aside / "one").write_text("1")
        (aside / "two.zarr").mkdir()
        (aside / "two.zarr" / "x").write_text("2")
        assert [p.name for p in out.iterdir()] == [aside.name]
    assert _tree(out) == {"one": "1", "two.zarr/x": "2"}
    assert len(list(out.iterdir())) == 2
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(out.stat().st_mode) == 0o777 & ~umask


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    with pytest.raises(error):
        _write(tmp_path / "a" / "b", "half", then=error)
    assert list(tmp_path.iterdir()) == []


def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    with pytest.raises(RuntimeError):
        _write(tmp_path, "half", overwrite=True, then=RuntimeError)
    assert _tree(tmp_path) == {"one": "old"}
    assert len(list(tmp_path.iterdir())) == 1


def test_existing_outputs_are_refused(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("old")
    with pytest.raises(OutputError, match="--overwrite"), staged(tmp_path, ["one"]):
        pytest.fail("must not get here")
    assert _tree(tmp_path) == {"one": "old"}


def test_a_dangling_link_counts_as_existing(tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(tmp_path / "nowhere")
    with pytest.raises(OutputError), staged(tmp_path, ["one"]):
        pytest.fail("must not get here")


def test_overwriting_replaces_ours_and_keeps_the_rest(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "stale").write_text("old")
    (tmp_path / "notes.txt").write_text("mine")
    with staged(tmp_path, ["one"], overwrite=True) as aside:
        (aside / "one").mkdir()
        (aside / "one" / "fresh").write_text("new")
    assert _tree(tmp_path) == {"one/fresh": "new", "notes.txt": "mine"}


def test_a_failed_move_is_undone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / name).write_text("old")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.name == "two" and target.parent == tmp_path and self.parent.name != ".replaced":
            raise OSError(5, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="Input/output"):
        _write(tmp_path, "new", "one", "two", overwrite=True)
    assert _tree(tmp_path) == {"one": "old", "two": "old"}


def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(OutputError, match="expected a folder"), staged(tmp_path / "out", []):
        pytest.fail("must not get here")


def test_refusal_names_the_output(tmp_path: Path) -> None:
    staging.refuse_existing(tmp_path, ["one"])
    (tmp_path / "one").mkdir()
    with pytest.raises(OutputError, match="one: expected no such output"):
        staging.refuse_existing(tmp_path, ["zero", "one"])


def test_what_nobody_could_name_before_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "one-1").write_text("old")
    with pytest.raises(OutputError, match="one-1"), staged(tmp_path, ["one"]) as aside:
        (aside / "one-1").write_text("new")
    assert _tree(tmp_path) == {"one-1": "old"}


def test_a_failed_addition_is_undone(tmp_path: Path) -> None:
    (tmp_path / "table.tsv").write_text("one")
    (tmp_path / "sub-01").mkdir()
    with pytest.raises(RuntimeError):
        _add(tmp_path, fail=True)
    assert _tree(tmp_path) == {"table.tsv": "one"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["sub-01", "table.tsv"]
    _add(tmp_path, fail=False)
    assert _tree(tmp_path) == {"table.tsv": "two", "sub-02/meg/data": "x"}


def _add(folder: Path, fail: bool) -> None:
    with restored_on_failure(folder):
        (folder / "table.tsv").write_text("two")
        (folder / "sub-02" / "meg").mkdir(parents=True)
        (folder / "sub-02" / "meg" / "data").write_text("x")
        if fail:
            raise RuntimeError
