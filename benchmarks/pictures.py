"""Two small pictures of the results for docs/performance.md, as SVG."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from typing import Any

from benchmarks.sizes import CHANNELS, MINUTES
from benchmarks.store import Row
from benchmarks.targets import TARGETS

BARS, CURVES = "performance_ratios.svg", "performance_scaling.svg"
MET, MISSED, PEER = "#2a7f62", "#c8553d", "#8a8f98"
#: rows of the picture of scaling: one for every kind of work
SHOWN = ("fir_decimate", "ica", "connectivity", "multitaper", "aec", "report")


def bars(rows: Sequence[Row]) -> str:
    """Return ratios as bars, targets as lines across them."""
    from benchmarks.stage_sections import headlines, threads_of

    first = [r for r in headlines(rows) if r["ratio"]][::-1]
    figure, axes = _figure(8, 0.34 * len(first) + 0.9)
    for at, row in enumerate(first):
        value, target = row["ratio"][threads_of(row)], TARGETS.get(row["name"])
        met = row["target"] is None or row["target"]["met"]
        axes.barh(
            at,
            value,
            0.62,
            color=MET if met else MISSED,
            hatch="///" if row["peer"]["extrapolated"] else None,
            edgecolor="white",
        )
        text = f" {value:.3g}×" + (" X" if row["peer"]["extrapolated"] else "")
        axes.text(value, at, text, va="center", fontsize=8)
        if target:
            axes.plot([target.ratio] * 2, [at - 0.42, at + 0.42], color="black", lw=1.6)
    axes.set_yticks(range(len(first)), [r["title"] for r in first], fontsize=8)
    axes.set_xscale("log")
    axes.set_xlim(0.8, 2 * max([r["ratio"][threads_of(r)] for r in first] + [200]))
    axes.set_xlabel("times as fast as the peer; black: wanted; hatched: peer extrapolated")
    return _svg(figure)


def curves(rows: Sequence[Row]) -> str:
    """Return seconds over lengths and channels; extrapolated parts of the peers dashed."""
    from matplotlib.figure import Figure

    names = [n for n in SHOWN if any(r["name"] == n for r in rows)]
    figure = Figure(figsize=(2.4 * max(len(names), 1), 4.6), layout="constrained")
    grid = figure.subplots(2, max(len(names), 1), squeeze=False, sharey="row")
    for column, name in enumerate(names):
        mine = [r for r in rows if r["name"] == name]
        for line, (along, fixed, value, label) in enumerate((
            ("minutes", "n_channels", CHANNELS, "minutes"),
            ("n_channels", "minutes", MINUTES, "channels"),
        )):  # fmt: skip
            axes = grid[line][column]
            points = sorted((r for r in mine if r[fixed] == value), key=lambda r: r[along])
            _curve(axes, points, along)
            axes.set(xscale="log", yscale="log", xlabel=label)
            axes.minorticks_off()
            axes.set_xticks([p[along] for p in points], [f"{p[along]:g}" for p in points])
            axes.tick_params(labelsize=7)
            if not line:
                axes.set_title(points[0]["title"] if points else name, fontsize=8, wrap=True)
    for axes in grid[:, 0]:
        axes.set_ylabel("seconds", fontsize=8)
    return _svg(figure)


def _curve(axes: Any, points: Sequence[Row], along: str) -> None:
    from benchmarks.stage_sections import threads_of

    x = [p[along] for p in points]
    axes.plot(x, [p["ours"]["by_threads"][threads_of(p)]["wall_s"] for p in points], "o-",
              color=MET, ms=3, lw=1.2)  # fmt: skip
    theirs = [p for p in points if p["peer"]["wall_s"] is not None]
    run = [p for p in theirs if p["peer"]["measured"]]
    axes.plot([p[along] for p in theirs], [p["peer"]["wall_s"] for p in theirs], "--",
              color=PEER, lw=1.2)  # fmt: skip
    axes.plot([p[along] for p in run], [p["peer"]["wall_s"] for p in run], "o-", color=PEER,
              ms=3, lw=1.2)  # fmt: skip


def _figure(width: float, height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def _svg(figure: Any) -> str:
    import matplotlib as mpl

    out = io.StringIO()
    # the same rows give the same file: no random ids, no date
    with mpl.rc_context({"svg.hashsalt": "results", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    return re.sub(r"[ \t]+$", "", out.getvalue(), flags=re.MULTILINE)
