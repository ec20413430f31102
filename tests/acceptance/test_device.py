"""The whole job on a device gives the CPU's result, and a device that fails costs nothing but time.

The device is a stand-in: strict arrays that nothing leaves unseen, or arrays that behave as CuPy's;
CUDA sources in an emulator.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import brainforge as bf
from brainforge.backend import Backend
from brainforge.kernels.namespace import TRAFFIC
from tests.emulator import mirror, strict
from tests.emulator.cuda import COMPILER
from tests.emulator.device import as_cuda

pytestmark = pytest.mark.skipif(COMPILER is None, reason="no g++ to run CUDA sources by")


@pytest.fixture(scope="module")
def recording():
    return bf.datasets.Phantom(duration=40.0, n_channels=32, sfreq=500.0, seed=3).recording()


@pytest.fixture(scope="module")
def on_cpu(recording):
    return bf.process(recording, backend=Backend("cpu", 1))


def assert_same(ours, theirs):
    assert ours.info.bads == theirs.info.bads
    assert [f.name for f in ours.findings] == [f.name for f in theirs.findings]
    np.testing.assert_allclose(ours.operator.matrix, theirs.operator.matrix, rtol=0, atol=1e-3)
    for name in ("before", "after"):
        a, b = getattr(ours.spectra, name), getattr(theirs.spectra, name)
        np.testing.assert_allclose(a, b, rtol=1e-2, atol=1e-5 * np.nanmax(b))
    for measure, by_band in theirs.connectivity.values.items():
        for band, matrix in by_band.items():
            atol = 0.05 if measure.startswith("pli") else 5e-3
            got = ours.connectivity.values[measure][band]
            np.testing.assert_allclose(got, matrix, rtol=0, atol=atol, err_msg=f"{measure} {band}")


@pytest.mark.parametrize("stand_in", [strict, mirror])
def test_the_whole_job_on_a_device(recording, on_cpu, monkeypatch, stand_in):
    home = TRAFFIC.to_host
    with as_cuda(monkeypatch, put=stand_in.put) as opened:
        result = bf.process(recording, backend=Backend("cuda", 1))
    assert_same(result, on_cpu)
    assert result.provenance["backend"]["name"] == "cuda"
    (device,) = opened
    counts = sum(block.data.nbytes for block in recording.blocks(1000))
    assert device.copied_bytes == counts, "the counts are copied once, as counts"
    # blocks of 10 s: a handful of small results of each, the courses of components, the end
    assert TRAFFIC.to_host - home < 60 * recording.duration / 10


def test_a_device_that_disappears_is_replaced_by_the_cpu(recording, on_cpu, monkeypatch):
    with as_cuda(monkeypatch, fail_at=2) as opened:
        result = bf.process(recording, backend=Backend("cuda", 1))
    assert len(opened) == 1
    np.testing.assert_array_equal(result.operator.matrix, on_cpu.operator.matrix)
    for measure, by_band in on_cpu.connectivity.values.items():
        for band, matrix in by_band.items():
            np.testing.assert_array_equal(result.connectivity.values[measure][band], matrix)
    assert any("processed again on the CPU" in warning for warning in result.warnings)
    backend = result.provenance["backend"]
    assert backend["name"] == "cpu"
    assert "the fake device gave up" in backend["events"][0]


def test_too_little_memory_gives_a_smaller_budget(recording, on_cpu, monkeypatch):
    with as_cuda(monkeypatch, budget=1 << 30, fail_at=1, memory=True) as opened:
        result = bf.process(recording, backend=Backend("cuda", 1, memory=1 << 30))
    assert [device.budget for device in opened] == [1 << 30, 1 << 29]
    assert_same(result, on_cpu)
    assert any("with less memory" in warning for warning in result.warnings)


def test_two_patients_share_a_device(recording, on_cpu, monkeypatch):
    with as_cuda(monkeypatch, budget=1 << 30) as opened, ThreadPoolExecutor(2) as pool:
        backend = Backend("cuda", 1, memory=1 << 28)
        jobs = [pool.submit(bf.process, recording, backend=backend) for _ in range(2)]
        results = [job.result() for job in jobs]
    assert [device.budget for device in opened] == [1 << 28, 1 << 28]
    for result in results:
        assert_same(result, on_cpu)
        assert not any("processed again" in warning for warning in result.warnings)


def test_other_errors_are_not_hidden(recording, monkeypatch):
    monkeypatch.setattr("brainforge.pipeline.first_pass.FirstPass._bind", _broken)
    with as_cuda(monkeypatch), pytest.raises(ZeroDivisionError):
        bf.process(recording, backend=Backend("cuda", 1))


def _broken(*_):
    raise ZeroDivisionError("a mistake of ours")
