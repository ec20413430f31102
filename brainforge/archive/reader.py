"""Read an archive: a Recording whose counts are decoded straight into the caller's buffer."""

from __future__ import annotations

import os
from collections import OrderedDict
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive import manifest
from brainforge.archive.document import MNE_INFO, Contents, from_document
from brainforge.archive.files import Files, open_files, read_json, refused
from brainforge.archive.layout import Layout, layout_of
from brainforge.archive.live_folder import refuse_unfinished
from brainforge.archive.shard import ShardError, decode, without_crc
from brainforge.errors import InputError, ReadError
from brainforge.kernels.parallel import may_use_others
from brainforge.recording import Recording

Array = npt.NDArray[Any]
#: decoded shards kept for reads that do not end where shards end
CACHED = 2


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    # not the kernels' pool: a kernel may be the one who reads, and would wait for itself
    return ThreadPoolExecutor(2, thread_name_prefix="archive-read")


class ArchiveReader:
    """SampleReader of an archive; safe to use from several threads.

    Parameters
    ----------
    files : Files
    contents : Contents
    layout : Layout
    """

    def __init__(self, files: Files, contents: Contents, layout: Layout) -> None:
        self._files, self._contents, self._layout = files, contents, layout
        self._lock = Lock()
        self._decoded: OrderedDict[int, Array] = OrderedDict()

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the counts."""
        return np.dtype(self._layout.dtype)

    @property
    def block_size(self) -> int:
        """Samples in a shard: reads of whole shards are decoded in place."""
        return self._layout.samples

    def read(self, start: int, stop: int) -> Array:
        """Return samples [start, stop), absolute, inside one segment; axes (channel, sample)."""
        out = np.empty((self._layout.n_channels, stop - start), dtype=self.dtype)
        self.read_into(start, stop, out)
        return out

    def read_into(self, start: int, stop: int, out: Array) -> None:
        """Write samples [start, stop) to ``out``, axes (channel, sample), of the same dtype.

        A buffer that is used again saves the first touch of fresh memory, which costs as much
        as decoding.
        """
        if out.shape != (self._layout.n_channels, stop - start) or out.dtype != self.dtype:
            raise InputError(
                where="out",
                expected=f"{self.dtype} of shape {(self._layout.n_channels, stop - start)}",
                got=f"{out.dtype} of shape {out.shape}",
            )
        first = self._stored_index(start, stop)
        size, at = self._layout.samples, 0
        with self._lock:
            while at < stop - start:
                shard, skip = divmod(first + at, size)
                n = min(size - skip, stop - start - at)
                if n == size and out.shape[1] == size and out.flags.c_contiguous:
                    self._decode(shard, out)
                else:
                    out[:, at : at + n] = self._shard(shard)[:, skip : skip + n]
                at += n

    def _stored_index(self, start: int, stop: int) -> int:
        for segment in self._contents.segments:
            if segment.start <= start <= stop <= segment.stop:
                return segment.stored + start - segment.start
        raise InputError(
            where=str(self._files.path),
            expected="samples inside one stored stretch",
            got=f"[{start}, {stop})",
        )

    def _shard(self, shard: int) -> Array:
        """Return a decoded shard, in a buffer that the next ones take over."""
        if shard in self._decoded:
            self._decoded.move_to_end(shard)
            return self._decoded[shard]
        if len(self._decoded) >= CACHED:
            buffer = self._decoded.popitem(last=False)[1]
        else:
            buffer = np.empty((self._layout.n_channels, self._layout.samples), dtype=self.dtype)
        self._decode(shard, buffer)
        self._decoded[shard] = buffer
        return buffer

    def _decode(self, shard: int, out: Array) -> None:
        layout, name = self._layout, self._layout.key(shard)
        where = f"{self._files.path}/{name}"
        first = shard * layout.samples
        lost = f"verify the archive; stored samples {first} to {first + layout.samples_in(shard)}"
        size = self._files.sizes.get(name)
        if size is None:
            raise ReadError(where=where, expected="a shard", got="nothing", fix=lost)
        if size > 2 * out.nbytes + 65536:
            raise ReadError(where=where, expected="a shard", got=f"{size} bytes", fix=lost)
        data = self._files.read(name)
        try:
            decode(data, layout, out, _pool() if may_use_others() else None)
        except ShardError as error:
            raise ReadError(
                where=where, expected="a whole shard", got=str(error), fix=lost
            ) from error


def read_parts(path: Path) -> tuple[Files, manifest.Entries, Contents, Layout]:
    """Return the files, manifest, contents and layout of an archive, all checked."""
    refuse_unfinished(path)
    files = open_files(path)
    if "zarr.json" not in files.sizes:
        raise refused(path, "no zarr.json in it")
    entries = manifest.read_manifest(files)
    for name in ("zarr.json", "counts/zarr.json"):
        manifest.read_checked(files, entries, name)
    root = read_json(files, "zarr.json")
    attributes = root.get("attributes") if isinstance(root, dict) else None
    if not isinstance(attributes, dict) or "brainforge" not in attributes:
        raise refused(path, "a Zarr store of something else", "import the source recording")
    contents = from_document(attributes["brainforge"], str(path))
    layout = layout_of(read_json(files, "counts/zarr.json"), f"{path}/counts")
    stored = sum(s.stop - s.start for s in contents.segments)
    try:
        data = without_crc(manifest.read_checked(files, entries, "committed/c"), "committed")
    except ShardError as error:
        raise refused(path, str(error)) from error
    counter = int.from_bytes(data, "little")
    if not counter == stored == layout.n_samples or layout.n_channels != contents.info.n_channels:
        raise refused(
            path,
            f"{counter} samples committed, {layout.n_samples} in the array and {stored} in the "
            f"segments; {contents.info.n_channels} channels and {layout.n_channels} rows",
        )
    name = f"{MNE_INFO}/c/0"
    if name in entries:
        try:
            fif = without_crc(manifest.read_checked(files, entries, name), name)
        except ShardError as error:
            raise refused(path, str(error)) from error
        contents.info.extra[MNE_INFO] = bytes(fif)
    return files, entries, contents, layout


def _origin(contents: Contents) -> dict[str, Any]:
    """Return what was stored about the source; of a ledger the sums, not its thousands of lines."""
    ledger = contents.source.get("ledger")
    if not isinstance(ledger, dict):
        return contents.source
    return {**contents.source, "ledger": {k: v for k, v in ledger.items() if k != "entries"}}


def open_archive(path: str | os.PathLike[str]) -> Recording:
    """Open an archive, a ``.zarr`` folder or a ``.zarr.zip`` file, without reading its counts.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    recording : Recording
        ``source["sha256"]`` is that of the manifest, which holds the checksum of every file;
        ``source["origin"]`` what was stored about the source, with the sums of its ledger.

    Raises
    ------
    ReadError
        Where it is no archive of this product, or its metadata is damaged. Damaged counts raise
        when they are read.
    """
    path = Path(path)
    files, _, contents, layout = read_parts(path)
    source = {
        "path": path.name,
        "format": "brainforge archive",
        "sha256": manifest.digest(files.read(manifest.NAME)),
        "notes": list(contents.source.get("notes", [])),
        "origin": _origin(contents),
    }
    return Recording(
        contents.info,
        ArchiveReader(files, contents, layout),
        contents.start,
        contents.stop,
        contents.gaps,
        contents.events,
        contents.annotations,
        contents.masks,
        source,
    )
