"""Section: the findings as cards, and the warnings."""

from __future__ import annotations

from typing import Any

from brainforge.finding import Finding
from brainforge.report.arrays import ArrayPool
from brainforge.report.page import Part, Section
from brainforge.report.text import clock, number, with_interval
from brainforge.result import Result


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the summary."""
    cards = [_card(f) for f in result.findings]
    silent = sum(f.abstained for f in result.findings)
    lead = f"{len(cards) - silent} findings"
    if silent:
        lead += f"; {silent} could not be made, and say why"
    part = Part(template="cards", context={"cards": cards, "warnings": result.warnings})
    return Section("summary", "Findings", lead + ".", (part,))


def _card(finding: Finding) -> dict[str, Any]:
    value, interval = number(finding.value), ""
    if finding.uncertainty is not None and finding.value is not None:
        value, low, high = with_interval(finding.value, *finding.uncertainty)
        interval = f"{low} to {high}"
    span = ""
    if finding.evidence is not None:
        span = f"{clock(finding.evidence[0])} to {clock(finding.evidence[1])}"
    return {
        "title": finding.title,
        "abstained": finding.abstained,
        "value": value,
        "unit": finding.unit,
        "interval": interval,
        "text": finding.text,
        "evidence": span,
        "method": finding.method,
    }
