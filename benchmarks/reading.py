"""What the three rows of reading share: the product's side, and how counts are compared."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material


def reading(
    material: Material,
    title: str,
    peer: str,
    run_peer: Callable[[int], Any],
    prepare: Callable[[], Any],
    compare: Callable[[Any], Figure],
) -> Comparison:
    """Return the comparison of one way to read with the archive's blocks in reused memory.

    Parameters
    ----------
    material : Material
    title, peer : str
    run_peer : callable
        Reads all of it.
    prepare : callable
        Writes the peer's file.
    compare : callable
        Says from what the peer returned how far it is from the counts.
    """
    # written before the clock runs
    material.open_archive()

    def ours(_: int) -> int:
        recording = material.open_archive()
        reader: Any = recording.reader
        out = np.empty((material.n_channels, reader.block_size), np.int16)
        for a in range(recording.start, recording.stop, out.shape[1]):
            b = min(a + out.shape[1], recording.stop)
            reader.read_into(a, b, out[:, : b - a])
        return recording.n_samples

    def figures(theirs: Any, _: Any) -> list[Figure]:
        return [
            Figure("counts that differ from those written", differing_counts(material), 0),
            compare(theirs),
        ]

    return Comparison(
        title=title,
        amount=material.size,
        peer=peer,
        ours="archive, int16 decoded by the block into one buffer",
        run_peer=run_peer,
        run_ours=ours,
        figures=figures,
        threads=(2,),
        notes=("The archive decodes on two threads of its own.",),
        prepare_peer=(prepare,),
        logical_bytes=4 * material.n_channels * material.recording.n_samples,
    )


def differing_counts(material: Material) -> float:
    """Return how many counts of the archive are not those that were written."""
    stored, written = material.open_archive().reader, material.recording.reader
    step, stop = 100_000, material.recording.stop
    return float(sum(
        int(np.sum(stored.read(a, min(a + step, stop)) != written.read(a, min(a + step, stop))))
        for a in range(0, stop, step)
    ))  # fmt: skip


def tesla_error(material: Material, tesla: Any) -> Figure:
    """Return how far tesla are from calibrated counts, over each channel's peak."""
    worst = 0.0
    counts = material.recording.reader.read(0, material.recording.stop)
    for row, mine, channel in zip(tesla, counts, material.recording.info.channels):
        want = mine * channel.cal
        worst = max(worst, float(np.abs(row - want).max() / np.abs(want).max()))
    return Figure("tesla against the file's, over each channel's peak", worst, 1e-7)
