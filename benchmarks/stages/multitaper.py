"""Spectral connectivity of all pairs, seven DPSS tapers."""

from __future__ import annotations

from benchmarks.comparison import Comparison
from benchmarks.material import Material
from benchmarks.stages.connectivity import METHODS, spectral

#: the peer takes about a second an epoch
MOST, LEAST = 16, 8


def build(material: Material) -> Comparison:
    return spectral(material, "multitaper", f"{', '.join(METHODS)}, seven tapers", MOST, LEAST)
