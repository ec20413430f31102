"""Reading a recording from the page cache: FIF into memory against archive blocks."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material


def build(material: Material) -> Comparison:
    import mne

    fif, counts = material.fif, material.recording.reader.read(0, material.recording.stop)
    # written before the clock runs
    material.open_archive()

    def peer(_: int) -> Any:
        return mne.io.read_raw_fif(fif, preload=True, verbose="error")

    def ours(_: int) -> int:
        recording = material.open_archive()
        reader: Any = recording.reader
        out = np.empty((material.n_channels, reader.block_size), counts.dtype)
        for a in range(recording.start, recording.stop, out.shape[1]):
            b = min(a + out.shape[1], recording.stop)
            reader.read_into(a, b, out[:, : b - a])
        return recording.n_samples

    def figures(raw: Any, _: Any) -> list[Figure]:
        recording = material.open_archive()
        cal = np.array([c.cal for c in recording.info.channels])[:, None]
        stored = recording.reader.read(0, recording.stop)
        want = stored * cal
        worst = np.max(np.abs(raw._data - want), axis=1) / np.abs(want).max(axis=1)
        return [
            Figure("counts that differ from those written", float(np.sum(stored != counts)), 0),
            Figure(
                "tesla against the FIF file's, over each channel's peak", float(worst.max()), 1e-7
            ),
        ]

    return Comparison(
        title="read, warm",
        amount=material.size,
        peer="mne.io.read_raw_fif(preload=True), float32 FIF to float64 in memory",
        ours="archive, int16 decoded by the block into one buffer",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        threads=(2,),
        notes=("The archive decodes on two threads of its own.",),
    )
