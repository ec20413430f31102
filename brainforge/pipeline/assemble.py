"""From what was seen, learned and measured to the parts of a Result."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from brainforge.block import Mask
from brainforge.info import Info
from brainforge.kernels.namespace import to_host
from brainforge.measures.graph import graph_of
from brainforge.pipeline.cleaning import Cleaner
from brainforge.pipeline.first_pass import Seen
from brainforge.pipeline.summaries import line_level_db, noise_floor
from brainforge.recipe import Recipe
from brainforge.recording import Recording
from brainforge.result import (
    BadChannel,
    Connectivity,
    EventTrain,
    Graph,
    Interval,
    Quality,
    Spectra,
    Traces,
)
from brainforge.units import MEG_KINDS, working_unit
from brainforge.working_copy import WorkingCopy

#: seconds of the excerpt that a report shows before and after cleaning
EXCERPT_S = 10.0


@dataclass(frozen=True)
class Account:
    """What is told of a recording besides its samples: of a source only its name is known."""

    name: str = "stream"
    source: dict[str, Any] | None = None
    start: int | None = None
    stop: int | None = None
    n_events: int = 0
    gap_causes: tuple[tuple[int, str], ...] = ()

    @classmethod
    def of(cls, recording: Recording) -> Account:
        """Return the account of a Recording."""
        return cls(
            name=str(recording.source.get("name", recording.source.get("path", "recording"))),
            source=dict(recording.source),
            start=recording.start,
            stop=recording.stop,
            n_events=len(recording.events),
            gap_causes=tuple((g.start, g.cause) for g in recording.gaps),
        )


def units_of(info: Info, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the working units of the named channels."""
    return tuple(working_unit(info.channel(n).kind) for n in names)


def recording_part(info: Info, account: Account, seen: Seen) -> dict[str, Any]:
    """Return what is said of the recording, JSON-ready."""
    start = seen.segments[0][0] if account.start is None else account.start
    stop = seen.segments[-1][1] if account.stop is None else account.stop
    causes = dict(account.gap_causes)
    kinds: dict[str, int] = {}
    for channel in info.channels:
        kinds[channel.kind] = kinds.get(channel.kind, 0) + 1
    return {
        "name": account.name,
        "n_channels": info.n_channels,
        "n_meg": len(info.names_of(*MEG_KINDS)),
        "kinds": kinds,
        "sfreq": info.sfreq,
        "duration_s": (stop - start) / info.sfreq,
        "n_samples": seen.n_samples,
        "first_sample": start,
        "gaps": [
            {"start_s": (a - start) / info.sfreq, "stop_s": (b - start) / info.sfreq,
             "n_samples": b - a, "cause": causes.get(a, "missing samples")}
            for a, b in seen.gaps
        ],
        "n_events": account.n_events,
        "line_freq": info.line_freq,
        "device": info.device,
        "subject": info.subject,
        "meas_date": info.meas_date,
    }  # fmt: skip


def mask_intervals(
    masks: list[Mask], decim: int, start: int, sfreq: float, bads: set[str]
) -> tuple[Interval, ...]:
    """Return masks at the working rate as intervals in seconds, neighbours joined.

    Masks of bad channels are left out: the whole channel is.
    """
    spans: dict[tuple[str, tuple[str, ...] | None], list[list[int]]] = {}
    for mask in sorted(masks, key=lambda m: m.start):
        names = None
        if mask.channels is not None:
            names = tuple(n for n in mask.channels if n not in bads)
            if not names:
                continue
        runs = spans.setdefault((str(mask.cause), names), [])
        if runs and mask.start <= runs[-1][1]:
            runs[-1][1] = max(runs[-1][1], mask.stop)
        else:
            runs.append([mask.start, mask.stop])
    to_s = decim / sfreq
    offset = start / sfreq
    return tuple(
        Interval(a * to_s - offset, b * to_s - offset, cause, names)
        for (cause, names), runs in spans.items()
        for a, b in runs
    )


def coverage(part: dict[str, Any], intervals: tuple[Interval, ...], n_channels: int) -> float:
    """Return the share of the time axis that holds believed samples, 0 to 1.

    A masked stretch of a few channels takes their share of the channels.
    """
    lost = sum(g["stop_s"] - g["start_s"] for g in part["gaps"])
    for i in intervals:
        share = 1.0 if i.channels is None else len(i.channels) / max(n_channels, 1)
        inside_gap = i.cause == "gap" and any(
            g["start_s"] < i.stop and g["stop_s"] > i.start for g in part["gaps"]
        )
        lost += 0.0 if inside_gap else share * (i.stop - i.start)
    return float(np.clip(1.0 - lost / part["duration_s"], 0.0, 1.0))


def quality_part(
    info: Info,
    names: tuple[str, ...],
    before: Spectra,
    raw_line_db: np.ndarray | None,
    bads: tuple[BadChannel, ...],
    intervals: tuple[Interval, ...],
    share: float,
    peak_to_peak: np.ndarray,
) -> Quality:
    """Return the quality of the MEG channels."""
    step = before.freqs[1] - before.freqs[0]
    line = line_level_db(before.freqs, before.before, info.line_freq)
    return Quality(
        channel_names=names,
        units=units_of(info, names),
        rms=np.sqrt(before.before.sum(axis=1) * step),
        peak_to_peak=peak_to_peak,
        line_db=line if raw_line_db is None else raw_line_db,
        noise_floor=noise_floor(before.freqs, before.before, info.line_freq),
        bads=bads,
        intervals=intervals,
        coverage=share,
        line_freq=info.line_freq,
    )


def graph_part(connectivity: Connectivity | None, recipe: Recipe) -> Graph | None:
    """Return graph metrics of the recipe's measure, band by band; None where it is left out."""
    g = recipe.graph
    if connectivity is None or not g.enabled or g.measure not in connectivity.values:
        return None
    return graph_of(connectivity, g.measure, g.density)


def traces_part(
    working: WorkingCopy,
    before: Cleaner,
    after: Cleaner,
    trains: tuple[EventTrain, ...],
    first_sample: int,
) -> Traces:
    """Return an excerpt around the first blink (or heartbeat), or from the start."""
    info = working.info
    start, stop = _excerpt(working, trains)
    block = working.window(start, stop)
    block = replace(block, data=to_host(block.data))
    uncleaned, cleaned = before(block), after(block)
    times = np.arange(start, stop) / info.sfreq - first_sample / (info.sfreq * info.decim)
    names = after.info.names
    return Traces(names, units_of(info, names), times, uncleaned.data, cleaned.data)


def _excerpt(working: WorkingCopy, trains: tuple[EventTrain, ...]) -> tuple[int, int]:
    length = round(EXCERPT_S * working.info.sfreq)
    wanted = [int(t.samples[0]) // working.info.decim for t in trains if t.n_events]
    longest = max(working.segments, key=lambda s: s[1] - s[0])
    at = wanted[0] - length // 4 if wanted else longest[0]
    inside = next((s for s in working.segments if s[0] <= at < s[1]), longest)
    start = max(min(at, inside[1] - length), inside[0])
    return start, min(start + length, inside[1])
