"""How counts are cut into Zarr shards and chunks, and the metadata that says so.

One shard is one file and the unit of work: all channels, about 10 s. Inside it the channels lie
in an even number of groups, so that two threads decode one shard in equal shares and a reader
of few channels need not decode all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from brainforge.errors import InputError, ReadError

FORMAT: Final = "brainforge.archive"
VERSION: Final = 1
#: folder inside an archive whose recording is not finished
LIVE: Final = "live"
#: dtypes a source may have; stored little-endian
DTYPES: Final = ("int16", "int32", "float32", "float64")
#: a shard is cut shorter than 10 s where it would be larger than this, decoded
MAX_SHARD_BYTES: Final = 32 << 20
#: what a reader accepts at most
READ_LIMIT_BYTES: Final = 256 << 20
MAX_CHANNELS: Final = 65536
SHARD_SECONDS: Final = 10.0
LEVEL: Final = 5
#: compressors that a reader takes; the first is what is written: files are a fourteenth larger
#: than with the second, read at twice and written at seven times its speed
CODECS: Final = ("lz4", "zstd")


@dataclass(frozen=True)
class Layout:
    """The cut of the ``counts`` array, axes (channel, time).

    Parameters
    ----------
    n_channels : int
    n_samples : int
        Samples stored.
    dtype : str
        One of `DTYPES`.
    rows : int
        Channels in a chunk.
    samples : int
        Samples in a chunk and in a shard.
    codec : str
        One of `CODECS`.
    """

    n_channels: int
    n_samples: int
    dtype: str
    rows: int
    samples: int
    codec: str = CODECS[0]

    @property
    def n_groups(self) -> int:
        """Chunks in a shard."""
        return -(-self.n_channels // self.rows)

    @property
    def n_shards(self) -> int:
        """Number of shards."""
        return -(-self.n_samples // self.samples)

    @property
    def chunk_bytes(self) -> int:
        """Bytes of a decoded chunk."""
        return self.rows * self.samples * np.dtype(self.dtype).itemsize

    def key(self, shard: int) -> str:
        """Return the name of a shard's file inside the archive."""
        return f"counts/c/0/{shard}"

    def samples_in(self, shard: int) -> int:
        """Return how many samples of a shard are stored samples, not padding."""
        return min(self.samples, self.n_samples - shard * self.samples)


def plan(n_channels: int, sfreq: float, dtype: str, n_samples: int = 0) -> Layout:
    """Return the layout of a new archive."""
    if dtype not in DTYPES:
        raise InputError(where="dtype", expected=f"one of {', '.join(DTYPES)}", got=dtype)
    if not 0 < n_channels <= MAX_CHANNELS:
        raise InputError(
            where="channels", expected=f"1 to {MAX_CHANNELS} channels", got=str(n_channels)
        )
    groups = 2 * -(-n_channels // 128) if n_channels > 1 else 1
    rows = -(-n_channels // groups)
    widest = MAX_SHARD_BYTES // (n_channels * np.dtype(dtype).itemsize)
    samples = max(min(round(SHARD_SECONDS * sfreq), widest), 1)
    return Layout(n_channels, n_samples, dtype, rows, samples)


def array_metadata(layout: Layout, level: int, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the Zarr v3 metadata document of the ``counts`` array."""
    itemsize = np.dtype(layout.dtype).itemsize
    little = {"name": "bytes", "configuration": {"endian": "little"}}
    blosc = {
        "typesize": itemsize,
        "cname": layout.codec,
        "clevel": level,
        "shuffle": "bitshuffle",
        "blocksize": 0,
    }
    sharding = {
        "chunk_shape": [layout.rows, layout.samples],
        "codecs": [little, {"name": "blosc", "configuration": blosc}, {"name": "crc32c"}],
        "index_codecs": [little, {"name": "crc32c"}],
        "index_location": "end",
    }
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [layout.n_channels, layout.n_samples],
        "data_type": layout.dtype,
        "chunk_grid": {
            "name": "regular",
            "configuration": {"chunk_shape": [layout.rows * layout.n_groups, layout.samples]},
        },
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0 if layout.dtype.startswith("int") else 0.0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": attributes,
        "dimension_names": ["channel", "time"],
        "storage_transformers": [],
    }


def layout_of(document: Any, where: str) -> Layout:
    """Return the layout that an array's metadata declares.

    Raises
    ------
    ReadError
        Where it is anything but what `array_metadata` writes, or larger than a reader takes.
    """
    try:
        shape = [int(n) for n in document["shape"]]
        chunk = document["codecs"][0]["configuration"]["chunk_shape"]
        blosc = document["codecs"][0]["configuration"]["codecs"][1]["configuration"]
        cut = str(document["data_type"]), int(chunk[0]), int(chunk[1])
        layout, level = Layout(shape[0], shape[1], *cut, str(blosc["cname"])), blosc["clevel"]
        sane = (
            layout.dtype in DTYPES
            and layout.codec in CODECS
            and 0 < layout.n_channels <= MAX_CHANNELS
            and 0 < layout.n_samples < 2**53
            and 0 < layout.rows <= layout.n_channels
            and layout.samples > 0
            and layout.chunk_bytes * layout.n_groups <= READ_LIMIT_BYTES
        )
        declared = {**document, "attributes": {}, "storage_transformers": []}
        same = sane and declared == array_metadata(layout, level, {})
    except (KeyError, IndexError, TypeError, ValueError, OverflowError):
        same = False
    if not same:
        raise ReadError(
            where=where,
            expected="counts in this product's layout (sharded blosc with crc32c, "
            f"at most {READ_LIMIT_BYTES >> 20} MiB a shard)",
            got="other array metadata",
            fix="convert it with zarr, or import the source recording again",
        )
    return layout
