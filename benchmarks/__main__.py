"""All of it: ``python -m benchmarks [--quick]`` (`make bench`).

Stages beside their peers, the whole job, and docs/performance.md. ``--quick`` takes a minute of
phantom instead of 5 and 30, and leaves results and page as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import job, page, peers


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a minute, results not kept")
    if not parser.parse_args().quick:
        failed = peers.main([]) | job.main([])
        return failed | page.main([])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        one = ["--minutes", "1", "--repeats", "1"]
        failed = peers.main([*one, "--json", str(folder / "peers.json")])
        return failed | job.main([*one, "--piece", "0.5", "--json", str(folder / "job.json")])


if __name__ == "__main__":
    raise SystemExit(main())
