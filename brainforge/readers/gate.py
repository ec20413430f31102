"""The plausibility gate: tesla that are really something else stop here."""

from __future__ import annotations

import numpy as np

from brainforge.errors import ReadError
from brainforge.recording import Recording
from brainforge.units import MEG_KINDS, si_unit

#: standard deviations of a second of MEG in T or T/m that no sensor gives
LARGEST, SMALLEST = 1e-6, 1e-18
SECONDS = 1.0


def check_units(recording: Recording, where: str) -> None:
    """Raise ReadError where the MEG channels cannot be in the unit they claim.

    Judged is the median over channels of the standard deviation in the first second; flat
    channels say nothing and are left to the quality stage.
    """
    info = recording.info
    rows = info.rows(info.names_of(*MEG_KINDS))
    if not len(rows):
        return
    start, stop = recording.segments[0]
    stop = min(stop, start + max(round(SECONDS * info.sfreq), 2))
    counts = np.asarray(recording.reader.read(start, stop)[rows], dtype=np.float64)
    counts[~np.isfinite(counts)] = np.nan
    good = counts[np.isfinite(counts).all(axis=1)]
    if not len(good):
        return
    cal = np.array([info.channels[r].cal for r in rows])[np.isfinite(counts).all(axis=1)]
    with np.errstate(over="ignore"):  # a damaged value may be too large to be squared
        spread = good.std(axis=1) * np.abs(cal)
    spread = spread[spread > 0]
    if not len(spread):
        return
    typical = float(np.median(spread))
    if SMALLEST <= typical <= LARGEST:
        return
    kind = info.channels[rows[0]].kind
    guess = "femtotesla" if typical > LARGEST else "values scaled to tesla twice"
    raise ReadError(
        where=where,
        expected=f"MEG channels in {si_unit(kind)}, which vary by 1e-15 to 1e-9",
        got=f"a median standard deviation of {typical:.2g}, which looks like {guess}",
        fix="give the true unit in the unit column of --sensors FILE.tsv",
    )
