"""The phantom, the bundled real recording and their loaders.

Names are loaded when they are first asked for: the phantom needs no archive, and the archive
no phantom.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainforge.datasets.bundled import sample as sample
    from brainforge.datasets.bundled import sample_path as sample_path
    from brainforge.datasets.phantom import Phantom as Phantom

_HOME = {"Phantom": "phantom", "sample": "bundled", "sample_path": "bundled"}

__all__ = ["Phantom", "sample", "sample_path"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"brainforge.datasets.{_HOME[name]}"), name)
