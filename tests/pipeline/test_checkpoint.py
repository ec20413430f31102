"""Interrupted anywhere, pass 1 goes on elsewhere with the same bits as if it never was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from brainforge.backend import Backend
from brainforge.block import Cause, Mask, RawBlock
from brainforge.checkpoint import pack_state, unpack_state
from brainforge.datasets import Phantom
from brainforge.info import Info
from brainforge.pipeline.first_pass import FirstPass
from brainforge.pipeline.pipeline import Pipeline
from brainforge.recipe import load_recipe
from brainforge.shelf import Shelf

SFREQ, SECONDS = 1000.0, 47
#: a long gap in a cell, one short enough to be bridged, one across a border of the grid
GAPS = ((3000, 3400), (17_350, 17_380), (29_900, 30_700))


@cache
def _counts() -> tuple[Info, np.ndarray[Any, Any]]:
    phantom = Phantom(n_channels=6, duration=SECONDS, seed=5, gaps=(), bad_channels=())
    with phantom.source(10_000) as source:
        data = np.concatenate([block.data for block in source], axis=1).astype(np.float32)
    data[1, 12_000:12_040] = np.nan
    data[2, 19_990:20_300] = data[2].max()
    # not told: it is estimated from the first block, so a checkpoint has to keep it
    return replace(phantom.info, line_freq=None), data


def _blocks(sizes: list[int]) -> Iterator[RawBlock]:
    info, data = _counts()
    mask = Mask((info.names[3],), 25_000, 25_200, Cause.RAILED)
    at, turn, edges = 0, 0, [*GAPS, (data.shape[1], data.shape[1])]
    for gap, until in edges:
        while at < gap:
            stop = min(at + sizes[turn % len(sizes)], gap)
            yield RawBlock(
                data[:, at:stop], info, at, (mask,) if at < 25_200 and stop > 25_000 else ()
            )
            at, turn = stop, turn + 1
        at = until


def _held(first: FirstPass) -> dict[str, Any]:
    """Return all numbers of a finished pass 1."""
    gram, raw = first.gram.result(), first.raw_quality.result().statistics
    muscle = first.muscle.score() if first.muscle is not None else (np.zeros(0),) * 2
    return {
        "working": [(b.start, np.array(b.data), b.masks) for b in first.working.blocks()],
        "gram": [gram.covariance, gram.starts, gram.n_samples, gram.chunks],
        "raw": [getattr(raw, name) for name in raw.__dataclass_fields__],
        "psd": list(first.psd.result()),
        "muscle": list(muscle),
        "line": [first.info.line_freq, first.line_db(first.working.info.names)],
    }


def _through(sizes: list[int], cuts: list[float], folder: Path) -> tuple[Any, Any]:
    """Run pass 1, interrupted at ``cuts``, shares of its blocks; return what it holds."""
    info, recipe, blocks = _counts()[0], load_recipe("resting"), list(_blocks(sizes))
    left = {int(cut * (len(blocks) - 1)) for cut in cuts}
    with ExitStack() as stack:
        shelf = Shelf(folder / "shelf")
        pipe = Pipeline(recipe, info, Backend(n_threads=2), shelf=shelf)
        for i, block in enumerate(blocks):
            pipe.feed(block)
            if i in left:
                state = pack_state(pipe.state())
                # what comes behind a checkpoint and is lost with the process
                pipe.feed(replace(block, start=block.stop + 100_000))
                pipe.close()
                shelf.close()
                shelf = Shelf(folder / "shelf")
                pipe = Pipeline(recipe, info, Backend(n_threads=2), shelf=shelf)
                pipe.restore(unpack_state(state))
        stack.callback(pipe.close)
        stack.callback(shelf.close)
        first = pipe._first
        assert first is not None
        first.finish()
        return _held(first), pipe._seen.segments


@cache
def _straight() -> tuple[Any, Any]:
    with TemporaryDirectory() as folder:
        return _through([10_000], [], Path(folder))


def _same(a: Any, b: Any) -> None:
    if isinstance(a, dict):
        assert a.keys() == b.keys()
        for key in a:
            _same(a[key], b[key])
    elif isinstance(a, (list, tuple)):
        assert len(a) == len(b)
        for one, other in zip(a, b, strict=True):
            _same(one, other)
    elif isinstance(a, np.ndarray):
        np.testing.assert_array_equal(a, b)
    else:
        assert a == b


@settings(
    max_examples=12, deadline=None, derandomize=True, phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)  # fmt: skip
@given(
    st.lists(st.integers(50, 12_000), min_size=1, max_size=4),
    st.lists(st.floats(0, 1), max_size=3),
)
def test_cut_anywhere_it_goes_on_with_the_same_bits(sizes: list[int], cuts: list[int]) -> None:
    with TemporaryDirectory() as folder:
        _same(_through(sizes, cuts, Path(folder)), _straight())


def test_a_checkpoint_of_what_may_be_short_still() -> None:
    info, data = _counts()
    recipe, results = load_recipe("resting"), []
    for cut in (None, 2_000):
        pipe = Pipeline(recipe, info)
        for at in range(0, 4_000, 500):
            pipe.feed(RawBlock(data[:, at : at + 500], info, at))
            if at == cut:
                state = unpack_state(pack_state(pipe.state()))
                pipe = Pipeline(recipe, info)
                pipe.restore(state)
        results.append(pipe.finish())
    assert results[0].recipe == "short"
    np.testing.assert_array_equal(results[0].spectra.after, results[1].spectra.after)
    assert results[0].findings == results[1].findings


@pytest.mark.parametrize("n_cells", [8, 14])
def test_a_checkpoint_does_not_grow_with_the_recording(n_cells: int, tmp_path: Path) -> None:
    info, data = _counts()
    data = np.nan_to_num(data)
    shelf, sizes = Shelf(tmp_path / "shelf"), []
    with Pipeline(load_recipe("resting"), info, shelf=shelf) as pipe:
        for cell in range(n_cells):
            pipe.feed(RawBlock(data[:, :10_000], info, 10_000 * cell))
            sizes.append(len(pack_state(pipe.state())))
    shelf.close()
    # the places of what is on the shelf are all that is added
    assert sizes[-1] - sizes[4] <= 400 * (n_cells - 5)
