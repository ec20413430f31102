"""The emulator gives the numbers of the source, and catches what it is there to catch."""

from __future__ import annotations

import array_api_strict as xp
import numpy as np
import pytest

from tests.emulator import cuda
from tests.emulator.strict import fake_device, put

pytestmark = pytest.mark.skipif(cuda.COMPILER is None, reason="no g++ on this machine")

SUM = """
// sums of rows
extern "C" __global__ void row_sums(const float* __restrict__ x, int n, double* out) {
  __shared__ double part[32];
  double sum = 0;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[(long long)blockIdx.x * n + i];
  part[threadIdx.x] = sum;
  BARRIER;
  for (int half = blockDim.x / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) part[threadIdx.x] += part[threadIdx.x + half];
    BARRIER;
  }
  if (threadIdx.x == 0) out[blockIdx.x AT] = part[0] * SCALE;
}
"""


def run(text, x, out, constants=(("SCALE", 2),), n=None):
    args = (put(x), np.int32(x.shape[1] if n is None else n), out)
    cuda.run_source(text, "row_sums", (len(x),), (32,), args, constants)


def source(barrier="__syncthreads()", at="", missing=0):
    text = SUM.replace("AT", at)
    for number in (1, 2):
        text = text.replace("BARRIER", "" if number == missing else barrier, 1)
    return text


def draw():
    x = np.random.default_rng(3).standard_normal((5, 77)).astype(np.float32)
    return x, put(np.zeros(5))


def home(x):
    return np.from_dlpack(x.to_device(xp.Device("CPU_DEVICE")))


def test_gives_the_numbers():
    x, out = draw()
    run(source(), x, out)
    np.testing.assert_allclose(home(out), 2 * x.sum(axis=1, dtype=np.float64), rtol=1e-6)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_missing_barrier_shows(missing):
    x, out = draw()
    run(source(missing=missing), x, out)
    assert not np.allclose(home(out), 2 * x.sum(axis=1, dtype=np.float64))


def test_a_barrier_that_some_threads_miss_is_an_error():
    x, out = draw()
    with pytest.raises(AssertionError, match="not reached by all"):
        run(source(barrier="if (threadIdx.x < 3) __syncthreads()"), x, out)


def test_a_write_beyond_the_end_is_an_error():
    x, out = draw()
    with pytest.raises(AssertionError, match="argument 2: written beyond"):
        run(source(at="+ 3"), x, out)


def test_a_wrong_type_is_an_error():
    x, out = draw()
    with pytest.raises(AssertionError, match="declared float, got float64"):
        run(source(), x.astype(np.float64), out)


def test_strided_memory_is_an_error():
    x, out = draw()
    with pytest.raises(AssertionError, match="not C-contiguous"):
        cuda.run_source(
            source(), "row_sums", (5,), (32,), (put(x)[:, ::2], np.int32(9), out), (("SCALE", 1),)
        )


@pytest.mark.parametrize("leak", [bool, float, int, np.asarray])
def test_hidden_transfers_are_refused(leak):
    x = put(np.ones(1))[0]
    with fake_device(), pytest.raises((AssertionError, RuntimeError), match=r"transfer|Can't conv"):
        leak(x)
