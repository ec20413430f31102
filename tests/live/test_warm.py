"""A session is warmed up without leaving anything behind."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from brainforge.info import Channel, Info
from brainforge.live.warm import warm
from brainforge.recipe import load_recipe


@pytest.mark.parametrize("sfreq, dtype", [(1000.0, "float32"), (250.0, "int32")])
def test_warming_leaves_nothing_behind(
    sfreq: float, dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    warm(load_recipe("resting"), Info(sfreq, (Channel("M1", "mag"),)), dtype)
    assert list(tmp_path.iterdir()) == []
