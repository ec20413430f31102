"""CounterSequencer: places by the device's own counter, exact.

Every run of samples whose counter goes up by one is taken as one. What comes too early is held
for a moment, so that what was overtaken can be put back; what comes again is left out; what never
comes is a gap. A counter that falls far back or leaps is looked at until it is clear whether the
device began anew.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.driver import Marker, Packet
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.sequence import Item, Placed, Position
from brainforge.acquisition.unwrap import Unwrapper
from brainforge.errors import InputError
from brainforge.recording import Event

#: gaps that are remembered, to tell what is late from what came twice
REMEMBERED: Final = 256
#: seconds that a leap of the counter may be longer than the time that has passed
LEAP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Run:
    """Samples whose counters follow each other."""

    first: int
    data: npt.NDArray[Any]
    arrival: float
    stamps: npt.NDArray[np.float64] | None
    markers: tuple[Marker, ...] = ()
    overtaken: bool = False

    @property
    def stop(self) -> int:
        return self.first + len(self.data)

    def part(self, first: int, stop: int) -> _Run:
        """Return the samples with these counters; the markers stay with the last of them."""
        if first == self.first and stop == self.stop:
            return self
        a, b = first - self.first, stop - self.first
        stamps = None if self.stamps is None else self.stamps[a:b]
        markers = self.markers if stop == self.stop else ()
        return replace(self, first=first, data=self.data[a:b], stamps=stamps, markers=markers)


class CounterSequencer:
    """Keeps to `Sequencer`.

    Parameters
    ----------
    sfreq : float
    bits : int | None
        Width of the counter; None where it never wraps or has to be found.
    position : Position | None
        Where the stream was left.
    hold_s : float
        How long samples that came too early wait for those before them.
    hold_packets : int
        How many may wait.
    """

    exact = True

    def __init__(
        self,
        sfreq: float,
        bits: int | None = None,
        position: Position | None = None,
        *,
        hold_s: float = 0.1,
        hold_packets: int = 64,
    ) -> None:
        self._sfreq, self._hold_s, self._hold_packets = sfreq, hold_s, hold_packets
        self._unwrapper = Unwrapper(bits)
        self._next: int | None = None
        self._shift = 0
        self._floor = 0
        self._seen = 0
        self._held: list[_Run] = []
        self._doubtful: list[_Run] = []
        self._given_up: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        self._cause = ""
        self._arrival = self._stamp = math.nan
        self._sample = 0
        self._left: Position | None = None
        self._began = math.nan
        self._taken = 0
        if position is not None:
            self._resume(position)

    def _resume(self, position: Position) -> None:
        self._sample = position.sample
        self._cause = "recorder restarted"
        self._stamp = self._arrival = position.stamp - 1 / self._sfreq
        if position.counter < 0:
            self._left = position
            return
        self._begin(position.counter, position.sample)

    def _begin(self, first: int, sample: int) -> None:
        """Let counter ``first`` be the absolute ``sample``."""
        self._next = self._floor = self._seen = first
        self._shift = sample - first
        self._given_up.clear()

    @property
    def sample(self) -> int:
        """Absolute index of the next sample."""
        return self._sample if self._next is None else self._next + self._shift

    @property
    def wanted(self) -> int | None:
        """Counter of the first sample still wanted."""
        return self._next

    def push(self, packet: Packet) -> list[Item]:
        """Take one packet."""
        counters = packet.counters
        if counters is None:
            raise InputError(
                where="packet", expected="counters, as those before had", got="samples without"
            )
        items: list[Item] = []
        cuts = self._unwrapper.cut(counters)
        if not cuts and packet.markers:
            items += self._events(packet.markers, None)
        for a, b in cuts:
            run = _Run(
                0, packet.data[a:b], packet.arrival,
                None if packet.stamps is None else packet.stamps[a:b],
                packet.markers if b == len(counters) else (),
            )  # fmt: skip
            items += self._take(int(counters[a]), run)
        return items

    def _take(self, raw: int, run: _Run) -> list[Item]:
        if self._next is None:
            return self._first(raw, run)
        idle = self._idle(run)
        slack = round(LEAP_S * self._sfreq)
        had = self._unwrapper.modulus
        first = self._unwrapper.place(raw, self._next, self._next + max(idle, 0), slack)
        run = replace(run, first=first)
        items: list[Item] = []
        if self._unwrapper.modulus != had:
            items.append(self._moment("the counter wraps", modulus=self._unwrapper.modulus))
        if run.first == self._next and not self._held and not self._doubtful:
            return items + self._place(run)
        if run.stop > self._next and not self._leaps(run, idle, slack):
            items += self._settle()
            items += self._insert(run)
            return items + self._release(run.arrival)
        if run.stop <= self._next and self._is_old(run):
            return items + self._repeated(run)
        self._doubtful.append(run)
        if self._began_anew():
            return items + self._anew()
        if len(self._doubtful) > self._hold_packets:
            return items + self._settle()
        return items

    def _first(self, raw: int, run: _Run) -> list[Item]:
        first = self._unwrapper.place(raw, raw, raw, 0)
        run = replace(run, first=first)
        items: list[Item] = []
        sample = self._sample
        if self._left is not None:
            missing, by = self._missing(run)
            if missing:
                items.append(self._guessed(sample, missing, "recorder restarted", by))
            sample += missing
            self._left = None
        self._begin(first, sample)
        self._began, self._taken = run.arrival, -len(run.data)
        return items + self._place(run)

    # time, where the counter alone cannot tell

    def _idle(self, run: _Run) -> int:
        """Return how many samples time says are between the last one placed and this run."""
        if run.stamps is not None and not math.isnan(self._stamp) and not self._held:
            seconds = float(run.stamps[0]) - self._stamp - 1 / self._sfreq
        else:
            seconds = run.arrival - self._arrival - len(run.data) / self._sfreq
        return round(seconds * self._sfreq) if math.isfinite(seconds) else 0

    def _missing(self, run: _Run) -> tuple[int, str]:
        """Return how many samples were lost before this run, by time alone, and by which time."""
        arrived = run.arrival - self._arrival - len(run.data) / self._sfreq
        if not math.isfinite(arrived):
            return 0, "nothing known"
        if run.stamps is not None and math.isfinite(self._stamp):
            taken = float(run.stamps[0]) - self._stamp - 1 / self._sfreq
            # a device that began anew may have begun its clock anew
            if abs(taken - arrived) <= 1.0:
                return max(round(taken * self._sfreq), 0), "time stamps"
        # what is shorter than the ways of packets differ says nothing
        lost = 0 if arrived <= self._hold_s else round(arrived * self._sfreq)
        return lost, "arrival times"

    def _leaps(self, run: _Run, idle: int, slack: int) -> bool:
        """Whether the counter is further ahead than the time passed can explain."""
        assert self._next is not None
        ahead = run.first - self._next
        if ahead <= slack + 2 * max(idle, 0) or math.isnan(self._arrival):
            return False
        return run.stamps is not None or not self._hurried(run.arrival)

    def _hurried(self, now: float) -> bool:
        """Whether samples come faster than they can have been taken, as in a replay."""
        elapsed = now - self._began
        return not elapsed > 0 or self._taken / self._sfreq > 1.5 * elapsed + 1.0

    def _is_old(self, run: _Run) -> bool:
        """Whether time stamps show that this run was taken when its counter says."""
        if run.stamps is None or math.isnan(self._stamp) or self._next is None:
            return False
        ago = self._stamp - float(run.stamps[-1])
        counted = (self._next - run.stop) / self._sfreq
        return abs(ago - counted) <= 0.5 * (counted + len(run.data) / self._sfreq)

    # what came twice, too late, or from a device that began anew

    def _began_anew(self) -> bool:
        """Whether the doubtful runs are a device's new count rather than old samples."""
        chain, assumed = self._doubtful, self._next
        assert assumed is not None
        if chain[0].stamps is not None and not math.isnan(self._stamp):
            return True
        if any(a.stop != b.first for a, b in pairwise(chain)):
            return False
        lasted = chain[-1].stop - chain[0].first
        if chain[0].stop > assumed or assumed - chain[0].first > LEAP_S * self._sfreq:
            return len(chain) > 1
        spent = chain[-1].arrival - chain[0].arrival
        return spent >= self._hold_s and lasted <= 3 * (spent + self._hold_s) * self._sfreq

    def _anew(self) -> list[Item]:
        """Go on with the doubtful runs as a new count."""
        chain, self._doubtful = self._doubtful, []
        items = self._give_up_all()
        assert self._next is not None
        sample, old = self.sample, self._next
        missing, by = self._missing(chain[0])
        cause = "the counter began anew" if chain[0].first < old else "the counter leapt"
        detail = {"from": old, "to": chain[0].first, "placed_by": by}
        items.append(Notice(What.COUNTER, sample, sample, cause, True, detail))
        if missing:
            items.append(self._guessed(sample, missing, cause, by))
        self._begin(chain[0].first, sample + missing)
        self._cause = ""
        for run in chain:
            items += self._insert(run)
        return items + self._release(chain[-1].arrival)

    def _guessed(self, sample: int, missing: int, cause: str, by: str) -> Notice:
        return Notice(
            What.GAP, sample, sample + missing, cause, False, {"estimated_from": by}
        )  # fmt: skip

    def _settle(self) -> list[Item]:
        """Say what the doubtful runs were: the count goes on as before."""
        items: list[Item] = []
        runs, self._doubtful = self._doubtful, []
        for run in runs:
            assert self._next is not None
            if run.stop <= self._next:
                items += self._repeated(run)
            else:
                cause = "a counter that does not fit; not stored"
                items.append(self._moment(cause, counter=run.first, samples=len(run.data)))
        return items

    def _moment(self, cause: str, **detail: Any) -> Notice:
        return Notice(What.COUNTER, self.sample, self.sample, cause, True, detail)

    def _repeated(self, run: _Run) -> list[Item]:
        """Say of every part of an old run whether it is late or came twice."""
        items: list[Item] = []
        if run.first < self._floor:
            stop = min(run.stop, self._floor)
            at, detail = self._floor + self._shift, {"samples": stop - run.first}
            items.append(Notice(What.LATE, at, at, "from before the first sample", True, detail))
            if stop == run.stop:
                return items
            run = run.part(stop, run.stop)
        at, late = run.first, False
        for lo, hi in sorted(self._given_up):
            lo, hi = max(lo, at), min(hi, run.stop)
            if lo >= hi:
                continue
            if at < lo:
                items.append(self._again(at, lo))
            items.append(self._notice(What.LATE, lo, hi, "its place had been given up"))
            at, late = hi, True
        if at < run.stop:
            items.append(self._again(at, run.stop))
        return items + (self._events(run.markers, run) if late else [])

    def _again(self, first: int, stop: int) -> Notice:
        return self._notice(What.DUPLICATE, first, stop, "came again")

    def _notice(self, what: What, first: int, stop: int, cause: str) -> Notice:
        detail = {"counter": first}
        return Notice(what, first + self._shift, stop + self._shift, cause, True, detail)

    # holding and releasing

    def _insert(self, run: _Run) -> list[Item]:
        """Put a run among those held; return what is said of parts that were there."""
        assert self._next is not None
        items: list[Item] = []
        if run.first < self._next:
            items += self._repeated(replace(run.part(run.first, self._next), markers=()))
            run = run.part(self._next, run.stop)
        if run.first < self._seen:
            run = replace(run, overtaken=True)
        self._seen = max(self._seen, run.stop)
        free: list[_Run] = []
        at = run.first
        for other in self._held:
            if other.stop <= at or other.first >= run.stop:
                continue
            if at < other.first:
                free.append(run.part(at, other.first))
            items.append(self._again(max(at, other.first), min(run.stop, other.stop)))
            at = min(other.stop, run.stop)
        if at < run.stop:
            free.append(run.part(at, run.stop))
        self._held = sorted([*self._held, *free], key=lambda r: r.first)
        return items

    def _release(self, now: float) -> list[Item]:
        """Hand out what follows on, and give up gaps that have been waited for long enough."""
        items: list[Item] = []
        while self._held:
            if self._held[0].first == self._next:
                items += self._place(self._held.pop(0))
            elif now >= self.due() or len(self._held) > self._hold_packets:
                items.append(self._give_up())
            else:
                break
        return items

    def _give_up(self) -> Notice:
        assert self._next is not None
        lo, hi = self._next, self._held[0].first
        self._given_up.append((lo, hi))
        notice = self._notice(What.GAP, lo, hi, self._cause or "lost on the way")
        self._next, self._cause = hi, ""
        return notice

    def _give_up_all(self) -> list[Item]:
        items: list[Item] = []
        while self._held:
            if self._held[0].first != self._next:
                items.append(self._give_up())
            items += self._place(self._held.pop(0))
        return items

    def _place(self, run: _Run) -> list[Item]:
        items: list[Item] = []
        start = run.first + self._shift
        if run.overtaken:
            items.append(self._notice(What.REORDERED, run.first, run.stop, "overtaken"))
        items.append(Placed(run.data, start, run.first, run.arrival, run.stamps))
        self._next = run.stop
        self._seen = max(self._seen, run.stop)
        self._cause = ""
        self._taken += len(run.data)
        self._arrival = run.arrival
        self._stamp = math.nan if run.stamps is None else float(run.stamps[-1])
        return items + self._events(run.markers, run) if run.markers else items

    def _events(self, markers: tuple[Marker, ...], run: _Run | None) -> list[Item]:
        return [self._event(marker, run) for marker in markers]

    def _event(self, marker: Marker, run: _Run | None) -> Event:
        if self._next is None:
            return Event(0, marker.code, marker.label)
        if marker.counter is not None:
            near = self._next if run is None else run.first
            counter = self._unwrapper.place(marker.counter, near, near, 0)
        else:
            stamp, last = self._stamp, self._next - 1
            if run is not None and run.stamps is not None:
                stamp, last = float(run.stamps[-1]), run.stop - 1
            elif math.isnan(stamp):
                stamp = self._arrival
            counter = last + round(((marker.stamp or stamp) - stamp) * self._sfreq)
        return Event(max(counter + self._shift, 0), marker.code, marker.label)

    # time passing

    def due(self) -> float:
        """Return when something that waits has waited long enough."""
        waiting = [run.arrival for run in self._held] + [run.arrival for run in self._doubtful[:1]]
        return min(waiting) + self._hold_s if waiting else math.inf

    def tick(self, now: float) -> list[Item]:
        """Give up what has waited too long."""
        if now < self.due():
            return []
        return self._release(now)

    def interrupted(self, cause: str) -> list[Item]:
        """Wait for nothing more; ``cause`` is that of the next gap."""
        items = self.finish()
        self._cause = cause
        return items

    def finish(self) -> list[Item]:
        """Return all that waits."""
        items: list[Item] = []
        if self._doubtful:
            items += self._settle()
        return items + self._give_up_all()
