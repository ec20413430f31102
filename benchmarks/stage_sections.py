"""The stages beside their peers as Markdown: the first table, and how they scale."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from benchmarks.pictures import BARS, CURVES
from benchmarks.sizes import CHANNELS, MINUTES, headline
from benchmarks.store import Row
from benchmarks.table import figure, header, peer_seconds, seconds, size, target


def headlines(rows: Iterable[Row]) -> list[Row]:
    """Return the rows of the first table: each at its own size."""
    wanted = {}
    for row in rows:
        at = headline(row["name"])
        if (row["minutes"], row["n_channels"]) == (at.minutes, at.n_channels):
            wanted[row["name"]] = row
    return list(wanted.values())


def threads_of(row: Row) -> str:
    """Return the most threads that the product was given in a row."""
    return max(row["ours"]["by_threads"], key=int)


def stage_section(rows: Sequence[Row]) -> str:
    """Return the first table, with what was called below."""
    first = headlines(rows)
    if not first:
        return ""
    lines = [
        "## Stages beside their peers",
        "",
        f"Phantom of 1000 Hz, seed {first[0]['seed']}, without dead channel and gaps. "
        f"{header(first[-1])}",
        "",
        f"![Ratios beside targets](images/{BARS})",
        "",
        "| stage, size | peer | 2 threads | 1 thread | ratio, 2 / 1 threads | target | accuracy |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for row in first:
        ours, ratio = row["ours"]["by_threads"], row["ratio"]
        cells = [
            f"{row['title']}, {size(row)}",
            peer_seconds(row),
            *(seconds(ours[t]["wall_s"]) if t in ours else "–" for t in ("2", "1")),
            " / ".join(f"{ratio[t]:.3g}×" if t in ratio else "–" for t in ("2", "1")),
            target(row),
            "<br>".join(figure(f) for f in row["accuracy"]),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    calls = (_call(row) for row in first)
    return "\n".join([*lines, "", "What was called, on what, and CPU seconds:", "", *calls])


def _call(row: Row) -> str:
    peer, ours = row["peer"], row["ours"]["by_threads"]
    used = ", ".join(f"{seconds(t['cpu_s'])} on {n}" for n, t in ours.items())
    ran = "; ".join(
        f"{seconds(m['cpu_s'])} CPU" + (f" for {m['units']} {peer['unit']}" * bool(peer["unit"]))
        for m in peer["measured"]
    )
    rate = ""
    if row["logical_bytes"]:
        speed = row["logical_bytes"] / ours[threads_of(row)]["wall_s"] / 1e9
        rate = f"{speed:.2g} GB/s counted as float32. "
    notes = " ".join(row["notes"])
    before, after = row["load_average"]
    return (
        f"- {row['title']} ({row['amount']}; {row['date'][:16]}): {peer['label']} "
        f"({'; '.join(p for p in (ran, peer['law']) if p)}) against {row['ours']['label']} "
        f"({used} threads). {rate}{notes}{' ' * bool(notes)}Load average {before:.1f} to "
        f"{after:.1f}, {min(row['free_cores']):.1f} cores free."
    )


def scaling_section(rows: Sequence[Row]) -> str:
    """Return what the product takes over lengths and channels, with the ratio to the peer."""
    lengths = sorted({r["minutes"] for r in rows if r["n_channels"] == CHANNELS})
    counts = sorted({r["n_channels"] for r in rows if r["minutes"] == MINUTES})
    if len(lengths) < 2 and len(counts) < 2:
        return ""
    by = {(r["name"], r["minutes"], r["n_channels"]): r for r in rows}
    alone = [r.get("process_peak_bytes", 0) for r in rows if not r["peer"]["measured"]]
    names = {r["name"]: r["title"] for r in rows}
    parts = [
        "## Scaling",
        "",
        "The product's seconds on most threads, and the ratio to the peer. Peers are run up to "
        "10 minutes of 306 channels, where they need several gigabytes; beyond they are "
        "extrapolated (X): along the length on the line through the two longest runs, along the "
        "channels by the power law through the two largest. The law of every row stands in "
        "`benchmarks/results/peers.json`. 1,000 channels are a denser helmet of the phantom. Where "
        "the product ran alone, the benchmark with all its data held at most "
        f"{max(alone, default=0) / 1e9:.1f} GB.",
        "",
        f"![Scaling](images/{CURVES})",
    ]
    for text, sizes in (
        (f"{CHANNELS} channels", [(m, CHANNELS) for m in lengths]),
        (f"{MINUTES:g} min", [(MINUTES, n) for n in counts]),
    ):
        along = [f"{m:g} min" if text.endswith("channels") else f"{n}" for m, n in sizes]
        parts += ["", f"| {text} | {' | '.join(along)} |", f"|---|{'---:|' * len(sizes)}"]
        for name, title in names.items():
            cells = [_scaled(by.get((name, float(m), n))) for m, n in sizes]
            if any(cell != "–" for cell in cells):
                parts.append(f"| {title} | {' | '.join(cells)} |")
    return "\n".join(parts)


def _scaled(row: Row | None) -> str:
    if row is None:
        return "–"
    most = threads_of(row)
    mine = seconds(row["ours"]["by_threads"][most]["wall_s"])
    if most not in row["ratio"]:
        return mine
    return f"{mine}, {row['ratio'][most]:.3g}×{' X' * row['peer']['extrapolated']}"
