"""The plausibility gate of live streams: tesla that are really something else stop here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.readers.gate import LARGEST, SECONDS, SMALLEST
from brainforge.units import MEG_KINDS, si_unit

#: fewer samples say nothing about how much a channel varies
FEWEST = 20


class Gate:
    """Looks at the first second of a stream.

    What varies too much is refused at once, what varies too little when the second is over.
    """

    def __init__(self, info: Info) -> None:
        self._info = info
        self._rows = info.rows(info.names_of(*MEG_KINDS))
        self._cal = np.abs([info.channels[row].cal for row in self._rows])
        self._wanted = max(round(SECONDS * info.sfreq), FEWEST)
        self._parts: list[npt.NDArray[np.float64]] = []
        self._n = 0

    def passed(self) -> bool:
        """Return whether there is nothing more to judge."""
        return not len(self._rows) or self._n >= self._wanted

    def look(self, data: npt.NDArray[Any], where: str) -> None:
        """Judge samples, axes (sample, channel).

        Raises
        ------
        InputError
            They cannot be in the unit they claim.
        """
        if self.passed():
            return
        self._parts.append(data[:, self._rows].astype(np.float64))
        self._n += len(data)
        if self._n < FEWEST:
            return
        spread = self._spread()
        if not len(spread):
            return
        typical = float(np.median(spread))
        if typical > LARGEST:
            raise self._refusal(where, typical, "femtotesla")
        if self.passed():
            self._parts.clear()
            if typical < SMALLEST:
                raise self._refusal(where, typical, "values scaled to tesla twice")

    def _spread(self) -> npt.NDArray[np.float64]:
        """Return the standard deviations of the channels that vary, in SI."""
        values = np.concatenate(self._parts)
        self._parts = [values]
        good = np.isfinite(values).all(axis=0)
        with np.errstate(over="ignore"):  # a damaged value may be too large to be squared
            spread = values[:, good].std(axis=0) * self._cal[good]
        return spread[spread > 0]

    def _refusal(self, where: str, typical: float, guess: str) -> InputError:
        unit = si_unit(self._info.channels[self._rows[0]].kind)
        return InputError(
            where=where,
            expected=f"MEG channels in {unit}, which vary by 1e-15 to 1e-9",
            got=f"a median standard deviation of {typical:.2g}, which looks like {guess}",
            fix="let the sender state the unit its numbers are in",
        )
