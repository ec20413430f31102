"""Muscle activity at 110-140 Hz, before decimation."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import LINE_FREQ, Material
from brainforge.backend import Backend
from brainforge.measures.muscle import MuscleMeasure

Spans = list[tuple[float, float]]
#: of the summed z-score, on both sides; and the product's windows in seconds
THRESHOLD, WINDOW_S = 4.0, 0.1


def build(material: Material) -> Comparison:
    blocks = material.counts_blocks

    @cache
    def notched() -> Any:
        # without it the peer's wide transitions take in the third harmonic; not timed
        return material.raw.copy().notch_filter(
            np.arange(LINE_FREQ, 160, LINE_FREQ), n_jobs=1, verbose="error"
        )

    def peer(_: int) -> Any:
        import mne

        # it filters in place
        return mne.preprocessing.annotate_muscle_zscore(
            notched().copy(), threshold=THRESHOLD, ch_type="mag", n_jobs=1, verbose="error"
        )

    def ours(threads: int) -> Any:
        measure = MuscleMeasure(material.recording.info, Backend(n_threads=threads), THRESHOLD)
        for block in blocks:
            measure.update(block)
        return measure

    def figures(theirs: Any, measure: Any) -> list[Figure]:
        annotations, peer_score = theirs
        planted = [
            (b["start"] / material.sfreq, b["stop"] / material.sfreq)
            for b in material.truth["muscle"]
        ]
        mine = [(i.start, i.stop) for i in measure.result()]
        peers = [(a["onset"], a["onset"] + a["duration"]) for a in annotations]
        times, score = measure.score()
        starts, width = np.round(times * material.sfreq), round(WINDOW_S * material.sfreq)
        means = np.array([peer_score[s : s + width].mean() for s in starts.astype(int)])
        known = np.isfinite(score)
        correlation = float(np.corrcoef(score[known], means[known])[0, 1])
        theirs_f1 = f1(peers, planted)
        text = f"F1 of {len(planted)} planted bursts"
        return [
            Figure("correlation of the score with MNE's, whose band is twice as wide, over "
                   "windows", correlation, 0.5, at_least=True),
            Figure(f"{text}, at least MNE's", f1(mine, planted), theirs_f1, at_least=True),
            Figure(f"{text}, MNE", theirs_f1),
        ]  # fmt: skip

    return Comparison(
        title="muscle z-score, 110-140 Hz",
        amount=material.size,
        peer="Raw.copy, annotate_muscle_zscore, float64, n_jobs=1",
        ours="MuscleMeasure from int16 counts, windows of 0.1 s",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(notched,),
        notes=(f"Both at a threshold of {THRESHOLD:g}. MNE's samples are notched before.",),
    )


def f1(found: Spans, planted: Spans) -> float:
    """Return F1 of intervals; one is right where it overlaps one of the others."""
    recall = _overlapping(planted, found)
    precision = _overlapping(found, planted)
    return 2 * recall * precision / (recall + precision) if recall + precision else 0.0


def _overlapping(these: Spans, others: Spans) -> float:
    """Return the share of ``these`` that overlap any of ``others``; 1 where there are none."""
    hit = [any(a < d and c < b for c, d in others) for a, b in these]
    return sum(hit) / len(hit) if hit else 1.0
