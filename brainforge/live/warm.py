"""Everything that a session will call, called once beforehand on a few seconds of phantom.

Kernels come from disk, or are compiled where no process has done so yet, and modules are
imported. Otherwise the first calibration, the first cell of the grid and the end of the session
would each pay for it. It takes about 1.5 s of CPU; another thread waits 50 ms at worst.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from brainforge.backend import Backend
from brainforge.datasets import Phantom
from brainforge.info import Info
from brainforge.live.outputs import write_outputs
from brainforge.processing import process
from brainforge.recipe import Recipe
from brainforge.recording import recording_from_array

#: enough channels for components and connectivity, enough seconds for the longest epochs
_CHANNELS, _SECONDS = 16, 24.0


def warm(recipe: Recipe, info: Info, dtype: str = "float32") -> None:
    """Process a phantom at the rate and in the dtype of a stream, and write its outputs away.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the stream.
    dtype : str
        Of the stream's samples.
    """
    phantom = Phantom(
        n_channels=_CHANNELS, sfreq=info.sfreq, duration=_SECONDS, bad_channels=(), gaps=()
    )
    counts = phantom.recording().read(0, round(_SECONDS * info.sfreq)).data
    recording = recording_from_array(counts.astype(dtype), phantom.info)
    with tempfile.TemporaryDirectory(prefix="brainforge-warm-") as folder:
        result = process(recording, recipe, backend=Backend(n_threads=1))
        write_outputs(result, Path(folder))
