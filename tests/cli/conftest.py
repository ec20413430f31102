"""Running the command line in this process, and small recordings to run it on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from brainforge.cli import main


class Ran(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


Cli = Callable[..., Ran]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Cli:
    """Return a function that runs ``brainforge`` without the user's own settings."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for key in ("CONFIG", "THREADS", "LINE_FREQ", "RECIPE", "BACKEND", "DEVICE_MEMORY"):
        monkeypatch.delenv(f"BRAINFORGE_{key}", raising=False)

    def run(*arguments: object) -> Ran:
        capsys.readouterr()
        code = main([str(a) for a in arguments])
        return Ran(code, *capsys.readouterr())

    return run


def write_fif(
    path: Path,
    seconds: float = 30.0,
    n_channels: int = 20,
    scale: float = 1e-12,
    kind: str = "mag",
    change: Callable[[np.ndarray], Any] | None = None,
) -> Path:
    """Write noise as FIF, without sensor positions; ``change`` may spoil the samples."""
    import mne

    rng = np.random.default_rng(0)
    info = mne.create_info([f"M{i:03d}" for i in range(n_channels)], 500.0, kind, verbose="error")
    data = rng.standard_normal((n_channels, round(seconds * 500))) * scale
    if change is not None:
        change(data)
    mne.io.RawArray(data, info, verbose="error").save(path, fmt="single", verbose="error")
    return path


@pytest.fixture(scope="session")
def small_archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the archive of 40 s of a phantom of 32 channels, with its truth beside it."""
    path = tmp_path_factory.mktemp("phantom") / "small.zarr"
    options = ["--duration", "40", "--channels", "32", "--sfreq", "500", "--seed", "3", "--quiet"]
    assert main(["phantom", "--out", str(path), *options]) == 0
    return path
