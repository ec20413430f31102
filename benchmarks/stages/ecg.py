"""Heartbeats, and the components that show them, from components fitted before."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from benchmarks.sources import our_sources, peer_sources
from benchmarks.stages.artifacts import REACH_S, score
from brainforge.learners.artifact_events import heart_source, heart_train


def build(material: Material) -> Comparison:
    info, sources = material.working_info, our_sources(material)
    ica = cache(lambda: peer_sources(material))

    def peer(_: int) -> Any:
        import mne

        raw = material.working_raw
        ica().find_bads_ecg(raw, verbose="error")
        return mne.preprocessing.find_ecg_events(raw, verbose="error")[0][:, 0]

    def ours(_: int) -> Any:
        traces = sources.traces
        found = heart_source(traces, info, "independent component")
        return heart_train(found, lambda s: (traces, *s.trace(traces)), info).samples

    def figures(theirs: Any, mine: Any) -> list[Figure]:
        planted, reach = np.array(material.truth["heartbeats"]), REACH_S * material.sfreq
        return [
            Figure(f"F1 of {len(planted)} planted heartbeats", score(mine, planted, reach), 0.98,
                   at_least=True),
            Figure("F1 of MNE's heartbeats", score(theirs * info.decim, planted, reach)),
        ]  # fmt: skip

    return Comparison(
        title="ECG: component and events",
        amount=material.working_size,
        peer="ICA.find_bads_ecg, find_ecg_events, no ECG channel",
        ours="heart_source, heart_train",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        threads=(1,),
        prepare_peer=(ica,),
    )
