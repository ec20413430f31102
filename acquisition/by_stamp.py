"""StampSequencer: places by time stamps, or by arrival alone; estimated, and called so.

Samples follow each other until their stamps leave the line that those before them lie on, and
stay off it. Whether samples are missing or time itself stepped is told by when they arrived. The
line has a slope of its own, so a rate that is off makes no gaps, however long it is.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.clock_fit import ClockFit
from brainforge.acquisition.driver import Packet
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.sequence import Item, Placed, Position
from brainforge.recording import Event

F64 = npt.NDArray[np.float64]
#: how far off the line stamps have to be: so many samples and so many standard deviations
SAMPLES: Final = 0.6
DEVIATIONS: Final = 5.0
#: packets that have to agree before something is called a gap, where time allows
AGREEING: Final = 3
#: a packet of fewer samples has no mean worth the name
FEW: Final = 5
#: packets that the jitter of single samples is averaged over
MEMORY: Final = 200
#: jitter of arrival that is taken for granted, seconds
ARRIVAL_S: Final = 0.02


class StampSequencer:
    """Keeps to `brainforge.acquisition.sequence.Sequencer`.

    Parameters
    ----------
    sfreq : float
    position : Position | None
        Where the stream was left.
    hold_s : float
        How long samples whose stamps do not fit are looked at.
    """

    exact = False

    def __init__(
        self, sfreq: float, position: Position | None = None, *, hold_s: float = 0.2
    ) -> None:
        self._sfreq, self._hold_s = sfreq, hold_s
        self._sample = 0 if position is None else position.sample
        self._taken, self._came = ClockFit(), ClockFit(jitter_s=5e-3)
        self._single = 0.0
        self._held: list[Packet] = []
        self._length = 0
        self._cause = ""
        self._stamped = True
        if position is not None:
            self._cause = "recorder restarted"
            if math.isfinite(position.stamp):
                self._taken.update(self._sample / sfreq, position.stamp)

    @property
    def sample(self) -> int:
        """Absolute index of the next sample."""
        return self._sample

    @property
    def wanted(self) -> int | None:
        """Nothing: there is no counter to ask by."""
        return None

    def push(self, packet: Packet) -> list[Item]:
        """Take one packet."""
        if not len(packet.data):
            return self._events(packet)
        self._length = len(packet.data)
        if not self._held:
            return self._place_or_hold(packet)
        self._held.append(packet)
        off, tolerance = self._offs()[-1], self._tolerance(self._sample)
        enough = len(self._held) >= AGREEING and packet.arrival >= self.due()
        return self._decide() if enough or _least(off) <= tolerance else []

    def _stamps(self, packet: Packet) -> F64:
        if packet.stamps is not None:
            return packet.stamps
        self._stamped = False
        n = len(packet.data)
        return packet.arrival + (np.arange(n) - (n - 1)) / self._sfreq

    def _off(self, packet: Packet, sample: int) -> F64:
        """Return by how many seconds each stamp is off the line, were ``sample`` the first."""
        step = (1.0 + self._taken.drift) / self._sfreq
        line = self._taken.predict(sample / self._sfreq) + step * np.arange(len(packet.data))
        return self._stamps(packet) - line

    def _tolerance(self, sample: int) -> float:
        """Return how far off the line the mean of a packet may be, seconds."""
        spread = self._taken.uncertainty(sample / self._sfreq)
        return SAMPLES / self._sfreq + DEVIATIONS * spread

    def _place_or_hold(self, packet: Packet) -> list[Item]:
        if self._taken.n == 0:
            return self._place(packet, None)
        off, tolerance = self._off(packet, self._sample), self._tolerance(self._sample)
        at = _leaves(off, tolerance + DEVIATIONS * self._single)
        if at == len(off) and abs(float(off.mean())) <= tolerance:
            return self._place(packet, off)
        at = 0 if at == len(off) else at
        items: list[Item] = []
        if at:
            first, packet = _split(packet, at)
            items += self._place(first, off[:at])
        self._held.append(packet)
        return items

    def _place(self, packet: Packet, off: F64 | None) -> list[Item]:
        n = len(packet.data)
        placed = Placed(packet.data, self._sample, -1, packet.arrival, packet.stamps)
        last = (self._sample + n - 1) / self._sfreq
        if off is None:
            self._taken.update(last, float(self._stamps(packet)[-1]))
        else:
            mean = float(off.mean())
            self._taken.update(last, self._taken.predict(last) + mean)
            spread = math.sqrt(max(float(off @ off) / n - mean * mean, 0.0))
            self._single += (spread - self._single) / min(self._taken.n, MEMORY)
        self._came.update(last, packet.arrival)
        self._sample += n
        self._cause = ""
        return [placed, *self._events(packet)] if packet.markers else [placed]

    # what leaves the line

    def _offs(self) -> list[F64]:
        """Return how far off what is held is, were nothing missing."""
        sample, found = self._sample, []
        for packet in self._held:
            found.append(self._off(packet, sample))
            sample += len(packet.data)
        return found

    def _decide(self) -> list[Item]:
        """Say what it was that left the line, and go on."""
        held = self._held
        size = min((_mean(off) for off in self._offs()), key=abs)
        self._held = []
        items: list[Item] = []
        if abs(size) > self._tolerance(self._sample):
            late = self._late(held)
            if size > 0 and (late is None or late > size / 2 or not self._visible(size)):
                items.append(self._gap(size))
            else:
                items.append(self._step(size, late))
        items += self._place(held[0], self._off(held[0], self._sample))
        for packet in held[1:]:
            items += self.push(packet)
        return items

    def _late(self, held: list[Packet]) -> float | None:
        """Return by how much all that is held came late, were nothing missing; None if unknown."""
        if not self._stamped or self._came.n == 0:
            return None
        sample, late = self._sample, []
        for packet in held:
            sample += len(packet.data)
            late.append(packet.arrival - self._came.predict((sample - 1) / self._sfreq))
        return min(late)

    def _visible(self, size: float) -> bool:
        """Whether a jump would show in when packets arrive."""
        spread = self._came.uncertainty(self._sample / self._sfreq)
        return abs(size) > ARRIVAL_S + DEVIATIONS * spread

    def _gap(self, size: float) -> Notice:
        lost = max(round(size * self._sfreq / (1 + self._taken.drift)), 1)
        by = "time stamps" if self._stamped else "arrival times"
        start, self._sample = self._sample, self._sample + lost
        cause = f"{self._cause or 'samples missing'}, estimated from {by}"
        detail = {"seconds": round(size, 6), "jitter_ms": round(1e3 * self._taken.jitter, 3)}
        return Notice(What.GAP, start, self._sample, cause, False, detail)

    def _step(self, size: float, late: float | None) -> Notice:
        self._taken.step(size)
        cause = "the source's clock stepped"
        if late is None or (self._visible(size) and late < size / 2 < 0):
            cause = "samples come earlier: fewer may be missing than was estimated"
            self._came.step(size)
        detail = {"step_s": round(size, 6)}
        return Notice(What.CLOCK, self._sample, self._sample, cause, False, detail)

    def _events(self, packet: Packet) -> list[Item]:
        items: list[Item] = []
        last = self._sample - 1
        for marker in packet.markers:
            sample = last
            if marker.stamp is not None and self._taken.n:
                off = marker.stamp - self._taken.predict(last / self._sfreq)
                sample = last + round(off * self._sfreq / (1 + self._taken.drift))
            if sample < 0:
                detail = {"code": marker.code, "label": marker.label, "sample": sample}
                cause = "a trigger before the first sample"
                items.append(Notice(What.LATE, 0, 0, cause, False, detail))
            else:
                items.append(Event(sample, marker.code, marker.label))
        return items

    # time passing

    def due(self) -> float:
        """Return when what waits has waited long enough."""
        if not self._held:
            return math.inf
        return self._held[0].arrival + max(self._hold_s, 2.5 * self._length / self._sfreq)

    def tick(self, now: float) -> list[Item]:
        """Decide about what has waited long enough."""
        return self._decide() if now >= self.due() else []

    def interrupted(self, cause: str) -> list[Item]:
        """Wait for nothing more; ``cause`` is that of the next gap."""
        items = self.finish()
        self._cause = cause
        return items

    def finish(self) -> list[Item]:
        """Return all that waits."""
        items: list[Item] = []
        while self._held:
            items += self._decide()
        return items


def _mean(off: F64) -> float:
    """Return how far off a packet is; of a few samples only the nearest counts."""
    return float(off.mean() if len(off) >= FEW else off[np.abs(off).argmin()])


def _least(off: F64) -> float:
    return abs(_mean(off))


def _leaves(off: F64, tolerance: float) -> int:
    """Return the first sample from which on all are off the line; else the length."""
    within = np.flatnonzero(np.abs(off) <= tolerance)
    return int(within[-1]) + 1 if len(within) else 0


def _split(packet: Packet, at: int) -> tuple[Packet, Packet]:
    """Cut a packet; the markers stay with the second part."""
    stamps = packet.stamps
    one, two = (None, None) if stamps is None else (stamps[:at], stamps[at:])
    return (
        replace(packet, data=packet.data[:at], stamps=one, markers=()),
        replace(packet, data=packet.data[at:], stamps=two),
    )
