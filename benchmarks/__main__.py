"""All of it: ``python -m benchmarks [--quick]`` (`make bench`).

Stages beside their peers at the first table's size, the whole job, the first start, and
docs/performance.md; about half an hour. The other sizes: ``python -m benchmarks.peers``.
``--quick`` takes seconds of phantom, and leaves results and page as they are.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks import job, page, peers, start

#: the whole job as MNE does it, on a length that it has the memory for
MNE_CHAIN = ["--minutes", "5", "--aec", "none", "--peer"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="seconds, results not kept")
    if not parser.parse_args().quick:
        failed = peers.main(["--headline"]) | job.main([]) | job.main(MNE_CHAIN) | start.main([])
        return failed | page.main([])
    with tempfile.TemporaryDirectory() as place:
        aside = ["--json", str(Path(place) / "job.json")]
        failed = peers.main(["--quick"])
        return failed | job.main(["--minutes", "0.5", "--channels", "32", "--repeats", "0", *aside])


if __name__ == "__main__":
    raise SystemExit(main())
