"""Brain-Forge: a real-time engine for OPM and SQUID magnetoencephalography.

>>> import brainforge as bf
>>> result = bf.process(bf.datasets.sample(), recipe="resting")
>>> result.finding("heart_rate").text
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from brainforge import datasets
    from brainforge.processing import process
    from brainforge.readers import open_recording as open
    from brainforge.recipe import list_recipes, load_recipe

__all__ = ["__version__", "datasets", "list_recipes", "load_recipe", "open", "process"]

# imported when first asked for: `import brainforge` costs nothing that is not used
_LAZY = {
    "open": ("brainforge.readers", "open_recording"),
    "process": ("brainforge.processing", "process"),
    "list_recipes": ("brainforge.recipe", "list_recipes"),
    "load_recipe": ("brainforge.recipe", "load_recipe"),
}


def __getattr__(name: str) -> Any:
    if name == "datasets":
        return import_module("brainforge.datasets")
    if name in _LAZY:
        module, attribute = _LAZY[name]
        value = globals()[name] = getattr(import_module(module), attribute)
        return value
    raise AttributeError(f"module 'brainforge' has no attribute {name!r}")
