"""The report: a page of everything that was found, against MNE's of signal and components."""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import Material
from benchmarks.sources import peer_sources
from brainforge.backend import Backend
from brainforge.processing import process


def build(material: Material) -> Comparison:
    result = process(material.recording, backend=Backend(n_threads=2))
    ica = cache(lambda: peer_sources(material))
    folder = material.folder

    def peer(_: int) -> Path:
        import mne

        report = mne.Report("benchmark", verbose="error")
        report.add_raw(material.working_raw, "cleaned", psd=True, butterfly=True)
        report.add_ica(ica(), "components", inst=None)
        path = folder / "peer.html"
        report.save(path, open_browser=False, overwrite=True, verbose="error")
        return path

    def ours(_: int) -> Path:
        return result.report(folder / "report.html", overwrite=True)

    def figures(theirs: Any, mine: Any) -> list[Figure]:
        page = html.unescape(mine.read_text(encoding="utf-8"))
        missing = [f for f in result.findings if f.text not in page]
        return [
            Figure(f"of {len(result.findings)} findings missing in the page", len(missing), 0),
            Figure("megabytes", mine.stat().st_size / 1e6),
            Figure("megabytes of MNE's", theirs.stat().st_size / 1e6),
        ]

    return Comparison(
        title="report",
        amount=material.working_size,
        peer="mne.Report: add_raw with spectrum and butterfly, add_ica, save",
        ours="Result.report: every section",
        run_peer=peer,
        run_ours=ours,
        figures=figures,
        threads=(1,),
        prepare_peer=(ica,),
    )
