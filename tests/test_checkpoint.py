"""Checkpoints come back as they were, and damaged ones are refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.checkpoint import pack_state, read_state, unpack_state, write_state
from brainforge.errors import ReadError

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
states = st.recursive(
    scalars | st.binary(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=100, deadline=None)
@given(states)
def test_values_come_back(state) -> None:
    assert unpack_state(pack_state(state)) == state


@pytest.mark.parametrize("dtype", ["i2", "i8", "f4", "f8", "c8", "c16", "?", "u1"])
@pytest.mark.parametrize("shape", [(), (0, 3), (4,), (2, 3, 5)])
def test_arrays_come_back(dtype: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(1)
    array = np.asarray(rng.standard_normal(shape) * 100).astype(dtype)
    turned = np.asarray(array).T
    got = unpack_state(pack_state({"a": array, "in": [turned, np.float64(0.1)]}))
    assert got["a"].dtype == array.dtype
    assert np.array_equal(got["a"], array)
    assert np.array_equal(got["in"][0], turned)
    assert got["in"][1] == 0.1
    got["a"][...] = 0  # may be written to


def test_files_are_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "state"
    assert read_state(path) is None
    size = write_state(path, {"a": 1})
    assert path.stat().st_size == size
    write_state(path, {"a": 2})
    assert read_state(path) == {"a": 2}
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_damage_is_refused(tmp_path: Path) -> None:
    data = pack_state({"a": np.arange(20), "b": "text"})
    rng = np.random.default_rng(2)
    for cut in (0, 5, 20, len(data) - 1):
        with pytest.raises(ReadError, match="expected a checkpoint"):
            unpack_state(data[:cut])
    for place in rng.integers(0, len(data), 40):
        damaged = bytearray(data)
        damaged[place] ^= 0x41
        with pytest.raises(ReadError, match="expected a checkpoint"):
            unpack_state(bytes(damaged))
