"""Write docs/performance.md, its pictures and README's figures from the results.

``python -m benchmarks.page [--check] [--html FILE]``. ``--check`` writes nothing and says whether
they are what the results give (exit code 1 where not). ``--html`` writes the interactive page as
well, one file of some megabytes that is not committed.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from benchmarks import pictures, readme
from benchmarks.live_section import live_section
from benchmarks.sections import device_section, job_section, start_section
from benchmarks.stage_sections import scaling_section, stage_section
from benchmarks.store import RESULTS, load, load_rows

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, IMAGES = DOCS / "performance.md", DOCS / "images"

INTRODUCTION = """# Performance

Written by `python -m benchmarks.page` from the results in `benchmarks/results/`; `make bench`
measures the stages, the job and the start anew and writes this page; every part of the live section
names its own command. Times are medians after a warm-up, both sides in turn in one
process, on the same data; the peers have one thread, which they are fastest with. X marks what is
extrapolated. A ratio without its accuracy does not count, so both stand in one row; a bound or a
target that is not kept says so.
"""


def page(folder: Path = RESULTS) -> str:
    """Return the page for the results of a folder; what was not measured is left out."""
    rows, jobs = load_rows(folder / "peers.json"), load_rows(folder / "job.json")
    start, device = load(folder / "start.json"), load(folder / "device.json")
    parts = [
        stage_section(rows),
        scaling_section(rows),
        job_section(jobs),
        start_section(start) if start else "",
        live_section(folder),
        device_section(device) if device else "",
    ]
    return "\n".join([INTRODUCTION, *(part + "\n" for part in parts if part)])


def written(folder: Path = RESULTS) -> dict[Path, str]:
    """Return every file that the results give, with its text."""
    rows = load_rows(folder / "peers.json")
    texts = {PAGE: page(folder)}
    if rows:
        texts[IMAGES / pictures.BARS] = pictures.bars(rows)
        texts[IMAGES / pictures.CURVES] = pictures.curves(rows)
    texts[readme.README] = readme.with_block(readme.README.read_text(encoding="utf-8"), folder)
    return texts


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.page", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    parser.add_argument("--html", type=Path, metavar="FILE", help="the interactive page")
    given = parser.parse_args(arguments)
    stale = 0
    for path, text in written().items():
        same = path.exists() and path.read_text(encoding="utf-8") == text
        stale |= not same
        if given.check:
            print(f"{path.name} is {'what the results give' if same else 'out of date'}")
        elif not same:
            path.write_text(text, encoding="utf-8")
            print(path)
    if given.html:
        from benchmarks.figures import write_html

        print(write_html(given.html))
    return stale if given.check else 0


if __name__ == "__main__":
    raise SystemExit(main())
