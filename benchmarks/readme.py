"""README's figures: a block between two comments, written from the results."""

from __future__ import annotations

from pathlib import Path

from benchmarks import job, session_end, start
from benchmarks.live_section import sessions
from benchmarks.stage_sections import headlines, threads_of
from benchmarks.store import RESULTS, load, load_rows
from benchmarks.table import seconds

README = Path(__file__).resolve().parent.parent / "README.md"
BEGIN, END = "<!-- figures: written by python -m benchmarks.page -->", "<!-- end of figures -->"
#: rows that are quoted, in the words of the README
QUOTED = {
    "fir_decimate": "band-pass, notches and decimation",
    "ica": "ICA of 40 components",
    "connectivity": "five measures of connectivity, all pairs",
    "multitaper": "the same with seven tapers",
    "aec": "orthogonalised envelope correlation",
    "report": "report",
}


def block(folder: Path = RESULTS) -> str:
    """Return the figures as Markdown; what was not measured is left out."""
    lines = ["| on two cores | | beside MNE-Python and its family |", "|---|---:|---:|"]
    jobs, first = load_rows(folder / "job.json"), load_rows(folder / "peers.json")
    for row in jobs:
        if row["name"] != job.PEER and row["minutes"] == 30:
            theirs = job.stages(row, jobs)[-1][2]
            mark = " X" * job.counted(row, jobs)
            times = "" if theirs is None else f"{theirs / row['median_wall_s']:.0f}×{mark}"
            lines.append(
                f"| 30 minutes of 306 channels, archive to report, {row['name']} | "
                f"{seconds(row['median_wall_s'])} | {times} |"
            )
    for row in headlines(first):
        if row["name"] in QUOTED:
            most = threads_of(row)
            mark = " X" * row["peer"]["extrapolated"]
            lines.append(
                f"| {QUOTED[row['name']]}, {row['minutes']:g} minutes | "
                f"{seconds(row['ours']['by_threads'][most]['wall_s'])} | "
                f"{row['ratio'][most]:.0f}×{mark} |"
            )
    begun = load(folder / "start.json")
    if begun:
        for name, reached, _, _ in start.verdicts(begun):
            lines.append(f"| first result of a recording of 24 s, {name} | {seconds(reached)} | |")
    lines += live_rows(folder)
    return "\n".join([*lines, "", "X: the peer's time is extrapolated."])


def live_rows(folder: Path = RESULTS) -> list[str]:
    """Return a few rows of live sessions; what was not measured is left out."""
    lines = []
    ingest, ward = load(folder / "live_ingest.json"), load(folder / "live_ward.json")
    if ingest:
        cores = {row["name"]: row["core"] for row in ingest["rows"]}
        lines.append(
            f"| live: recorder of 306 channels at 1 kHz from LSL | {cores['recorder']:.3f} of a "
            f"core | {cores['mne-lsl'] / cores['recorder']:.1f}× (MNE-LSL, in memory only) |"
        )
    for transport, result in list(sessions(folder).items())[:1]:
        age = result["ages"]["traces"]["newest"]
        lines.append(
            f"| live: from the sensor to the trace shown, median / 99 %, {transport.upper()} | "
            f"{age['p50_ms']:.0f} / {age['p99_ms']:.0f} ms | |"
        )
    for row in load_rows(folder / "session_end.json"):
        if row["minutes"] == 30 and row["n_channels"] == 306:
            name = {session_end.WITH: "with AEC", session_end.WITHOUT: "without AEC"}[row["name"]]
            lines.append(
                f"| live: from stop to report, session of 30 minutes, {name} | "
                f"{seconds(row['median_wall_s'])} | |"
            )
    if ward and ward["real_time"] and ward["every_sample"]:
        lines.append(f"| live: patients at once on one core | {ward['parameters']['patients']} | |")
    return lines


def with_block(text: str, folder: Path = RESULTS) -> str:
    """Return the README's text with its figures written anew.

    Raises
    ------
    ValueError
        The comments that enclose the figures are missing.
    """
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"README.md has no place for the figures: {BEGIN} ... {END}")
    return f"{before}{BEGIN}\n\n{block(folder)}\n\n{END}{after}"
