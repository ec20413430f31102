"""Verify an archive: every file against the manifest, every chunk against its checksum."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.archive import manifest
from brainforge.archive.document import Contents
from brainforge.archive.files import Files
from brainforge.archive.layout import LIVE, Layout
from brainforge.archive.ledger import joined, ledger_of
from brainforge.archive.reader import read_parts
from brainforge.archive.shard import ShardError, decode
from brainforge.errors import BrainForgeError


def _shard_problem(files: Files, name: str, layout: Layout, out: Any) -> str:
    """Return what is wrong with the chunks of a shard, or an empty text."""
    if name not in files.sizes:
        return "missing, so fill values would show"
    try:
        decode(files.read(name), layout, out)
    except (ShardError, BrainForgeError) as error:
        return str(error)
    return ""


def _file_problems(files: Files, entries: manifest.Entries) -> list[dict[str, Any]]:
    problems = []
    for name, (size, sha256) in entries.items():
        if name not in files.sizes:
            problem = "missing"
        elif files.sizes[name] != size:
            problem = f"{files.sizes[name]} bytes instead of {size}"
        elif manifest.digest(files.read(name)) != sha256:
            problem = "changed since it was written (SHA-256)"
        else:
            continue
        problems.append({"file": name, "problem": problem})
    known = {*entries, manifest.NAME}
    problems += [
        {"file": name, "problem": "not in the manifest"}
        for name in files.sizes
        # what a recorder had no time to remove does no harm
        if name not in known and not name.startswith(f"{LIVE}/")
    ]
    return problems


def _check_ledger(contents: Contents) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return the ledger and where the gaps that it tells of are not those of the time axis."""
    try:
        ledger = ledger_of(contents.source)
    except ValueError as error:
        return {}, [{"file": "zarr.json", "problem": str(error)}]
    # of a ledger too long to be kept whole only the sums are there
    if ledger is None or ledger["left_out"]:
        return ledger or {}, []
    told = ((e["start"], e["stop"]) for e in ledger["entries"] if e["what"] == "gap")
    said = joined((max(a, contents.start), min(b, contents.stop)) for a, b in told)
    lost = joined((gap.start, gap.stop) for gap in contents.gaps)
    if said == lost:
        return ledger, []
    problem = f"gaps in the ledger ({said[:3]}...) and on the time axis ({lost[:3]}...) differ"
    return ledger, [{"file": "zarr.json", "problem": problem}]


def _damaged(shard: int, contents: Contents, layout: Layout) -> Iterator[list[int]]:
    """Yield the absolute intervals that a shard holds."""
    lo = shard * layout.samples
    hi = lo + layout.samples_in(shard)
    for s in contents.segments:
        a = max(lo - s.stored + s.start, s.start)
        b = min(hi - s.stored + s.start, s.stop)
        if a < b:
            yield [a, b]


def verify_archive(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Check every byte of an archive and account for every sample.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    report : dict
        JSON-ready: ``ok``; ``state`` (finished); ``received``: samples that the device took
        from ``first_sample`` to ``last_sample``, which are those ``stored`` and those in
        ``gaps``, each with its cause; ``exact``: whether that rests on the device's counter
        (None for recordings that were imported); ``ledger``: notices by kind; ``checksums``
        (SHA-256 by shard); ``damaged`` (absolute intervals whose counts cannot be believed);
        ``problems`` (``file``, ``problem``).

    Raises
    ------
    ReadError
        Where there is no archive, or its metadata is so damaged that nothing can be said.
    """
    path = Path(path)
    files, entries, contents, layout = read_parts(path)
    ledger, problems = _check_ledger(contents)
    problems += _file_problems(files, entries)
    broken = {p["file"] for p in problems}
    out = np.empty((layout.n_channels, layout.samples), dtype=layout.dtype)
    damaged: list[list[int]] = []
    for shard in range(layout.n_shards):
        name = layout.key(shard)
        problem = _shard_problem(files, name, layout, out)
        if problem:
            problems.append({"file": name, "problem": problem})
        elif name not in entries:
            problems.append({"file": name, "problem": "not in the manifest"})
        if problem or name in broken:
            damaged += _damaged(shard, contents, layout)
    return {
        "ok": not problems,
        "state": "finished",
        "path": str(path),
        "sha256": manifest.digest(files.read(manifest.NAME)),
        "n_channels": layout.n_channels,
        "received": contents.stop - contents.start,
        "stored": layout.n_samples,
        "first_sample": contents.start,
        "last_sample": contents.stop - 1,
        "gaps": [{"start": g.start, "stop": g.stop, "cause": g.cause} for g in contents.gaps],
        "exact": ledger.get("exact"),
        "ledger": ledger.get("counts", {}),
        "checksums": {k: v[1] for k, v in entries.items() if k.startswith("counts/c/")},
        "damaged": damaged,
        "problems": problems,
    }
