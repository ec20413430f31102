"""Settings of a user or a machine: environment over TOML over defaults.

The TOML file is ``~/.config/brainforge/config.toml`` (or ``BRAINFORGE_CONFIG``); its keys are
the fields of :class:`Settings`. Each may be overridden by ``BRAINFORGE_`` and the key in capitals.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from brainforge.errors import InputError

ENV_PREFIX: Final = "BRAINFORGE_"


@dataclass(frozen=True)
class Settings:
    """What a user sets once instead of at every command.

    Parameters
    ----------
    threads : int
        Threads that one recording may use together; 0 means all cores available.
    line_freq : float | None
        Mains frequency in Hz to assume where a recording does not say; None finds it out.
    recipe : str
        Recipe used where none is asked for.
    backend : str
        Where to compute: ``auto``, ``cpu`` or ``cuda``.
    device_memory : float
        GiB of a CUDA device that one recording may use; 0 means most of what is free.
    """

    threads: int = 0
    line_freq: float | None = None
    recipe: str = "resting"
    backend: str = "auto"
    device_memory: float = 0.0


def parse_threads(value: object, where: str) -> int:
    """Return a number of threads, at least 0; InputError for anything else."""
    try:
        number = int(str(value))
    except ValueError:
        number = -1
    if number < 0:
        raise InputError(
            where=where, expected="a whole number of threads, 0 for all", got=repr(value)
        )
    return number


def parse_line_freq(value: object, where: str) -> float | None:
    """Return 50.0, 60.0 or, for ``auto``, None; InputError for anything else."""
    text = str(value).strip().lower()
    if text == "auto":
        return None
    if text in ("50", "50.0", "60", "60.0"):
        return float(text)
    raise InputError(where=where, expected="50, 60 or auto", got=repr(value))


def _parse_recipe(value: object, where: str) -> str:
    if isinstance(value, str) and value:
        return value
    raise InputError(where=where, expected="the name of a recipe", got=repr(value))


def parse_backend(value: object, where: str) -> str:
    """Return auto, cpu or cuda; InputError for anything else."""
    text = str(value).strip().lower()
    if text in ("auto", "cpu", "cuda"):
        return text
    raise InputError(where=where, expected="auto, cpu or cuda", got=repr(value))


def _parse_gib(value: object, where: str) -> float:
    try:
        number = float(str(value))
    except ValueError:
        number = -1.0
    if not 0 <= number < float("inf"):
        raise InputError(where=where, expected="a number of GiB, 0 for automatic", got=repr(value))
    return number


_PARSERS: Final[dict[str, Callable[[object, str], Any]]] = {
    "threads": parse_threads,
    "line_freq": parse_line_freq,
    "recipe": _parse_recipe,
    "backend": parse_backend,
    "device_memory": _parse_gib,
}


def default_config_path(env: Mapping[str, str]) -> Path:
    """Return where the user's TOML file lies, following ``XDG_CONFIG_HOME``."""
    base = env.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")
    return Path(base) / "brainforge" / "config.toml"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise InputError(
            where=str(path), expected="a readable settings file", got=str(error.strerror)
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(where=str(path), expected="TOML", got=str(error)) from error
    known = [field.name for field in fields(Settings)]
    for key in found:
        if key not in known:
            close = get_close_matches(key, known, n=1)
            raise InputError(
                where=str(path),
                expected=f"keys among {', '.join(known)}",
                got=repr(key),
                fix=f"did you mean {close[0]}?" if close else "remove it",
            )
    return found


def load_settings(path: str | Path | None = None, env: Mapping[str, str] | None = None) -> Settings:
    """Return the settings in force.

    Parameters
    ----------
    path : path | None
        TOML file, which must exist; None looks at ``BRAINFORGE_CONFIG`` and then at the
        default place, which need not exist.
    env : mapping | None
        Environment; None for the process's own.

    Raises
    ------
    InputError
        A file that cannot be read, an unknown key, a value out of range.
    """
    env = os.environ if env is None else env
    chosen = path or env.get(f"{ENV_PREFIX}CONFIG")
    file = Path(chosen).expanduser() if chosen else default_config_path(env)
    values: dict[str, Any] = {}
    if chosen or file.is_file():
        for key, value in _read_toml(file).items():
            values[key] = _PARSERS[key](value, f"{file}: {key}")
    for key, parse in _PARSERS.items():
        name = f"{ENV_PREFIX}{key.upper()}"
        if env.get(name):
            values[key] = parse(env[name], name)
    return Settings(**values)
