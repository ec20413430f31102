"""Streams of markers beside an LSL stream of signals, as Markers."""

from __future__ import annotations

import zlib
from typing import Any, Final

from brainforge.acquisition.driver import Marker
from brainforge.acquisition.lsl_library import OURS, Correction, library

#: markers taken at once; seconds between two looks for a stream that is away
WAITING: Final = 1024
LOOK_S: Final = 1.0
#: largest code, longest label
LARGEST: Final = 0x7FFFFFFF
LONGEST: Final = 256
#: hundreds of markers that an inlet keeps
KEPT: Final = 10


def code_of(text: str) -> int:
    """Return the code of a marker: the whole number that it is, or a check sum of its text.

    The sum is the same in every process and session, so that a label keeps its code when the
    recorder starts anew.
    """
    try:
        number = int(text)
    except ValueError:
        number = LARGEST + 1
    return number if abs(number) <= LARGEST else zlib.crc32(text.encode()) & LARGEST


class MarkerInlets:
    """The streams of markers that belong to a stream of signals.

    Parameters
    ----------
    wanted : str
        Names joined by ``+``; ``*`` for all that are there but our own; nothing for those that
        have the signals' own source id; ``none``.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted, self._pylsl = wanted, library()
        self._names = set(wanted.split("+")) - {"", "*", "none"}
        self._inlets: dict[str, MarkerInlet] = {}
        self._away: dict[str, Any] = {}
        self._looked = 0.0

    def open(self, there: list[Any], source_id: str) -> str:
        """Subscribe to what is there, wait for what is not; return which that is, in words.

        Parameters
        ----------
        there : list of pylsl.StreamInfo
            The streams that were seen.
        source_id : str
            Of the signals.
        """
        there = [s for s in there if s.nominal_srate() == 0]
        for stream in there:
            if stream.name() in self._names or self._fits(stream.source_id(), source_id):
                self._inlets[stream.name()] = MarkerInlet(stream)
        missing = sorted(self._names - set(self._inlets))
        for name in missing:
            self._wait_for(name)
        if not missing:
            return ""
        names = ", ".join(sorted({s.name() for s in there})) or "none at all"
        return f"no stream of markers named {', '.join(missing)} answers; there are {names}"

    def _fits(self, source_id: str, signals: str) -> bool:
        if self._wanted == "*":
            return not source_id.startswith(OURS)  # what we send does not come back
        return not self._wanted and bool(signals) and source_id == signals

    def close(self) -> None:
        """Unsubscribe; what there was will be waited for when this is opened again."""
        self._names |= set(self._inlets) | set(self._away)
        self._inlets.clear()
        self._away.clear()

    def take(self, now: float) -> tuple[Marker, ...]:
        """Return the markers that have come."""
        found: list[Marker] = []
        for name, inlet in list(self._inlets.items()):
            try:
                found += inlet.take(now)
            except self._pylsl.util.LostError:  # it has no source id by which liblsl finds it
                del self._inlets[name]
                self._wait_for(name)
        if self._away and now >= self._looked + LOOK_S:
            self._looked = now
            for name, resolver in list(self._away.items()):
                if streams := resolver.results():
                    self._inlets[name] = MarkerInlet(streams[0])
                    del self._away[name]
        return tuple(found)

    def _wait_for(self, name: str) -> None:
        self._away[name] = self._pylsl.ContinuousResolver("name", name, forget_after=2.0)


class MarkerInlet:
    """One stream of markers. liblsl itself waits for a sender that went away.

    Parameters
    ----------
    stream : pylsl.StreamInfo
        As resolved.
    """

    def __init__(self, stream: Any) -> None:
        pylsl = library()
        self._inlet = pylsl.StreamInlet(stream, KEPT, recover=bool(stream.source_id()))
        self._correction = Correction(self._inlet)
        self._text = stream.channel_format() == pylsl.cf_string
        self.take(0.0)  # subscribes; what was sent before is not for us

    def take(self, now: float) -> list[Marker]:
        """Return the markers that have come."""
        rows, stamps = self._inlet.pull_chunk(timeout=0.0, max_samples=WAITING, as_numpy=True)
        return [
            self._marker(row, stamp + self._correction.offset(now, stamp))
            for row, stamp in zip(rows, stamps.tolist(), strict=True)
        ]

    def _marker(self, row: Any, stamp: float) -> Marker:
        if self._text:  # whatever a sender thinks is text
            label = ",".join(value.decode("utf-8", "replace") for value in row)[:LONGEST]
            return Marker(code_of(label), label, stamp=stamp)
        text = f"{row[0]:.15g}"
        label = "" if text.lstrip("-").isdecimal() else text
        return Marker(code_of(text), label, stamp=stamp)
