"""Figures inside sentences."""

from __future__ import annotations


def percent(share: float, digits: int = 0) -> str:
    """Return a share (0..1) as a percentage, e.g. ``"28 %"``."""
    return f"{100 * share:.{digits}f} %"
