"""Section: what was done to which file, by what, where and how long it took."""

from __future__ import annotations

import json
from typing import Any

from brainforge.report.arrays import ArrayPool, plain
from brainforge.report.page import Part, Section, Table
from brainforge.report.text import number, words
from brainforge.result import Result

_LONG = 200
_LABELS = {
    "n_channels": "channels",
    "sfreq": "sampling rate (Hz)",
    "duration_s": "duration (s)",
    "sha256": "SHA-256",
}


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of provenance."""
    lead = "Everything needed to repeat this report."
    tables = [_facts("Recording", plain(result.recording))]
    provenance = plain(result.provenance)
    flat = {k: v for k, v in provenance.items() if not isinstance(v, dict)}
    tables.append(_facts("Processing", flat))
    for key, value in provenance.items():
        if isinstance(value, dict) and value:
            tables.append(_facts(words(key).capitalize(), value))
    timings = [(words(k.removesuffix("_s")), f"{number(v)} s") for k, v in result.timings.items()]
    if result.peak_rss_bytes:
        timings.append(("peak memory", f"{number(result.peak_rss_bytes / 1e9)} GB"))
    if timings:
        tables.append(Table("Time taken", (), tuple(timings)))
    folded = _long_texts(provenance)
    parts = (
        Part("Steps in order", template="steps", context={"steps": result.steps}),
        Part(tables=tuple(t for t in tables if t.rows)),
        Part(template="texts", context={"texts": folded}),
    )  # fmt: skip
    return Section("provenance", "Provenance", lead, parts)


def _is_long(value: Any) -> bool:
    return len(str(value)) > _LONG or "\n" in str(value)


def _long_texts(facts: dict[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Return (title, text) of everything too long for a table, one level deep."""
    out = []
    for key, value in facts.items():
        title = f"{prefix} {words(str(key))}".strip().capitalize()
        if isinstance(value, dict) and not prefix:
            out += _long_texts(value, words(str(key)))
        elif _is_long(value):
            out.append((title, value if isinstance(value, str) else json.dumps(value, indent=1)))
    return out


def _facts(title: str, facts: dict[str, Any]) -> Table:
    rows = []
    for key, value in facts.items():
        if value is None or value in ("", [], {}) or _is_long(value):
            continue
        if isinstance(value, dict):
            text = ", ".join(f"{k} {v}" for k, v in value.items())
        else:
            text = f"{value:.7g}" if isinstance(value, float) else str(value)
        rows.append((_LABELS.get(str(key), words(str(key))), text))
    return Table(title, (), tuple(rows))
