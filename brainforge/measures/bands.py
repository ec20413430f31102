"""The frequency bands, and how long an epoch each of them asks for."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Final

Bands = Mapping[str, tuple[float, float]]

#: Hz, both edges included
BANDS: Final[dict[str, tuple[float, float]]] = {
    "delta": (2.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}

#: below this many epochs an answer still says "collecting"
ENOUGH_EPOCHS: Final = 30


def epoch_duration(low: float) -> float:
    """Return the epoch length in seconds for a band's lower edge in Hz.

    Two seconds, or the multiple of two seconds that holds eight cycles of the edge: 4 s from
    2 Hz on, 2 s from 4 Hz on.
    """
    return 2.0 * max(1, ceil(4.0 / low))


def fit_bands(bands: Bands, sfreq: float) -> dict[str, tuple[float, float]]:
    """Return the bands that fit under 0.9 of the Nyquist frequency.

    A band that reaches over it ends there; one of which less than half is left is left out.
    """
    top = 0.45 * sfreq
    cut = {name: (low, min(high, top)) for name, (low, high) in bands.items()}
    return {
        name: (low, high)
        for name, (low, high) in cut.items()
        if high - low >= 0.5 * (bands[name][1] - low)
    }
