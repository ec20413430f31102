"""The parts of a live session as Markdown: its end, a block, and the live stages beside peers."""

from __future__ import annotations

from typing import Any

from benchmarks import session_end
from benchmarks.live_words import megabytes, missing, table, verdict, where
from benchmarks.table import seconds

Result = dict[str, Any]


def end_part(result: Result | None) -> list[str]:
    """Return what is left to do when a session has ended."""
    if result is None:
        return missing("The end of a session", "session_end")
    rows = []
    for row in result["rows"]:
        run = row["run"]
        for text, reached, met in session_end.verdicts(row):
            title = f"{row['minutes']:g} min × {row['n_channels']}, {row['name']}"
            rows.append([title, text, f"{reached}: {verdict(met)}"])
        walls = ", ".join(seconds(w) for w in row["walls_s"])
        memory = megabytes(run["streaming_rss_bytes"], row["peak_rss_bytes"])
        spent = f"{run['findings_s']:.2f} + {run['outputs_s']:.2f} s; {walls}; {memory}"
        rows.append(["", "findings + outputs; runs; memory before → most", spent])
    last = result["rows"][-1]
    busy = {key: last["run"][key] for key in ("load_average", "free_cores")}
    return [
        "### The end of a session", "",
        *table(["session", "wanted", "reached"], rows), "",
        "From the last sample to findings, report and connectivity, written; all samples have "
        "gone down the exact path in blocks of 50 ms, and the session ends where most is left to "
        "do. \"The same as offline\" compares results bit for bit with those of processing the "
        "archive.", "", where({**last, **busy}, "session_end --check"), "",
    ]  # fmt: skip


def recovery_part(result: Result | None) -> list[str]:
    """Return how long a session takes to go on when one of its processes was killed."""
    command = "live_recovery --json benchmarks/results/live_recovery.json"
    if result is None:
        return missing("A process is killed", command)
    what = {"pipeline": "pipeline killed: until fresh traces are shown",
            "recorder": "recorder killed: until new samples are on the disk"}  # fmt: skip
    rows = [
        [f"{what[name]}, median / longest of {times['n']}", f"{result['target_s']:g} s",
         f"{times['p50_s']:.2f} / {times['max_s']:.2f} s: "
         f"{verdict(times['max_s'] <= result['target_s'])}"]
        for name, times in result["recovery"].items()
    ]  # fmt: skip
    rows.append(["samples at the end", "0 lost", f"{result['stored']} stored, {result['lost']} lost"
                 f": {verdict(result['ok'] and not result['lost'])}"])  # fmt: skip
    return [
        "### A process is killed", "", *table(["", "wanted", "reached"], rows), "",
        where(result["machine"], command), "",
    ]  # fmt: skip


def block_part(result: Result | None) -> list[str]:
    """Return a block of 50 ms on one core."""
    if result is None or "calibration" not in result:
        return missing("A block of 50 ms on one core", "live_block")
    whole, both, learning = result["immediate"], result["both_paths"], result["calibration"]
    rows = [
        ["immediate path with all snapshots, a block, p50 / p99",
         f"p99 {whole['target_p99_ms']:g} ms",
         f"{whole['p50_ms']:.2f} / {whole['p99_ms']:.2f} ms: {verdict(whole['met'])}"],
        ["the same, CPU time, p99 / mean", "–",
         f"{whole['cpu_p99_ms']:.2f} / {whole['cpu_mean_ms']:.2f} ms"],
        ["exact path, a block, mean CPU", "–",
         f"{result['parts']['exact path']['cpu_mean_ms']:.2f} ms"],
        [f"calibration on {learning['refresh_window_s']:g} s, CPU; of a core", "–",
         f"{learning['refresh_cpu_s']:.2f} s; {100 * learning['share_of_a_core']:.2g} %"],
        ["both paths and calibrations, a block, mean CPU", f"{both['target_mean_ms']:g} ms",
         f"{both['cpu_mean_ms']:.2f} ms: {verdict(both['met'])}"],
        ["patients a core by that, without recorders", "–", f"{both['patients_a_core']:.0f}"],
    ]  # fmt: skip
    if update := result.get("connectivity"):
        used, expected = update["windows_used"], update["windows_expected"]
        rows += [
            [f"update of connectivity, {update['n_pairs']} pairs in {update['n_bands']} bands "
             f"each {update['every_s']:g} s, CPU, mean / p99", f"{update['target_ms']:g} ms",
             f"{update['cpu_mean_ms']:.1f} / {update['cpu_p99_ms']:.1f} ms: "
             f"{verdict(update['met'])}"],
            ["windows of 2 s that went into it", "every one", f"{used} of {expected}"],
        ]  # fmt: skip
    n = result["parameters"]["n_channels"]
    return [
        "### A block of 50 ms on one core", "", *table(["", "wanted", "reached"], rows), "",
        f"{n} channels, in one process held to one core, the garbage collector off.", "",
        where(result, "live_block"), "",
    ]  # fmt: skip


def peers_part(result: Result | None) -> list[str]:
    """Return the live stages beside their peers."""
    if result is None:
        return missing("Live stages beside their peers", "live_peers")
    rows = []
    for row in result["rows"]:
        ours = f"{row['ours_ms']:.3g} ms"
        peer = f"{row['peer_ms']:.4g} ms"
        wanted = "–"
        if "ours_p99_ms" in row:
            ours += f", p99 {row['ours_p99_ms']:.3g} ms"
        if "peer_p99_ms" in row:
            peer += f", p99 {row['peer_p99_ms']:.4g} ms"
        if "target_p99_ms" in row:
            met = row["ours_p99_ms"] <= row["target_p99_ms"]
            wanted = f"p99 {row['target_p99_ms']:g} ms: {verdict(met)}"
        elif "target_ms" in row:
            wanted = f"{row['target_ms']:g} ms: {verdict(row['ours_ms'] <= row['target_ms'])}"
        accuracy = "<br>".join(f"{text}: {value:.2g}" for text, value in row["accuracy"].items())
        rows.append([row["title"], row["peer"], peer, ours, f"{row['ratio']:.3g}×", wanted,
                     accuracy])  # fmt: skip
    columns = ["stage", "peer", "the peer's", "ours", "ratio", "wanted", "accuracy"]
    return [
        "### Live stages beside their peers", "", *table(columns, rows), "",
        f"Clock: {result['clock']}.", "", where(result, "live_peers"), "",
    ]  # fmt: skip
