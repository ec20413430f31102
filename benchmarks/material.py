"""The data of a run: one phantom, and what both sides start a stage from. Made when asked for.

Dead channels and gaps are left out of it: a channel without variance has no relative error, and
the peers have no answer to it (MNE's PLV divides by zero). Noisy and railing ones stay in.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive import import_recording, open_archive
from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.datasets import Phantom
from brainforge.export import to_raw
from brainforge.info import Info
from brainforge.recording import Recording, recording_from_array
from brainforge.stages.fir import FusedFir
from brainforge.working_copy import WorkingCopy

#: of the whole pipeline: the recipe's filter
L_FREQ, H_FREQ, LINE_FREQ = 1.0, 100.0, 50.0
FT = 1e15
#: seconds of an epoch of spectral connectivity and of one of envelopes
EPOCH_S, LONG_EPOCH_S = 2.0, 10.0


@dataclass
class Material:
    """Data of one run.

    Parameters
    ----------
    minutes : float
    folder : Path
        For files; the caller's to remove.
    n_channels : int
    sfreq : float
        In Hz; a multiple of 250 so that the working rate is 250 Hz.
    seed : int
    whole : bool
        Whether slow peers work on everything, not on a part.
    """

    minutes: float
    folder: Path
    n_channels: int = 306
    sfreq: float = 1000.0
    seed: int = 7
    whole: bool = False

    @cached_property
    def phantom(self) -> Phantom:
        """The simulated recording."""
        return Phantom(
            n_channels=self.n_channels,
            sfreq=self.sfreq,
            duration=60.0 * self.minutes,
            seed=self.seed,
            bad_channels=("noisy", "gain_drift") if self.n_channels >= 16 else (),
            gaps=(),
        )

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What was planted."""
        return self.phantom.truth()

    @cached_property
    def recording(self) -> Recording:
        """The phantom's int16 counts, held in memory."""
        with self.phantom.source(round(10 * self.sfreq)) as source:
            counts = np.concatenate([block.data for block in source], axis=1)
        return recording_from_array(counts, self.phantom.info)

    @cached_property
    def archive(self) -> Path:
        """The phantom in the product's format."""
        return import_recording(self.recording, self.folder / "phantom.zarr")

    @cached_property
    def fif(self) -> Path:
        """The phantom as FIF, float32."""
        path = self.folder / "phantom_raw.fif"
        self.raw.save(path, fmt="single", verbose="error")
        return path

    @cached_property
    def fif_int(self) -> Path:
        """The phantom as FIF, int32."""
        path = self.folder / "phantom_int_raw.fif"
        raw = self.raw.copy()
        # MNE divides by these; with the ones that tesla come with it writes zeros
        for entry, channel in zip(raw.info["chs"], self.recording.info.channels):
            entry["cal"] = channel.cal
        # MNE cuts off after the point: 13 counts that come out as 12.999 would be 12
        cals = np.array([c.cal for c in self.recording.info.channels])[:, None]
        raw._data += 0.25 * cals * np.sign(raw._data)
        raw.save(path, fmt="int", verbose="error")
        return path

    @cached_property
    def raw(self) -> Any:
        """The phantom as ``mne.io.Raw`` in tesla, float64, at the full rate."""
        return to_raw(self.recording)

    @cached_property
    def counts_blocks(self) -> list[Any]:
        """The recording's blocks of the pipeline's grid."""
        return list(self.recording.blocks(round(10 * self.sfreq)))

    @cached_property
    def working_blocks(self) -> list[Block]:
        """The recording filtered and decimated by the product, in fT."""
        return run_fir(self, FusedFir(L_FREQ, H_FREQ, LINE_FREQ), 2)

    @cached_property
    def working(self) -> npt.NDArray[np.float32]:
        """Samples of ``working_blocks``, axes (channel, sample), fT."""
        return np.concatenate([b.data for b in self.working_blocks], axis=1)

    @cached_property
    def working_info(self) -> Info:
        """Info of the working signal."""
        return self.working_blocks[0].info

    @cached_property
    def working_copy(self) -> WorkingCopy:
        """The working signal as the pipeline keeps it."""
        copy = WorkingCopy(self.working_info, str(self.folder))
        for block in self.working_blocks:
            copy.write(block)
        return copy

    @cached_property
    def working_raw(self) -> Any:
        """The working signal as ``mne.io.Raw`` in tesla, float64."""
        return to_raw(recording_from_array(self.working, self.working_info))

    @property
    def tesla(self) -> npt.NDArray[np.float64]:
        """The phantom's samples at the full rate, axes (channel, sample), T."""
        return self.raw._data

    def open_archive(self) -> Recording:
        """Open the archive."""
        return open_archive(self.archive)

    def epochs(self, seconds: float) -> npt.NDArray[np.float32]:
        """Return the working signal in epochs of the absolute grid, (epoch, channel, time)."""
        length = round(seconds * self.working_info.sfreq)
        n = self.working.shape[1] // length
        cut = self.working[:, : n * length].reshape(len(self.working), n, length)
        return np.ascontiguousarray(cut.transpose(1, 0, 2))

    @property
    def size(self) -> str:
        """The full-rate data in words."""
        return f"{self.minutes:g} min, {self.n_channels} channels, {self.sfreq:g} Hz"

    @property
    def working_size(self) -> str:
        """The working data in words."""
        return f"{self.minutes:g} min, {self.n_channels} channels, 250 Hz"


def run_fir(material: Material, stage: FusedFir, threads: int) -> list[Block]:
    """Run the product's filter over the recording's blocks."""
    step = stage.bind(material.recording.info, Backend(n_threads=threads))
    out = [block for raw in material.counts_blocks for block in step.process(raw)]
    return out + step.finish()
