import base64
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brainforge.report.arrays import ArrayPool, plain

TYPES = {"u1": (np.uint8, 255), "i2": ("<i2", -32768), "f4": ("<f4", None)}


def decode(entry):
    dtype, missing = TYPES[entry["t"]]
    raw = np.frombuffer(base64.b64decode(entry["b"]), dtype)
    out = raw.astype(float)
    if missing is not None:
        out = np.where(raw == missing, np.nan, out * entry["s"] + entry["o"])
    if entry.get("log"):
        out = 10**out
    if "tri" in entry:
        full = np.full((entry["tri"],) * 2, 0.0)
        full[np.triu_indices(entry["tri"], 1)] = out
        return full + full.T
    return out.reshape(entry["n"])


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    arrays(
        np.float64,
        st.tuples(st.integers(0, 5), st.integers(0, 7)),
        elements=st.one_of(st.floats(-1e6, 1e6), st.just(float("nan"))),
    ),
    st.sampled_from(["u1", "i2"]),
)
def test_round_trip_within_half_a_step(data, dtype):
    pool = ArrayPool()
    assert pool.put("a", data, dtype) == {"$a": "a"}
    back = decode(pool.arrays["a"])
    np.testing.assert_array_equal(np.isnan(back), np.isnan(data))
    step = pool.arrays["a"]["s"]
    finite = np.isfinite(data)
    assert np.all(np.abs(back - data)[finite] <= 0.51 * step + 1e-9)
    if finite.any() and np.ptp(data[finite]) > 0:
        levels = 254 if dtype == "u1" else 65534
        assert step == pytest.approx(np.ptp(data[finite]) / levels)


def test_logs_keep_relative_precision():
    pool = ArrayPool()
    values = np.logspace(-2, 4, 500)
    pool.put_log("a", values)
    np.testing.assert_allclose(decode(pool.arrays["a"]), values, rtol=0.03)
    pool.put_log("b", [0.0, 1.0, -1.0, 10.0])
    np.testing.assert_allclose(decode(pool.arrays["b"]), [np.nan, 1, np.nan, 10])


def test_symmetric_matrix_takes_half_and_directed_one_all():
    rng = np.random.default_rng(0)
    a = rng.uniform(size=(30, 30))
    symmetric = np.triu(a, 1) + np.triu(a, 1).T
    pool = ArrayPool()
    pool.put_square("s", symmetric)
    pool.put_square("d", a)
    np.testing.assert_allclose(decode(pool.arrays["s"]), symmetric, atol=0.51 / 254)
    np.fill_diagonal(a, 0)
    np.testing.assert_allclose(decode(pool.arrays["d"]), a, atol=0.51 / 254)
    assert len(pool.arrays["s"]["b"]) < 0.51 * len(pool.arrays["d"]["b"])
    assert pool.n_bytes == sum(len(e["b"]) for e in pool.arrays.values())


def test_plain_is_json():
    value = {1: np.float32(2), "a": (np.nan, np.int64(3)), "b": np.array([True]), "c": {4}, "d": 1j}
    text = json.dumps(plain(value), allow_nan=False)
    assert json.loads(text) == {"1": 2.0, "a": [None, 3], "b": [True], "c": [4], "d": "1j"}
