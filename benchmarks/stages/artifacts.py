"""Heart and eyes: decompose, find the events, pick the components."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from benchmarks.stages.ica import GRADIENT_SHARE, N_COMPONENTS, peer_ica
from brainforge.backend import Backend
from brainforge.learners.artifacts import learn_artifacts
from brainforge.operator import Operator
from brainforge.recipe import ArtifactRecipe

#: an event counts as found within this many seconds of a planted one
REACH_S = 0.1


def build(material: Material) -> Comparison:
    info = material.working_info
    n = min(N_COMPONENTS, material.n_channels // 2)
    tol = GRADIENT_SHARE / float(np.sqrt(material.working.shape[1]))
    identity = Operator.identity(info.names)
    frontal = info.names[int(np.argmax(info.positions(info.names)[:, 1]))]

    def peer(_: int) -> Any:
        import mne

        raw = material.working_raw
        ica = peer_ica(n, tol).fit(raw, verbose="error")
        ecg, _scores = ica.find_bads_ecg(raw, verbose="error")
        eog, _scores = ica.find_bads_eog(raw, ch_name=frontal, verbose="error")
        beats = mne.preprocessing.find_ecg_events(raw, verbose="error")[0][:, 0]
        blinks = mne.preprocessing.find_eog_events(raw, ch_name=frontal, verbose="error")[:, 0]
        return {"ecg": beats, "eog": blinks, "components": sorted({*ecg, *eog})}

    def ours(threads: int) -> Any:
        return learn_artifacts(
            material.working_copy, identity, info, ArtifactRecipe(max_components=n),
            backend=Backend(n_threads=threads),
        )  # fmt: skip

    def figures(theirs: Any, model: Any) -> list[Figure]:
        found = {"ecg": model.ecg.samples, "eog": model.eog.samples}
        out = []
        for kind, key, name in (("ecg", "heartbeats", "heartbeats"), ("eog", "blinks", "blinks")):
            planted = np.array(material.truth[key])
            mine = score(found[kind], planted, REACH_S * material.sfreq)
            peers = score(theirs[kind] * info.decim, planted, REACH_S * material.sfreq)
            out.append(Figure(f"F1 of {len(planted)} planted {name}", mine, 0.98, at_least=True))
            out.append(Figure(f"F1 of MNE's {name}", peers))
        out.append(Figure("components fitted", float(len(model.components)), n, at_least=True))
        removed = [c for c in model.components if c.removed]
        out.append(Figure("components removed", float(len(removed))))
        out.append(Figure("components MNE would remove", float(len(theirs["components"]))))
        return out

    return Comparison(
        title="ICA, ECG and EOG components",
        amount=material.working_size,
        peer=f"ICA.fit to a gradient of {tol:.1g}, find_bads_ecg, find_bads_eog, "
        "find_ecg_events, find_eog_events",
        ours="learn_artifacts",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        prepare_peer=(lambda: material.working_raw,),
        notes=(f"No ECG or EOG channel; MNE is told to take {frontal} for the eyes.",),
    )


def score(found: npt.NDArray[Any], planted: npt.NDArray[Any], reach: float) -> float:
    """Return F1 of events found within ``reach`` of planted ones, each matched once at most.

    Parameters
    ----------
    found, planted : int array
        Rising, in the same samples.
    reach : float
        In samples.
    """
    hits, at = 0, 0
    for sample in planted:
        while at < len(found) and found[at] < sample - reach:
            at += 1
        if at < len(found) and found[at] <= sample + reach:
            hits += 1
            at += 1
    return 2 * hits / max(len(found) + len(planted), 1)
