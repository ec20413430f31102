"""Sealer: full shards leave ring and log for the archive, behind the commits."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.recorder.carry import Carry
from brainforge.acquisition.recorder.log import Log
from brainforge.acquisition.recorder.replay import Unfinished
from brainforge.acquisition.ring import Overrun, Ring
from brainforge.archive.growing import GrowingArchive


class Sealer:
    """Seals the shards of one recording, one after another. Used by one thread.

    Parameters
    ----------
    archive : GrowingArchive
    ring : Ring
    log : Log
    carry : Carry
    shard : int
        The first one whose segments are still there.

    Attributes
    ----------
    shard : int
        The next one.
    """

    def __init__(
        self, archive: GrowingArchive, ring: Ring, log: Log, carry: Carry, shard: int = 0
    ) -> None:
        self._archive, self._ring, self._log, self._carry = archive, ring, log, carry
        self._size = archive.layout.samples
        self._unfinished = unfinished_of(archive)
        self.shard = shard

    @property
    def due(self) -> bool:
        """Whether all samples of the next shard are committed."""
        return self._ring.committed >= (self.shard + 1) * self._size

    def step(self) -> None:
        """Seal the next shard, then let its segments go.

        Raises
        ------
        OSError
            It could not be written; nothing is lost, and it may be tried again.
        """
        stop = (self.shard + 1) * self._size
        # it may be sealed already by a recorder that died before its segments went
        if self._archive.n_sealed < stop:
            self._archive.seal(self.shard, self._counts(stop - self._size, stop))
        self._carry.append(self.shard, self._log.carried(self.shard))
        self._ring.sealed = stop
        self._log.forget(self.shard)
        self.shard += 1

    def rest(self) -> None:
        """Seal what is left of the last shard; its segments stay until the archive is finished."""
        first, last = self.shard * self._size, self._ring.committed
        if last > first:
            self._archive.seal(self.shard, self._counts(first, last))

    def _counts(self, first: int, last: int) -> npt.NDArray[Any]:
        """Return samples, axes (channel, sample), from the ring or else from the log."""
        try:
            stretches = [s.data for s in self._ring.read(first, last)]
        except Overrun:
            carried = self.shard * self._size
            replay = self._unfinished.replay(carried)
            return self._unfinished.read(replay, first, last).T
        data = stretches[0] if len(stretches) == 1 else np.concatenate(stretches)
        return data.T


def unfinished_of(archive: GrowingArchive) -> Unfinished:
    """Return the recorder's part of an archive that grows."""
    return Unfinished(archive.live, archive.recording_id, archive.dtype, archive.layout.samples)
