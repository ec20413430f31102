"""StampSequencer: places by time stamps, or by arrival alone; estimated, and called so.

Samples follow each other until their stamps leave the line that those before them lie on, and
stay off it. Whether time itself stepped or samples are missing is told by when they arrived.
"""

from __future__ import annotations

import math
from typing import Any, Final

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
#: packets that have to agree before something is called a gap
AGREEING: Final = 3
#: jitter of arrival that is taken for granted, seconds
ARRIVAL_S: Final = 0.02


class StampSequencer:
    """Keeps to `Sequencer`.

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
        self._held: list[Packet] = []
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
        if self._held:
            self._held.append(packet)
            enough = len(self._held) >= AGREEING and packet.arrival >= self.due()
            return self._decide() if enough or self._fell_back() else []
        return self._place_or_hold(packet)

    def _stamps(self, packet: Packet) -> F64:
        if packet.stamps is not None:
            return packet.stamps
        self._stamped = False
        n = len(packet.data)
        return packet.arrival + (np.arange(n) - (n - 1)) / self._sfreq

    def _off(self, packet: Packet, sample: int) -> F64:
        """Return by how many seconds each stamp is off the line, were ``sample`` the first."""
        at = sample / self._sfreq
        step = (1.0 + self._taken.drift) / self._sfreq
        line = self._taken.predict(at) + step * np.arange(len(packet.data))
        return self._stamps(packet) - line

    def _tolerance(self, sample: int) -> float:
        spread = self._taken.uncertainty(sample / self._sfreq)
        return SAMPLES / self._sfreq + DEVIATIONS * spread

    def _place_or_hold(self, packet: Packet) -> list[Item]:
        if self._taken.n == 0:
            return self._place(packet)
        off = self._off(packet, self._sample)
        tolerance = self._tolerance(self._sample)
        at = _leaves(off, tolerance)
        if at == len(off):
            return self._place(packet, off)
        items: list[Item] = []
        if at:
            first, packet = _split(packet, at)
            items += self._place(first, off[:at])
        self._held.append(packet)
        return items

    def _place(self, packet: Packet, off: F64 | None = None) -> list[Item]:
        stamps = self._stamps(packet)
        n = len(packet.data)
        placed = Placed(packet.data, self._sample, -1, packet.arrival, packet.stamps)
        last = (self._sample + n - 1) / self._sfreq
        mean = 0.0 if off is None else float(off.mean())
        base = float(stamps[-1]) if off is None else self._taken.predict(last) + mean
        self._taken.update(last, base)
        self._came.update(last, packet.arrival)
        self._sample += n
        self._cause = ""
        return [placed, *self._events(packet)]

    # what leaves the line

    def _offs(self) -> list[F64]:
        sample, found = self._sample, []
        for packet in self._held:
            found.append(self._off(packet, sample))
            sample += len(packet.data)
        return found

    def _fell_back(self) -> bool:
        tolerance = self._tolerance(self._sample)
        return bool(np.abs(self._offs()[-1]).min() <= tolerance)

    def _decide(self) -> list[Item]:
        """Say what it was that left the line, and go on."""
        packets, offs = self._held, self._offs()
        self._held = []
        tolerance = self._tolerance(self._sample)
        items: list[Item] = []
        joined = np.concatenate(offs)
        size = float(joined[np.abs(joined).argmin()])
        if abs(size) > tolerance:
            items.append(self._gap(size) if self._is_gap(size, packets) else self._step(size))
            self._cause = ""
            first, *packets = packets
            items += self._place(first, self._off(first, self._sample))
        else:
            first, *packets = packets
            items += self._place(first)
        for packet in packets:
            items += self.push(packet)
        return items

    def _is_gap(self, size: float, packets: list[Packet]) -> bool:
        if size < 0:
            return False
        if not self._stamped or self._came.n == 0:
            return True
        at, late = self._sample, []
        for packet in packets:
            at += len(packet.data)
            late.append(packet.arrival - self._came.predict((at - 1) / self._sfreq))
        visible = size > ARRIVAL_S + 5 * self._came.uncertainty(self._sample / self._sfreq)
        return not visible or min(late) > size / 2

    def _gap(self, size: float) -> Notice:
        lost = max(round(size * self._sfreq / (1 + self._taken.drift)), 1)
        by = "time stamps" if self._stamped else "arrival times"
        start, self._sample = self._sample, self._sample + lost
        cause = f"{self._cause or 'samples missing'}, estimated from {by}"
        detail = {"seconds": round(size, 6), "jitter_ms": round(1e3 * self._taken.jitter, 3)}
        return Notice(What.GAP, start, self._sample, cause, False, detail)

    def _step(self, size: float) -> Notice:
        self._taken.step(size)
        cause = "the source's clock stepped"
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
            items.append(Event(max(sample, 0), marker.code, marker.label))
        return items

    # time passing

    def due(self) -> float:
        """Return when what waits has waited long enough."""
        return self._held[0].arrival + self._hold_s if self._held else math.inf

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


def _leaves(off: Any, tolerance: float) -> int:
    """Return the first sample from which on all are off the line to one side; else the length."""
    within = np.flatnonzero(np.abs(off) <= tolerance)
    return int(within[-1]) + 1 if len(within) else 0


def _split(packet: Packet, at: int) -> tuple[Packet, Packet]:
    from dataclasses import replace

    stamps = packet.stamps
    return (
        replace(
            packet,
            data=packet.data[:at],
            stamps=None if stamps is None else stamps[:at],
            markers=(),
        ),
        replace(packet, data=packet.data[at:], stamps=None if stamps is None else stamps[at:]),
    )
