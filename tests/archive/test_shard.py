"""Our shards are Zarr's shards."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import zarr

from brainforge.archive.layout import CODECS, array_metadata, layout_of, plan
from brainforge.archive.shard import ShardError, decode, encode, index_of
from brainforge.errors import InputError, ReadError


@pytest.mark.parametrize("n", [1, 3, 64, 306])
@pytest.mark.parametrize("dtype", ["int16", "float64"])
@pytest.mark.parametrize("codec", CODECS)
def test_zarr_writes_what_we_read(tmp_path, n: int, dtype: str, codec: str) -> None:
    layout = replace(plan(n, 10.0, dtype), n_samples=150, codec=codec)
    data = np.random.default_rng(n).normal(0, 900, (n, 150)).astype(dtype)
    (tmp_path / "counts").mkdir()
    (tmp_path / "counts/zarr.json").write_text(json.dumps(array_metadata(layout, 5, {})))
    array = zarr.open_array(tmp_path / "counts", mode="r+")
    array[:] = data
    for shard in range(layout.n_shards):
        raw = (tmp_path / layout.key(shard)).read_bytes()
        out = np.empty((n, layout.samples), dtype)
        decode(raw, layout, out)
        part = data[:, shard * layout.samples :][:, : layout.samples]
        np.testing.assert_array_equal(out[:, : part.shape[1]], part)


@pytest.mark.parametrize("codec", CODECS)
def test_layout_survives_its_metadata(codec: str) -> None:
    layout = replace(plan(306, 1000.0, "int16"), n_samples=12345, codec=codec)
    assert layout_of(array_metadata(layout, 9, {"a": 1}), "x") == layout
    assert layout.n_groups % 2 == 0
    assert layout.samples == 10_000


@pytest.mark.parametrize(
    "change",
    [
        {"shape": [306, 10**30]},
        {"shape": [0, 5]},
        {"data_type": "object"},
        {"codecs": [{"name": "pickle"}]},
        {"codecs": array_metadata(replace(plan(306, 9.0, "int16"), codec="zlib"), 5, {})["codecs"]},
        {"storage_transformers": [{"name": "x"}], "fill_value": 1},
        {"shape": "x"},
    ],
)
def test_other_metadata_is_refused(change) -> None:
    layout = replace(plan(306, 1000.0, "int16"), n_samples=12345)
    with pytest.raises(ReadError, match="counts"):
        layout_of({**array_metadata(layout, 5, {}), **change}, "x")


@pytest.mark.parametrize(("n", "dtype"), [(0, "int16"), (5, "uint8"), (5, "complex64")])
def test_plan_refuses(n: int, dtype: str) -> None:
    with pytest.raises(InputError):
        plan(n, 100.0, dtype)


def test_every_damaged_byte_is_noticed() -> None:
    layout = replace(plan(4, 10.0, "int16"), n_samples=100)
    data = np.random.default_rng(0).integers(-99, 99, (4, 100)).astype(np.int16)
    good = encode(data, layout)
    out = np.empty((4, 100), np.int16)
    for at in range(0, len(good), 3):
        bad = bytearray(good)
        bad[at] ^= 0x40
        with pytest.raises(ShardError):
            decode(bytes(bad), layout, out)
    for stop in (0, 3, 20, len(good) - 1):
        with pytest.raises(ShardError):
            index_of(good[:stop], layout)
