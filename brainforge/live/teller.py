"""Teller: publishes what is due of the immediate path, in the words of `docs/feed.md`."""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from brainforge.live.calibration import Calibration
from brainforge.live.measures import LiveMeasures
from brainforge.live.snapshots import (
    TRACES_S,
    Arrays,
    Meta,
    averages_meta,
    channels_of,
    due,
    layout_arrays,
    medians,
)
from brainforge.measures.rolling import Rolling

Publish = Callable[[str, Meta, Arrays], Any]
#: arrivals remembered, in pieces
ARRIVALS = 400
#: conditions whose epochs ``status`` tells of, those with most of them
MOST_CONDITIONS = 100


class Teller:
    """Looks at the measures after every block and publishes what is due.

    Parameters
    ----------
    publish : callable
        ``publish(topic, meta, arrays)``.
    measures : LiveMeasures
    hop : int
        Source samples of a block of the live grid.
    about : dict
        What ``layout`` tells of the path itself.
    """

    def __init__(self, publish: Publish, measures: LiveMeasures, hop: int, about: Meta) -> None:
        self._publish, self._measures, self._hop = publish, measures, hop
        self._about = dict(about)
        self._arrivals: deque[tuple[int, float]] = deque(maxlen=ARRIVALS)
        #: the number of the last block on the grid; None before the first
        self.block: int | None = None

    def arrived(self, stop: int, arrival: float) -> None:
        """Take note of when the samples before ``stop`` came."""
        self._arrivals.append((stop, arrival))

    def arrival(self, sample: int) -> float:
        """Return when the piece came that holds the sample before ``sample``."""
        if not self._arrivals:
            return 0.0
        at = bisect_left(self._arrivals, (sample, -np.inf))
        return self._arrivals[min(at, len(self._arrivals) - 1)][1]

    def tell(self, calibration: Calibration) -> None:
        """Publish what has become due since the last block."""
        now = self._measures.stop // self._hop
        before, self.block = self.block, now
        if before is None:
            self.layout(calibration)
            before = now - 1
        said = {
            "traces": self._traces, "spectra": self._spectra,
            "topographies": self._topographies, "connectivity": self._connectivity,
            "averages": self._averages, "status": self._status, "layout": self._layout,
        }  # fmt: skip
        for topic, make in said.items():
            if due(topic, before, now):
                self._say(topic, calibration, *make(calibration))

    def state(self) -> dict[str, Any]:
        """Return a checkpoint; the times in it mean something until the machine starts anew."""
        return {"block": self.block, "arrivals": [list(pair) for pair in self._arrivals]}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.block = state["block"]
        self._arrivals = deque(((s, t) for s, t in state["arrivals"]), maxlen=ARRIVALS)

    def layout(self, calibration: Calibration) -> None:
        """Publish the layout now."""
        self._say("layout", calibration, *self._layout(calibration))

    def _say(self, topic: str, calibration: Calibration, meta: Meta, arrays: Arrays) -> None:
        sample = meta.get("sample", self._measures.stop)
        common = {
            "sample": sample,
            "arrival": self.arrival(sample),
            "coverage": self._measures.coverage(2.0),
            "revision": calibration.revision,
            "stale": False,
        }
        self._publish(topic, {**common, **meta}, arrays)

    def _layout(self, calibration: Calibration) -> tuple[Meta, Arrays]:
        measures = self._measures
        meta = {
            **channels_of(measures.info),
            "aux": channels_of(measures.aux_info),
            "bads": [asdict(b) for b in calibration.bads],
            "bands": measures.bands,
            "sfreq": measures.info.sfreq,
            "working_sfreq": measures.sfreq,
            "line_freq": measures.info.line_freq,
            "operator": calibration.text,
            "digest": calibration.digest,
            "window": list(calibration.window),
            "removed": dict(calibration.removed),
            "feedback": measures.feedback and measures.feedback.describe(),
            **self._about,
        }
        return meta, layout_arrays(measures.info)

    def _traces(self, _: Calibration) -> tuple[Meta, Arrays]:
        measures = self._measures
        stop = measures.working.stop
        assert stop is not None
        start = stop - round(TRACES_S * measures.sfreq)
        data, good = measures.working.window(start, stop)
        arrays: Arrays = {"data": data, "good": good}
        if measures.aux_info.n_channels:
            end = min(stop, measures.aux.stop or stop)
            arrays["aux"] = measures.aux.window(end - (stop - start), end)[0]
        meta = {
            "start": start, "sfreq": measures.sfreq, "decim": measures.decim,
            "coverage": measures.coverage(TRACES_S), "feedback": self.value(),
        }  # fmt: skip
        return meta, arrays

    def _spectra(self, _: Calibration) -> tuple[Meta, Arrays]:
        spectra = self._measures.spectra
        arrays: Arrays = {"freqs": spectra.freqs, "psd": spectra.psd(), "mean": spectra.mean()}
        n = spectra.n_windows
        meta = {"memory_s": spectra.memory_s, "n_windows": int(n.max(initial=0))}
        return {**meta, "sample": spectra.stop * self._measures.decim}, arrays

    def _topographies(self, _: Calibration) -> tuple[Meta, Arrays]:
        rolling = self._measures.rolling
        meta = {"bands": list(rolling.bands), "window_s": rolling.window_s, "sample": rolling.stop}
        power = self._measures.power().T.astype(np.float32)
        return meta, {"power": power, "mean": self._measures.band_means()}

    def _connectivity(self, calibration: Calibration) -> tuple[Meta, Arrays]:
        rolling = self._measures.connectivity(calibration.bad_names)
        meta = {
            **connectivity_meta(rolling),
            "feedback": self.value(),
            "coverage": self._measures.coverage(2.0),
        }
        return meta, {
            "coherence": rolling.coherence, "imcoh": rolling.imcoh, "wpli": rolling.wpli
        }  # fmt: skip

    def _averages(self, _: Calibration) -> tuple[Meta, Arrays]:
        found = self._measures.averages.result()
        meta = averages_meta(found)
        return meta, {"times": found.times, "data": found.data}

    def _status(self, calibration: Calibration) -> tuple[Meta, Arrays]:
        measures = self._measures
        bads, heart = set(calibration.bad_names), measures.heart.last
        counts = measures.averages.n_epochs.items()
        epochs = sorted(sorted(counts, key=lambda item: -item[1])[:MOST_CONDITIONS])
        power = measures.power()
        meta = {
            "coverage_total": measures.share,
            "heart": {**asdict(heart), "arrival": self.arrival(heart.stop)},
            "bads": [{"name": b.name, "reason": b.reason} for b in calibration.bads],
            "masked": list(measures.masked),
            "band_power": medians(measures.info, measures.rolling.bands, power, bads),
            "events": [{"channel": c, "code": k, "n_epochs": n} for (c, k), n in epochs],
            "missed_events": measures.averages.missed,
            "operator": calibration.summary(),
            "feedback": self.value(),
            **{k: self._about[k] for k in ("latency_s", "delay_s")},
        }
        return meta, {}

    def value(self) -> Meta | None:
        """Return the feedback value, when its newest sample came, its coverage and unit."""
        feedback = self._measures.feedback
        if feedback is None:
            return None
        last = asdict(feedback.last)
        return {**last, "arrival": self.arrival(feedback.last.stop), "unit": feedback.unit}


def connectivity_meta(rolling: Rolling) -> Meta:
    """Return what is told of connectivity beside its arrays."""
    return {
        "names": list(rolling.names),
        "bands": list(rolling.bands),
        "n_epochs": rolling.n_epochs,
        "collecting": rolling.collecting,
        "sample": rolling.stop,
    }
