"""Live sessions as Markdown: from three transports, beside peers, many at once, all day."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.live_parts import block_part, end_part, peers_part, recovery_part
from benchmarks.live_words import NOT_YET, megabytes, missing, ms, table, verdict, where
from benchmarks.store import RESULTS, load

Result = dict[str, Any]
#: transport -> how it is called
TRANSPORTS = {"lsl": "LSL", "fieldtrip": "FieldTrip buffer", "tcp": "framed TCP"}
INTRODUCTION = (
    "306 channels at 1 kHz in packets of 50 ms, from a device in another process. Shares of a "
    "core are CPU time of whole processes, all threads, by the kernel's account. Ages count from "
    "when the device took a sample, on the clock that all processes of the machine share: the "
    "newest sample of a packet is new when it is sent, the oldest one 50 ms old."
)


def sessions(folder: Path = RESULTS) -> dict[str, Result]:
    """Return the sessions that were measured, by transport."""
    found = {t: load(folder / f"live_session_{t}.json") for t in TRANSPORTS}
    return {transport: result for transport, result in found.items() if result is not None}


def live_section(folder: Path = RESULTS) -> str:
    """Return all that was measured live; nothing where nothing was."""
    made = {
        "live_ingest": ingest_part, "live_ward": ward_part, "live_day": day_part,
        "session_end": end_part, "live_recovery": recovery_part, "live_block": block_part,
        "live_peers": peers_part,
    }  # fmt: skip
    results = {name: load(folder / f"{name}.json") for name in made}
    measured = sessions(folder)
    if not measured and not any(results.values()):
        return ""
    lines = ["## Live", "", INTRODUCTION, "", *session_part(measured)]
    for name, part in made.items():
        lines += part(results[name])
    return "\n".join(lines).rstrip()


def session_part(measured: dict[str, Result]) -> list[str]:
    """Return whole sessions, one column for each transport."""
    if not measured:
        return missing("Sessions", "live_session TRANSPORT")
    columns = ["", "wanted", *TRANSPORTS.values()]
    rows = []
    for text, wanted, cell in SESSION_ROWS:
        cells = [cell(measured[t]) if t in measured else NOT_YET for t in TRANSPORTS]
        rows.append([text, wanted, *cells])
    lines = ["### Sessions: every sample, its cost and its age", "", *table(columns, rows), ""]
    for transport, result in measured.items():
        lines.append(f"- {TRANSPORTS[transport]}: {where(result, f'live_session {transport}')}")
    return [*lines, ""]


def _samples(result: Result) -> str:
    found = result["samples"]
    text = f"{found['samples']} stored, {found['in_gaps']} in gaps"
    return f"{text}: {verdict(result['met']['every_sample'])}"


def _recorder(result: Result) -> str:
    return f"{result['recorder_core']:.3f}: {verdict(result['met']['recorder_core'])}"


def _growth(result: Result) -> str:
    parts = result["cores"]["recorder"]
    memory = result["own_bytes"]["recorder"]
    shares = f"{parts['first_third']:.3f} → {parts['last_third']:.3f}"
    return f"{shares}; {megabytes(memory['first'], memory['last'])}"


def _pipeline(result: Result) -> str:
    memory = result["own_bytes"]["pipeline"]
    return f"{result['pipeline_core']:.3f}; {megabytes(memory['first'], memory['last'])}"


def _oldest(result: Result) -> str:
    return f"{ms(result['ages']['traces']['oldest'])}: {verdict(result['met']['age'])}"


def _connectivity(result: Result) -> str:
    age = result["ages"]["connectivity"]["oldest"]["p99_ms"]
    return f"{age:.0f} ms: {verdict(result['met']['connectivity_age'])}"


def _rates(result: Result) -> str:
    topics = ("traces", "spectra", "topographies", "connectivity")
    return ", ".join(f"{result['ages'][topic]['rate_hz']:.3g}" for topic in topics)


SESSION_ROWS = (
    ("minutes", "10", lambda r: f"{r['parameters']['minutes']:g}"),
    ("samples, each held to its number from the device", "none unexplained", _samples),
    ("recorder: ingest, log, ledger, shards; share of a core", "0.04", _recorder),
    ("the same, first → last third; its own memory", "no growth", _growth),
    ("pipeline: both paths and all snapshots; share of a core, own memory", "–", _pipeline),
    ("newest sample when its trace is shown, p50 / p99", "–",
     lambda r: ms(r["ages"]["traces"]["newest"])),
    ("oldest sample when its trace is shown, p50 / p99", "p99 250 ms", _oldest),
    ("the same, from the recorder's receiving the newest", "–",
     lambda r: ms(r["ages"]["traces"]["since_arrival"])),
    ("connectivity: age at which it is replaced, p99", "1000 ms", _connectivity),
    ("traces, spectra, topographies, connectivity a second", "20, 4, 4, 1", _rates),
    ("a sync of the log, p50 / p99", "–", lambda r: ms(
        {"p50_ms": r["sync_ms"]["p50"], "p99_ms": r["sync_ms"]["p99"]})),
    ("last sample to report", "–", lambda r: f"{r['stop_to_report_s']:.1f} s"),
)  # fmt: skip


def ingest_part(result: Result | None) -> list[str]:
    """Return ingest beside the peers, all on one stream at once."""
    if result is None:
        return missing("Ingest beside its peers", "live_ingest")
    ours, wanted = result["rows"][0], result["target_core"]
    rows = []
    for row in result["rows"]:
        age = row["age"]
        rows.append([
            row["title"], "yes" if row["writes"] else "no",
            f"{row['core']:.4f}" + (f" (wanted {wanted:g}: {verdict(row['core'] <= wanted)})"
                                    if row is ours else ""),
            f"{row['core'] / ours['core']:.2g}×",
            f"{row['core_first_half']:.4f} → {row['core_last_half']:.4f}",
            megabytes(row["own_bytes"]["first"], row["own_bytes"]["last"]),
            ms(age) if age else "–",
        ])  # fmt: skip
    columns = ["reader", "writes", "share of a core", "beside ours", "first → last half",
               "own memory", "sample to available, p50 / p99"]  # fmt: skip
    return [
        "### Ingest beside its peers", "", *table(columns, rows), "",
        f"One LSL stream that all read at once, {result['parameters']['seconds']:g} s with nobody "
        "looking, then 20 s in which every reader is asked each millisecond for the newest sample. "
        "The recorder looks into LSL once a packet, not for every sample: that is its age. Its "
        "samples are counted, checked, synced to the disk ten times a second and compressed; "
        "LabRecorder writes them as they come, without syncs, and MNE-LSL keeps the last seconds "
        "in memory.",
        "", where(result, "live_ingest", "mne-lsl", "pylsl"), "",
    ]  # fmt: skip


def ward_part(result: Result | None) -> list[str]:
    """Return many patients on one core."""
    if result is None:
        return missing("Many patients on one core", "live_ward")
    patients, ages, cores = result["parameters"]["patients"], result["ages"], result["cores"]
    wanted, memory = result["target_patients"], result["own_bytes"]
    whole = sum(cores.values())
    rows = [
        ["patients at once on one core", f"{wanted}", f"{patients}: {verdict(result['met'])}"],
        ["newest sample when its trace is shown, p50 / p99", "–", ms(ages["all"])],
        ["the same, first third", "–", ms(ages["first_third"])],
        ["the same, last third", "no growth", ms(ages["last_third"])],
        ["longest without a new trace, any patient", "3 s",
         f"{result['longest_without_news_s']:.2f} s"],
        ["core: recorders + pipelines", "–",
         f"{cores['recorder']:.2f} + {cores['pipeline']:.2f} = {whole:.2f}"],
        ["a core a patient", "–", f"{whole / patients:.3f}"],
        ["samples, each held to its number", "all",
         f"{result['samples']} stored, {result['in_gaps']} in gaps: "
         f"{verdict(result['every_sample'])}"],
        ["own memory of all", "–", megabytes(memory["first"], memory["last"])],
        ["restarts of processes", "0", f"{result['restarts']}"],
    ]  # fmt: skip
    return [
        "### Many patients on one core", "", *table(["", "wanted", "reached"], rows), "",
        f"Recorders and pipelines of all patients share one core for "
        f"{result['parameters']['seconds']:g} s, after {result['ready_s']:.0f} s in which all "
        "start, calibrate and catch up; the device and the benchmark have another core.",
        "", where(result, "live_ward"), "",
    ]  # fmt: skip


def day_part(result: Result | None) -> list[str]:
    """Return a day in minutes."""
    if result is None:
        return missing("A day", "live_day")
    parameters, samples = result["parameters"], result["samples"]
    rows = [
        [f"{name}: own memory, first → last tenth; growth over the day",
         f"{result['flat_bytes'] / 1e6:.0f} MB",
         f"{megabytes(m['first'], m['last'])}; {m['growth'] / 1e6:+.1f} MB: "
         f"{verdict(m['growth'] <= result['flat_bytes'])}"]
        for name, m in result["own_bytes"].items()
    ]  # fmt: skip
    rows += [
        ["samples: received = stored + gaps", "exactly",
         f"{samples['received']} = {samples['stored']} + {samples['gaps']}: "
         f"{verdict(result['ok'])}"],
        ["restarts of processes", "0", f"{result['restarts']}"],
        ["last sample to report", "–", f"{result['end_s']:.1f} s"],
    ]  # fmt: skip
    return [
        "### A day", "", *table(["", "wanted", "reached"], rows), "",
        f"{parameters['hours']:g} h of {parameters['channels']} channels at 1 kHz as fast as the "
        f"recorder takes them: {result['acceleration']:.0f} times real time.",
        "", where(result, "live_day"), "",
    ]  # fmt: skip
