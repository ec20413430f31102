"""What a channel measures, by the names that makers and MNE use; the protocol does not say it."""

from __future__ import annotations

import re
from typing import Final

#: FIFF coil types of what a name tells
VV_PLANAR, VV_MAG, CTF_GRAD, CTF_REF_MAG, CTF_REF_GRAD = 3012, 3024, 5001, 5002, 5003

#: pattern of the name -> kind and coil type
RULES: Final = tuple(
    (re.compile(pattern, re.IGNORECASE), kind, coil)
    for pattern, kind, coil in (
        (r"MEG\s?\d{3}1", "mag", VV_MAG),
        (r"MEG\s?\d{3}[23]", "grad", VV_PLANAR),
        # first-order gradiometers that give tesla, as CTF and MNE have it
        (r"M[LRZ][CFOPT]\d{2}(-\d+)?", "mag", CTF_GRAD),
        (r"B[GPQR]\d(-\d+)?", "ref_mag", CTF_REF_MAG),
        (r"[GPQR]\d{2}(-\d+)?", "ref_mag", CTF_REF_GRAD),
        (r"(STI|TRIG|UPPT|USPT|UDIO|UTRG|SCLK).*", "stim", 0),
        (r"(EOG|[HV]EOG).*", "eog", 0),
        (r"ECG.*|EKG.*", "ecg", 0),
        (r"EMG.*", "emg", 0),
        (r"EEG.*", "eeg", 0),
    )
)


def kind_of(name: str, other: str = "misc") -> tuple[str, int]:
    """Return kind and FIFF coil type of a channel; ``other`` where no rule knows the name."""
    for pattern, kind, coil in RULES:
        if pattern.fullmatch(name):
            return kind, coil
    return other, 0
