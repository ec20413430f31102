"""What a person reads at the end of a job: findings first, then what they rest on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from brainforge.cli.output import table
from brainforge.finding import Finding
from brainforge.result import EventTrain, Result

if TYPE_CHECKING:
    from rich.table import Table


def summary(result: Result, payload: dict[str, Any]) -> Iterator[Any]:
    """Yield what `brainforge.cli.output.show` prints about a finished job."""
    about = payload["recording"]
    yield (
        f"{about.get('n_channels', result.info.n_channels)} channels, "
        f"{about.get('sfreq', result.info.sfreq):g} Hz, {about.get('duration_s', 0.0):.1f} s, "
        f"recipe {result.recipe}"
    )
    yield findings_table(result.findings)
    yield from _quality(result)
    yield from _artifacts(result)
    for warning in result.warnings:
        yield f"note: {warning}"
    if result.warnings:
        yield ""
    yield _timings(payload)
    yield from outputs_lines(payload)


def findings_table(findings: tuple[Finding, ...]) -> Table:
    """Return the findings as a table; one that abstains shows a dash and says why."""
    made = table("Findings", "finding", "value", "95 % interval", "in words", right=("value",))
    for finding in findings:
        interval = finding.uncertainty
        made.add_row(
            finding.title,
            "–" if finding.value is None else f"{finding.value:.4g} {finding.unit}".strip(),
            f"{interval[0]:.4g} to {interval[1]:.4g}" if interval else "",
            finding.text,
        )
    return made


def _quality(result: Result) -> Iterator[Any]:
    bads = result.quality.bads
    coverage = f"{100 * result.quality.coverage:.1f} % of the time can be believed"
    if not bads:
        yield f"Quality: no bad channels; {coverage}"
        yield ""
        return
    made = table(f"Bad channels ({coverage})", "channel", "reason", "evidence")
    for bad in bads:
        made.add_row(bad.name, bad.reason, bad.evidence)
    yield made


def _artifacts(result: Result) -> Iterator[Any]:
    found = result.artifacts
    if found is None:
        return
    made = table("Heart and eyes", "what", "events", "per minute", "found in", "removed by")
    for name, train in (("heartbeats", found.ecg), ("blinks", found.eog)):
        made.add_row(
            name, str(train.n_events), f"{train.rate_per_min:.1f}", train.source, _reduction(train)
        )
    yield made
    removed = ", ".join(f"{c.index} ({c.kind})" for c in found.removed) or "none"
    yield f"{found.method.upper()}: {found.n_fitted} components fitted, removed: {removed}"
    yield ""


def _reduction(train: EventTrain) -> str:
    """Return by how much the event-locked field has fallen, where it is known."""
    return f"{train.reduction_db:.1f} dB" if train.reduction_db == train.reduction_db else "–"


def _timings(payload: dict[str, Any]) -> str:
    timings = payload["timings"]
    parts = ", ".join(
        f"{name.removesuffix('_s')} {seconds:.1f}"
        for name, seconds in timings.items()
        if name != "total_s"
    )
    memory = payload["peak_rss_bytes"] / 1e9
    return f"{timings['total_s']:.1f} s ({parts}); at most {memory:.2f} GB of memory"


def outputs_lines(payload: dict[str, Any]) -> Iterator[str]:
    """Yield where each output is."""
    for name, path in payload["outputs"].items():
        if path:
            yield f"{name + ':':<14}{path}"
