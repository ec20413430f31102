"""The Zarr metadata and the coordinate arrays, written through zarr when an archive is closed.

What they say is also in the root's document, which is what our reader trusts; they are there so
that plain ``zarr`` and ``xarray.open_zarr`` show named channels, seconds and calibrations.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive.document import MNE_INFO, Contents, to_document
from brainforge.archive.durable import sync, write_durable
from brainforge.archive.layout import LIVE, Layout, array_metadata
from brainforge.archive.shard import with_crc
from brainforge.errors import InputError

#: arrays over the channels that xarray takes for coordinates of the counts
COORDINATES = "cal offset unit kind bad position orientation coil_type"


def committed_bytes(n_samples: int) -> bytes:
    """Return the counter of committed samples as the ``committed`` array's only chunk."""
    return with_crc(np.array(n_samples, dtype="<i8").tobytes())


def _columns(contents: Contents) -> dict[str, tuple[Any, tuple[str, ...]]]:
    info = contents.info
    channels = info.channels
    events = contents.events
    return {
        "channel": (np.array(info.names), ("channel",)),
        "kind": (np.array([c.kind for c in channels]), ("channel",)),
        "unit": (np.array([c.unit for c in channels]), ("channel",)),
        "cal": (np.array([c.cal for c in channels], dtype="<f8"), ("channel",)),
        "offset": (np.array([c.offset for c in channels], dtype="<f8"), ("channel",)),
        "bad": (np.array([c.bad for c in channels], dtype=bool), ("channel",)),
        "coil_type": (np.array([c.coil_type for c in channels], dtype="<i4"), ("channel",)),
        "position": (info.positions(), ("channel", "xyz")),
        "orientation": (info.orientations(), ("channel", "xyz")),
        "event_sample": (np.array([e.sample for e in events], dtype="<i8"), ("event",)),
        "event_code": (np.array([e.code for e in events], dtype="<i8"), ("event",)),
        "committed": (np.array(sum(s.stop - s.start for s in contents.segments)), ()),
    }


def _write_arrays(root: Path, contents: Contents) -> None:
    import zarr
    from zarr.codecs import BloscCodec, Crc32cCodec

    group = zarr.create_group(root, zarr_format=3, attributes={"brainforge": to_document(contents)})
    always: Any = {"write_empty_chunks": True}
    columns = _columns(contents)
    mne_info = contents.info.extra.get(MNE_INFO)
    if isinstance(mne_info, bytes):
        columns[MNE_INFO] = (np.frombuffer(mne_info, dtype=np.uint8), ("byte",))
    for name, (values, dims) in columns.items():
        text = values.dtype.kind == "U"
        array = group.create_array(
            name,
            shape=values.shape,
            dtype="str" if text else values.dtype,
            chunks=tuple(max(n, 1) for n in values.shape),
            compressors=[Crc32cCodec()],
            dimension_names=dims,
            config=always,
        )
        if values.size:
            array[...] = values
    n_stored = int(columns["committed"][0])
    times = group.create_array(
        "time",
        shape=(n_stored,),
        dtype="int64",
        chunks=(min(n_stored, 1 << 20),),
        compressors=[BloscCodec(cname="zstd", clevel=5, shuffle="bitshuffle"), Crc32cCodec()],
        dimension_names=("time",),
        config=always,
        attributes={
            "long_name": "absolute sample index; times scale_factor gives seconds",
            "scale_factor": 1.0 / contents.info.sfreq,
        },
    )
    for first, index in _times(contents, times.chunks[0]):
        times[first : first + len(index)] = index


def _times(contents: Contents, size: int) -> Iterator[tuple[int, npt.NDArray[np.int64]]]:
    """Yield the absolute indices of stored samples, whole chunks of ``size`` however many gaps."""
    chunk, at, first = np.empty(size, dtype=np.int64), 0, 0
    for segment in contents.segments:
        done = segment.start
        while done < segment.stop:
            n = min(segment.stop - done, size - at)
            chunk[at : at + n] = np.arange(done, done + n)
            at, done = at + n, done + n
            if at == size:
                yield first, chunk
                first, at = first + size, 0
    if at:
        yield first, chunk[:at]


def _sync(root: Path) -> None:
    """Make files and folders durable; zarr never does."""
    folders = [p for p in root.iterdir() if p.is_dir() and p.name not in ("counts", LIVE)]
    # shards were synced as they were written
    for path in [root, root / "zarr.json", root / "counts", root / "counts/zarr.json"]:
        sync(path)
    for path in folders:
        for each in [path, *path.rglob("*")]:
            sync(each)


def write_metadata(root: Path, contents: Contents, layout: Layout, level: int) -> None:
    """Write everything but the shards and the manifest.

    The counter of committed samples is replaced last: nothing below it is ever missing.
    """
    attributes = {
        "coordinates": COORDINATES,
        "long_name": "counts as the source gave them; SI value = counts * cal + offset",
    }
    document = array_metadata(layout, level, attributes)
    (root / "counts/zarr.json").write_text(json.dumps(document), encoding="utf-8")
    try:
        _write_arrays(root, contents)
    except TypeError as error:
        raise InputError(
            where="info.extra or source", expected="JSON-ready values", got=str(error)
        ) from error
    import zarr

    with warnings.catch_warnings():
        # consolidated metadata is an extension that zarr and xarray both read
        warnings.filterwarnings("ignore", message="Consolidated metadata is currently not part")
        # what a recording leaves to remove when all this is done
        warnings.filterwarnings("ignore", message=f"Object at {LIVE} is not recognized")
        zarr.consolidate_metadata(root, zarr_format=3)
    _sync(root)
    write_durable(root / "committed/c", committed_bytes(layout.n_samples))
