"""Settings: environment over TOML over defaults, and mistakes named in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from brainforge.config import Settings, load_settings
from brainforge.errors import InputError


def _home(tmp_path: Path, text: str) -> dict[str, str]:
    folder = tmp_path / "brainforge"
    folder.mkdir()
    (folder / "config.toml").write_text(text)
    return {"XDG_CONFIG_HOME": str(tmp_path)}


def test_defaults_where_nothing_is_set(tmp_path: Path) -> None:
    assert load_settings(env={"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    env = _home(tmp_path, 'threads = 3\nline_freq = 60\nrecipe = "short"\n')
    assert load_settings(env=env) == Settings(3, 60.0, "short")
    env |= {"BRAINFORGE_THREADS": "5", "BRAINFORGE_LINE_FREQ": "auto"}
    assert load_settings(env=env) == Settings(5, None, "short")


def test_a_file_given_wins_over_the_default_place(tmp_path: Path) -> None:
    env = _home(tmp_path, "threads = 3\n")
    other = tmp_path / "other.toml"
    other.write_text("threads = 4\n")
    assert load_settings(other, env).threads == 4
    assert load_settings(env={**env, "BRAINFORGE_CONFIG": str(other)}).threads == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("thread = 2", "did you mean threads?"),
        ("threads = -1", "a whole number of threads"),
        ("threads = 1.5", "a whole number of threads"),
        ("line_freq = 55", "50, 60 or auto"),
        ("recipe = 3", "the name of a recipe"),
        ("threads =", "expected TOML"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("?", r"\?")) as caught:
        load_settings(env=_home(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "config.toml" in str(caught.value)


def test_a_mistake_in_the_environment_names_the_variable() -> None:
    with pytest.raises(InputError, match="BRAINFORGE_THREADS"):
        load_settings(env={"BRAINFORGE_THREADS": "many"})


def test_a_file_asked_for_must_exist(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a readable settings file"):
        load_settings(tmp_path / "absent.toml", {})
