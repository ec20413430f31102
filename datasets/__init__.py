"""The phantom, the bundled real recording and their loaders."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from brainforge.datasets.phantom import Phantom as Phantom

__all__ = ["Phantom"]


def __getattr__(name: str) -> Any:
    if name == "Phantom":
        from brainforge.datasets.phantom import Phantom

        return Phantom
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
