"""From a Result to the text of one HTML page that asks nothing of any network."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import datetime, timedelta
from functools import cache
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brainforge.report.arrays import ArrayPool
from brainforge.report.page import Section, payload
from brainforge.report.sections import (
    components,
    connectivity,
    graph,
    locked,
    provenance,
    quality,
    spectra,
    summary,
    topography,
    traces,
)
from brainforge.report.text import clock
from brainforge.result import Result

if TYPE_CHECKING:
    from jinja2 import Environment

BUILDERS = (
    summary,
    quality,
    spectra,
    topography,
    traces,
    components,
    locked,
    connectivity,
    graph,
    provenance,
)
#: the page's own rules: nothing may be loaded, and only the scripts below may run
POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
)


def render_report(result: Result) -> str:
    """Return the report as HTML.

    The page holds Plotly's own bundle once, the data as base64, and nothing else to load.
    """
    pool = ArrayPool()
    sections = [module.build(result, pool) for module in BUILDERS]
    data = _json(payload(sections, pool))
    scripts = [_plotly(), _asset("report.js")]
    policy = POLICY.format(scripts=" ".join(_hash(s) for s in scripts))
    page = _environment().get_template("report.html.j2")
    head, _, tail = page.render(
        header=_header(result),
        sections=sections,
        policy=policy,
        style=_asset("report.css"),
        data=data,
        cut="\0",
    ).partition("\0")
    return "".join((head, *(f"<script>{s}</script>\n" for s in scripts), tail))


def _header(result: Result) -> dict[str, Any]:
    info, recording = result.info, result.recording
    name = Path(str(recording.get("path") or recording.get("name") or "")).name
    sfreq = recording.get("sfreq")
    facts = [
        ("Subject", info.subject),
        ("Recorded", _date(info.meas_date)),
        ("Duration", clock(float(recording["duration_s"])) if "duration_s" in recording else None),
        ("Channels", recording.get("n_channels", info.n_channels)),
        ("Sampling rate", f"{float(sfreq):g} Hz" if sfreq else None),
        ("Device", info.device),
        ("Recipe", result.recipe),
    ]
    return {
        "title": name or "Recording",
        "facts": [(k, str(v)) for k, v in facts if v not in (None, "")],
    }


def _date(text: str | None) -> str | None:
    """Return an ISO date and time without the signs that only machines want."""
    if text is None:
        return None
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        return text
    zone = " UTC" if when.utcoffset() == timedelta(0) else ""
    return f"{when:%Y-%m-%d %H:%M}{zone}"


@cache
def _environment() -> Environment:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("brainforge.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _json(value: Any) -> str:
    """Return JSON that no HTML parser can leave: the signs it looks for are escaped."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _hash(script: str) -> str:
    digest = hashlib.sha256(script.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


@cache
def _asset(name: str) -> str:
    return files("brainforge.report").joinpath("assets", name).read_text("utf-8")


@cache
def _plotly() -> str:
    """Return the bundle that comes with the plotly package, without importing plotly."""
    spec = find_spec("plotly")
    if spec is None or not spec.submodule_search_locations:
        raise ModuleNotFoundError("the report needs the plotly package")
    folder = Path(next(iter(spec.submodule_search_locations)))
    return (folder / "package_data" / "plotly.min.js").read_text("utf-8")


__all__ = ["BUILDERS", "Section", "render_report"]
