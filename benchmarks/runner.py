"""Run one comparison: warm up, take turns, extrapolate where the peer was too slow."""

from __future__ import annotations

from functools import partial
from typing import Any

from threadpoolctl import threadpool_limits

from benchmarks.clock import SLOW_S, Timed, Timing, take_turns
from benchmarks.comparison import Comparison, extrapolate
from benchmarks.machine import free_cores, load
from benchmarks.targets import judge


def run(
    name: str,
    comparison: Comparison,
    repeats: int,
    *,
    with_peer: bool = True,
    slow_s: float = SLOW_S,
) -> dict[str, Any]:
    """Return the row of one stage, JSON-ready.

    Parameters
    ----------
    name : str
    comparison : Comparison
    repeats : int
        After the warm-up.
    with_peer : bool
        False: the product alone, without figures of accuracy.
    slow_s : float
        A peer that takes longer is timed once.
    """
    before = load(), free_cores()
    peers = {f"peer {n}": partial(comparison.run_peer, n) for n in comparison.peer_units}
    ours = {f"ours {t}": partial(_held, comparison, t) for t in comparison.threads}
    if with_peer:
        for prepare in comparison.prepare_peer:
            prepare()
    calls = {**peers, **ours} if with_peer else ours
    timed = take_turns(calls, repeats, slow_s=slow_s, always=frozenset(ours))
    after = load(), free_cores()
    timings = timed.timings
    peer = _peer_row(comparison, timings) if with_peer else _no_peer(comparison)
    by_threads = {str(t): timings[f"ours {t}"].to_dict() for t in comparison.threads}
    ratio = {t: peer["wall_s"] / o["wall_s"] for t, o in by_threads.items() if with_peer}
    row = {
        "name": name,
        "title": comparison.title,
        "amount": comparison.amount,
        "peer": peer,
        "ours": {"label": comparison.ours, "by_threads": by_threads},
        "logical_bytes": comparison.logical_bytes,
        "ratio": ratio,
        "accuracy": _figures(comparison, timed) if with_peer else [],
        "notes": list(comparison.notes),
        "load_average": [before[0], after[0]],
        "free_cores": [before[1], after[1]],
        "repeats": repeats,
    }
    return {**row, "target": judge(row)}


def _held(comparison: Comparison, threads: int) -> Any:
    # as the pipeline does: one BLAS thread a kernel, parallelism outside
    with threadpool_limits(limits=1, user_api="blas"):
        return comparison.run_ours(threads)


def _figures(comparison: Comparison, timed: Timed) -> list[dict[str, Any]]:
    theirs = timed.results[f"peer {max(comparison.peer_units)}"]
    ours = timed.results[f"ours {max(comparison.threads)}"]
    return [figure.to_dict() for figure in comparison.figures(theirs, ours)]


def _peer_row(comparison: Comparison, timings: dict[str, Timing]) -> dict[str, Any]:
    sizes = sorted(comparison.peer_units)
    seconds = {n: timings[f"peer {n}"].wall_s for n in sizes}
    return {
        **_no_peer(comparison),
        "wall_s": extrapolate(comparison, seconds),
        "extrapolated": comparison.extrapolated,
        "law": comparison.law,
        "measured": [{"units": n, **timings[f"peer {n}"].to_dict()} for n in sizes],
    }


def _no_peer(comparison: Comparison) -> dict[str, Any]:
    return {
        "label": comparison.peer,
        "threads": 1,
        "wall_s": None,
        "extrapolated": True,
        "law": "",
        "unit": comparison.unit,
        "units": comparison.units,
        "measured": [],
    }
