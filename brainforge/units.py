"""Units: SI at every public boundary, fT, fT/cm and µV inside the pipeline.

Fourth-order statistics of values near 1e-15 underflow float32, hence the working units.
The two named places of conversion are :func:`to_working` and :func:`to_si`.
"""

from __future__ import annotations

from typing import Final

#: channel kind -> (SI unit, working unit, working per SI)
UNITS: Final[dict[str, tuple[str, str, float]]] = {
    "mag": ("T", "fT", 1e15),
    "grad": ("T/m", "fT/cm", 1e13),
    "ref_mag": ("T", "fT", 1e15),
    "ref_grad": ("T/m", "fT/cm", 1e13),
    "eeg": ("V", "µV", 1e6),
    "eog": ("V", "µV", 1e6),
    "ecg": ("V", "µV", 1e6),
    "emg": ("V", "µV", 1e6),
    "stim": ("", "", 1.0),
    "misc": ("", "", 1.0),
}

#: kinds that carry brain magnetic fields
MEG_KINDS: Final = ("mag", "grad")
#: kinds that the pipeline filters and carries through
SIGNAL_KINDS: Final = ("mag", "grad", "ref_mag", "ref_grad", "eeg", "eog", "ecg", "emg")


def si_unit(kind: str) -> str:
    """Return the SI unit of a channel kind, e.g. ``"T"``."""
    return UNITS[kind][0]


def working_unit(kind: str) -> str:
    """Return the unit used inside the pipeline, e.g. ``"fT"``."""
    return UNITS[kind][1]


def to_working(kind: str) -> float:
    """Return the factor from SI to the working unit."""
    return UNITS[kind][2]


def to_si(kind: str) -> float:
    """Return the factor from the working unit to SI."""
    return 1.0 / UNITS[kind][2]
