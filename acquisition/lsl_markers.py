"""Streams of markers beside an LSL stream of signals, as Markers."""

from __future__ import annotations

import zlib
from typing import Any

from brainforge.acquisition.driver import Marker
from brainforge.acquisition.lsl_library import Correction, library, resolve
from brainforge.errors import InputError

#: markers that wait between two pulls at most
WAITING = 1024


def find_marker_streams(wanted: str, source_id: str, timeout: float) -> list[Any]:
    """Return the marker streams that belong to a stream of signals.

    Parameters
    ----------
    wanted : str
        Names joined by ``+``; ``*`` for all that are there; nothing for those that have the
        signals' own source id; ``none``.
    source_id : str
        Of the signals.
    timeout : float
        Seconds to wait at most.

    Raises
    ------
    InputError
        A stream that was named is not there.
    """
    if wanted == "none" or (not wanted and not source_id):
        return []
    query = {} if wanted else {"source_id": source_id}
    there = [s for s in resolve(query, timeout, minimum=8) if s.nominal_srate() == 0]
    if not wanted or wanted == "*":
        return there
    names = wanted.split("+")
    missing = sorted(set(names) - {s.name() for s in there})
    if missing:
        raise InputError(
            where=f"markers={wanted}",
            expected=f"a stream of markers named {missing[0]}",
            got=", ".join(sorted({s.name() for s in there})) or "no stream of markers",
        )
    return [s for s in there if s.name() in names]


def code_of(text: str) -> int:
    """Return the code of a marker: the whole number that it is, or a check sum of its text.

    The sum is the same in every process and session, so that a label keeps its code when the
    recorder starts anew.
    """
    try:
        return int(text)
    except ValueError:
        return zlib.crc32(text.encode()) & 0x7FFFFFFF


class MarkerInlet:
    """One stream of markers. liblsl itself waits for a sender that went away.

    Parameters
    ----------
    stream : pylsl.StreamInfo
        As resolved.
    """

    def __init__(self, stream: Any) -> None:
        self._pylsl = library()
        self._inlet: Any = self._pylsl.StreamInlet(stream, 10, recover=True)
        self._correction = Correction(self._inlet)
        self._text = stream.channel_format() == self._pylsl.cf_string

    def start(self, timeout: float) -> None:
        """Subscribe and measure the clock.

        Raises
        ------
        InputError
            It does not answer.
        """
        try:
            self._inlet.open_stream(timeout)
            self._correction.start(timeout)
        except (self._pylsl.util.TimeoutError, self._pylsl.util.LostError) as error:
            raise InputError(
                where="LSL", expected="a stream of markers that answers", got=str(error)
            ) from error

    def take(self, now: float) -> list[Marker]:
        """Return the markers that have come; nothing once a sender without source id is gone."""
        try:
            rows, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=WAITING)
            return [
                self._marker(row, stamp + self._correction.offset(now, stamp))
                for row, stamp in zip(rows, stamps, strict=True)
            ]
        except (self._pylsl.util.LostError, self._pylsl.util.TimeoutError):
            return []

    def _marker(self, row: list[Any], stamp: float) -> Marker:
        if self._text:
            label = ",".join(row)
            return Marker(code_of(label), label, stamp=stamp)
        return Marker(int(row[0]), stamp=stamp)
