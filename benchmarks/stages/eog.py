"""Blinks, and the components that show them, from components fitted before."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from benchmarks.sources import frontal_channel, our_sources, peer_sources
from benchmarks.stages.artifacts import REACH_S, score
from brainforge.learners.artifact_events import eye_source, eye_train, head_positions


def build(material: Material) -> Comparison:
    info, sources = material.working_info, our_sources(material)
    ica = cache(lambda: peer_sources(material))
    frontal, positions = frontal_channel(material), head_positions(info, tuple(info.names))

    def peer(_: int) -> Any:
        import mne

        raw = material.working_raw
        ica().find_bads_eog(raw, ch_name=frontal, verbose="error")
        return mne.preprocessing.find_eog_events(raw, ch_name=frontal, verbose="error")[:, 0]

    def ours(_: int) -> Any:
        traces, what = sources.traces, "independent component"
        found = eye_source(traces, info, what, sources.topographies, positions)
        return eye_train(found, lambda s: (traces, *s.trace(traces)), info).samples

    def figures(theirs: Any, mine: Any) -> list[Figure]:
        planted, reach = np.array(material.truth["blinks"]), REACH_S * material.sfreq
        return [
            Figure(f"F1 of {len(planted)} planted blinks", score(mine, planted, reach), 0.98,
                   at_least=True),
            Figure("F1 of MNE's blinks", score(theirs * info.decim, planted, reach)),
        ]  # fmt: skip

    return Comparison(
        title="EOG: component and events",
        amount=material.working_size,
        peer=f"ICA.find_bads_eog, find_eog_events, told to take {frontal}",
        ours="eye_source, eye_train",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        threads=(1,),
        prepare_peer=(ica,),
    )
