"""The bundled real recording: 24 s of a person, 306 MEG channels, from MNE-Python's test data.

`datasets/data/NOTICE` says where it comes from and under what terms it is here.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Final

from brainforge.archive import open_archive
from brainforge.recording import Recording

FILE: Final = "sample_306.zarr.zip"
#: SHA-256 of the file it was made from, MNE-Python's ``test_raw.fif``
ORIGIN_SHA256: Final = "b1dbe0150bd036cc2446f352265cdaf7deb7fa8eafb16eec6c64e403f4176e52"
#: SHA-256 over the counts, axes (channel, sample), C order, little-endian int16
COUNTS_SHA256: Final = "3395cf07dc271d47ec075e9f3f728bbeee7f0f7b00548aceb81462e21c008173"


def sample_path() -> Path:
    """Return where the bundled recording lies, an archive in one file."""
    return Path(__file__).parent / "data" / FILE


def sample() -> Recording:
    """Open the bundled recording; needs no network.

    Returns
    -------
    recording : Recording
        376 channels (204 planar gradiometers, 102 magnetometers, 60 EEG, 1 EOG, 9 triggers) at
        600.615 Hz, 14,400 samples of int16 counts as they came from the device; an auditory and
        visual task with 31 triggers. MEG 2443 is bad and not marked.
    """
    recording = open_archive(sample_path())
    return replace(recording, source={"name": "MNE sample recording", **recording.source})
