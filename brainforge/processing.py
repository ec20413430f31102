"""process: a recording or a source in, a Result out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from brainforge.backend import Backend
from brainforge.block import RawBlock
from brainforge.device import after, choose, device_errors
from brainforge.errors import DeviceError, InputError
from brainforge.flow import Source
from brainforge.kernels.parallel import single_threaded_blas
from brainforge.pipeline.ahead import compiling_ahead
from brainforge.pipeline.assemble import Account
from brainforge.pipeline.clock import Clock, Progress, silent
from brainforge.pipeline.grid import decimation, grid_size
from brainforge.pipeline.pipeline import Pipeline
from brainforge.pipeline.prefetch import Prefetch
from brainforge.provenance import peak_rss_bytes
from brainforge.recipe import Recipe, load_recipe
from brainforge.recording import Recording
from brainforge.result import Result


def process(
    recording: Recording | Source,
    recipe: str | Path | Recipe = "resting",
    *,
    backend: Backend | None = None,
    progress: Progress | None = None,
) -> Result:
    """Process a recording, or a stream until it ends.

    Parameters
    ----------
    recording : Recording | Source
        From `brainforge.open`, `brainforge.datasets.sample`, or any Source.
    recipe : str | Path | Recipe
        The name of a recipe that comes with Brain-Forge, a TOML file or a Recipe. Recordings
        too short for it run recipe ``short``, and the result says so.
    backend : Backend | None
        Where to run, from `brainforge.device.choose`; None is its ``auto``. Where a CUDA device
        fails or runs out of memory the work is done again with less of it, then on the CPU; the
        result says so. A Source cannot be read twice and runs on the CPU.
    progress : callable | None
        Told the stage in words and the share of it that is done, 0 to 1.

    Returns
    -------
    Result

    Raises
    ------
    InputError
        The recipe is wrong, there is no MEG channel, or there is too little data.
    OutputError
        The disk of the temporary folder is full.
    """
    chosen = load_recipe(recipe)
    # the kernels bring their own threads; BLAS threads beside them only wait for each other
    with single_threaded_blas():
        if isinstance(recording, Recording):
            return _run(chosen, recording, backend, progress)
        if isinstance(recording, Source):
            return _run_source(chosen, recording, backend, progress)
    raise InputError(
        where="recording",
        expected="a Recording or a Source",
        got=type(recording).__name__,
        fix="open files with brainforge.open(path)",
    )


def _run_source(
    recipe: Recipe, source: Source, backend: Backend | None, progress: Progress | None
) -> Result:
    chosen = backend or choose()
    chosen = replace(chosen, name="cpu", why="a stream cannot be read again if a device fails")
    with source as blocks, Pipeline(recipe, blocks.info, chosen, progress=progress) as pipe:
        waited = _feed(pipe, blocks, 0, progress)
        return timed(pipe.finish(_account(blocks)), waited, pipe.clock)


def _account(source: Source) -> Account:
    """Return what a source tells of itself; one that replays a recording tells all."""
    recording = getattr(source, "recording", None)
    return Account.of(recording) if isinstance(recording, Recording) else Account()


def _run(
    recipe: Recipe, recording: Recording, backend: Backend | None, progress: Progress | None
) -> Result:
    """Process on the backend, and again on what is left of it where a device fails."""
    chosen = backend or choose()
    events: list[str] = []
    while True:
        try:
            with device_errors(), compiling_ahead(chosen):
                result = _once(recipe, recording, chosen, progress)
            return _with_events(result, events)
        except DeviceError as error:
            chosen = after(error, chosen)
            again = "with less memory" if chosen.name == "cuda" else "on the CPU"
            events.append(f"{error}; the recording was processed again {again}.")


def _once(
    recipe: Recipe, recording: Recording, backend: Backend, progress: Progress | None
) -> Result:
    info = recording.info
    size = grid_size(info.sfreq, decimation(info.sfreq, recipe.filter.working_rate_min))
    with Pipeline(recipe, info, backend, progress=progress, lasting=True) as pipe:
        waited = _feed(pipe, recording.blocks(size), recording.n_samples, progress)
        return timed(pipe.finish(Account.of(recording)), waited, pipe.clock)


def _with_events(result: Result, events: list[str]) -> Result:
    if not events:
        return result
    about = dict(result.provenance["backend"], events=list(events))
    return replace(
        result,
        warnings=(*result.warnings, *events),
        provenance={**result.provenance, "backend": about},
    )


def _feed(
    pipe: Pipeline, blocks: Iterable[RawBlock], total: int, progress: Progress | None
) -> float:
    """Feed all blocks; return the seconds spent waiting for them."""
    tell = progress or silent
    ahead = Prefetch(blocks, pipe.gate)
    done = 0
    for block in ahead:
        pipe.feed(block)
        done += block.data.shape[1]
        tell("reading and filtering", min(done / total, 1.0) if total else 0.0)
    return ahead.waited_s


def timed(result: Result, waited: float, clock: Clock) -> Result:
    """Return a result that tells its stages' seconds and the memory it took."""
    timings = {"ingest_s": waited, **clock.seconds}
    timings["total_s"] = sum(timings.values())
    return replace(result, timings=timings, peak_rss_bytes=peak_rss_bytes())
