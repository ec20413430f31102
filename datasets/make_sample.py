"""Make the bundled recording from MNE-Python's ``test_raw.fif``.

Run ``python -m brainforge.datasets.make_sample PATH/TO/test_raw.fif [OUTPUT]``. It checks that
the file is the one that is meant, and that its counts come back bit for bit.
"""

from __future__ import annotations

import hashlib
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np

from brainforge.archive import import_recording, open_archive, verify_archive, zip_archive
from brainforge.datasets.bundled import FILE, ORIGIN_SHA256
from brainforge.errors import BrainForgeError, InputError
from brainforge.readers import open_recording
from brainforge.recording import Recording

#: the densest level; it decodes as fast as the others
LEVEL = 9


def counts_sha256(recording: Recording) -> str:
    """Return the SHA-256 of a recording's counts, axes (channel, sample), in C order."""
    counts = recording.reader.read(recording.start, recording.stop)
    return hashlib.sha256(np.ascontiguousarray(counts, dtype="<i2").tobytes()).hexdigest()


def make_sample(source: Path, output: Path) -> Path:
    """Store ``source`` as the archive ``output`` and return its path."""
    recording = open_recording(source)
    if recording.source["sha256"] != ORIGIN_SHA256:
        raise InputError(
            where=str(source),
            expected=f"the file with SHA-256 {ORIGIN_SHA256}",
            got=recording.source["sha256"],
        )
    recording = replace(recording, source={**recording.source, "licence": "BSD-3-Clause"})
    with tempfile.TemporaryDirectory() as folder:
        archive = import_recording(recording, Path(folder) / "sample.zarr", level=LEVEL)
        zip_archive(archive, output)
    stored = open_archive(output)
    if counts_sha256(stored) != counts_sha256(recording) or not verify_archive(output)["ok"]:
        raise InputError(where=str(output), expected="the counts of the source", got="others")
    return output


def main(arguments: list[str]) -> int:
    """Make the sample; return the exit code."""
    if not 1 <= len(arguments) <= 2:
        print("usage: python -m brainforge.datasets.make_sample SOURCE [OUTPUT]", file=sys.stderr)
        return 2
    output = Path(arguments[1]) if len(arguments) == 2 else Path(__file__).parent / "data" / FILE
    try:
        made = make_sample(Path(arguments[0]), output)
    except BrainForgeError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    print(made, made.stat().st_size, counts_sha256(open_archive(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
