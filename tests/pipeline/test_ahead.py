"""The second process of a first run: started when it helps, and gone at the end."""

from __future__ import annotations

import subprocess
import sys

import pytest

from brainforge.backend import Backend
from brainforge.kernels import jit
from brainforge.kernels.connectivity.envelope_pairs import pair_correlations
from brainforge.kernels.connectivity.finish_rows import add_measures
from brainforge.pipeline import ahead

BOTH = Backend(n_threads=2)


@pytest.fixture
def started(monkeypatch):
    """Start processes that wait for their input to end, in the place of those that compile."""
    children = []
    real = subprocess.Popen

    def popen(command, **options):
        assert command[1:] == ["-m", "brainforge.pipeline.ahead"]
        assert options["env"]["PYTHONSAFEPATH"] == "1"
        children.append(
            real([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
        )
        return children[-1]

    monkeypatch.setattr(ahead.subprocess, "Popen", popen)
    yield children
    for child in children:
        child.stdin.close()


def test_it_starts_once_when_a_kernel_is_missing_and_ends_with_the_work(started):
    with ahead.compiling_ahead(BOTH):
        assert not started
        jit._tell_cold()
        jit._tell_cold()
        assert len(started) == 1
        assert started[0].poll() is None
    assert started[0].returncode is not None


def test_nothing_starts_where_all_is_compiled(started):
    with ahead.compiling_ahead(BOTH):
        pass
    jit._tell_cold()
    assert not started


@pytest.mark.parametrize("backend", [Backend(n_threads=1), Backend("cuda", n_threads=2)])
def test_nothing_starts_on_one_thread_or_for_a_device(started, backend):
    with ahead.compiling_ahead(backend):
        jit._tell_cold()
    assert not started


def test_it_is_gone_after_an_error_too(started):
    def fail():
        with ahead.compiling_ahead(BOTH):
            jit._tell_cold()
            raise RuntimeError("elsewhere")

    with pytest.raises(RuntimeError, match="elsewhere"):
        fail()
    assert started[0].returncode is not None


def test_without_a_second_process_the_work_goes_on(monkeypatch):
    def refuse(*_, **__):
        raise OSError("no more processes")

    monkeypatch.setattr(ahead.subprocess, "Popen", refuse)
    done = []
    with ahead.compiling_ahead(BOTH):
        jit._tell_cold()
        done.append("the work")
    assert done == ["the work"]


def test_what_it_runs_compiles_what_comes_after_pass_1():
    ahead.compile_rest()
    for kernel in (pair_correlations, add_measures):
        assert kernel._by_dtypes, kernel.__name__
