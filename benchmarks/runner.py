"""Run one comparison: warm up, take turns, extrapolate where the peer was too slow."""

from __future__ import annotations

from functools import partial
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.clock import Timing, take_turns
from benchmarks.comparison import Comparison, extrapolate
from benchmarks.machine import free_cores, load


def run(name: str, comparison: Comparison, repeats: int) -> dict[str, Any]:
    """Return the row of one stage, JSON-ready."""
    before = load(), free_cores()
    peers = {f"peer {n}": partial(comparison.run_peer, n) for n in comparison.peer_units}
    ours = {f"ours {t}": partial(_held, comparison, t) for t in comparison.threads}
    timed = take_turns({**peers, **ours}, repeats, always=frozenset(ours))
    after = load(), free_cores()
    most_units, most_threads = max(comparison.peer_units), max(comparison.threads)
    figures = comparison.figures(
        timed.results[f"peer {most_units}"], timed.results[f"ours {most_threads}"]
    )
    timings = timed.timings
    seconds = {n: timings[f"peer {n}"].wall_s for n in comparison.peer_units}
    peer_s = extrapolate(comparison, seconds)
    return {
        "name": name,
        "title": comparison.title,
        "amount": comparison.amount,
        "peer": _peer_row(comparison, timings, peer_s),
        "ours": {
            "label": comparison.ours,
            "by_threads": {str(t): timings[f"ours {t}"].to_dict() for t in comparison.threads},
        },
        "ratio": {str(t): peer_s / timings[f"ours {t}"].wall_s for t in comparison.threads},
        "accuracy": [figure.to_dict() for figure in figures],
        "notes": list(comparison.notes),
        "load_average": [before[0], after[0]],
        "free_cores": [before[1], after[1]],
    }


def _held(comparison: Comparison, threads: int) -> Any:
    # as the pipeline does: one BLAS thread a kernel, parallelism outside
    with threadpool_limits(limits=1, user_api="blas"):
        return comparison.run_ours(threads)


def _peer_row(comparison: Comparison, timings: dict[str, Timing], seconds: float) -> dict[str, Any]:
    sizes = comparison.peer_units
    measured = [{"units": n, **timings[f"peer {n}"].to_dict()} for n in sorted(sizes)]
    return {
        "label": comparison.peer,
        "wall_s": seconds,
        "extrapolated": comparison.extrapolated,
        "unit": comparison.unit,
        "units": comparison.units,
        "measured": measured,
    }
