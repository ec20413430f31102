"""CounterSequencer: places by the device's own counter, exact.

What comes too early is held for a moment, so that what was overtaken can be put back; what comes
again is left out; what never comes is a gap. A counter that falls back or leaps is looked at until
it is clear whether the device began to count anew.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import replace
from typing import Any, Final

from brainforge.acquisition.driver import Marker, Packet
from brainforge.acquisition.hold import Hold
from brainforge.acquisition.notice import Notice, What
from brainforge.acquisition.pace import LEAP_S, SLACK_S, Pace
from brainforge.acquisition.run import Doubt, Run, Verdict
from brainforge.acquisition.sequence import Item, Placed, Position
from brainforge.acquisition.unwrap import Unwrapper
from brainforge.errors import InputError
from brainforge.recording import Event

#: gaps that are remembered, to tell what is late from what came twice
REMEMBERED: Final = 256


class CounterSequencer:
    """Keeps to `brainforge.acquisition.sequence.Sequencer`.

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
        How many packets may wait.
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
        self._slack, self._most_early = round(SLACK_S * sfreq), hold_s * sfreq
        self._unwrapper = Unwrapper(bits)
        self._hold = Hold(hold_s, hold_packets)
        self._doubt = Doubt(sfreq, hold_s, LEAP_S, hold_packets)
        self._pace = Pace(sfreq, hold_s, math.nan if position is None else position.stamp)
        self._given_up: deque[tuple[int, int]] = deque(maxlen=REMEMBERED)
        # counters of the next sample, of the first of this count, and one past the newest seen;
        # what to add to a counter to get the absolute index
        self._next: int | None = None
        self._floor = self._seen = self._shift = 0
        self._sample, self._cause = 0, ""
        if position is not None:
            self._sample, self._cause = position.sample, "recorder restarted"
            if position.counter >= 0:
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
        counters, stamps = packet.counters, packet.stamps
        if not len(packet.data):
            return self._events(packet.markers, None)
        if counters is None:
            raise InputError(
                where="packet", expected="counters, as those before had", got="samples without"
            )
        items: list[Item] = []
        for a, b in self._unwrapper.cut(counters):
            markers = packet.markers if b == len(counters) else ()
            cut = None if stamps is None else stamps[a:b]
            run = Run(int(counters[a]), packet.data[a:b], packet.arrival, cut, markers)
            if packet.anew and not a and self._next is not None:
                items += self.finish()
                self._doubt.runs.append(run)
                items += self._anew()
            else:
                items += self._take(run, "" if a else packet.cause)
        return items

    def _take(self, run: Run, cause: str) -> list[Item]:
        if self._next is None:
            return self._first(run)
        items: list[Item] = []
        idle = self._pace.idle(run, waiting=bool(self._hold))
        modulus = self._unwrapper.modulus
        first = self._unwrapper.place(run.first, self._next, self._next + idle, self._slack)
        if first != run.first:
            run = replace(run, first=first)
        if self._unwrapper.modulus != modulus:
            items.append(self._moment("the counter wraps", modulus=self._unwrapper.modulus))
        if first == self._next and not self._hold and not self._doubt.runs:
            return items + self._place(run)
        if cause and first > self._next:
            return items + self._announced(run, cause)
        ahead = first - max(self._next, self._seen)
        if run.stop > self._next and not self._pace.leaps(run, ahead, idle):
            early = ahead - idle > self._most_early
            run = replace(run, early=True) if early else run
            return items + self._settle() + self._insert(run) + self._release(run.arrival)
        if run.stop <= self._next and self._pace.is_old(run, self._next - run.stop):
            return items + self._repeated(run)
        if not self._doubt.follows(run):
            items += self._close_doubt(lone=False)
        self._doubt.runs.append(run)
        return items + (self._anew() if self._pace.dated(run) else self._judge(run.arrival))

    def _announced(self, run: Run, cause: str) -> list[Item]:
        """Place a run of which the sender knows why nothing comes before it."""
        items = self.finish()
        self._cause = cause
        return items + self._insert(run) + self._give_up_all()

    def _first(self, run: Run) -> list[Item]:
        """Begin with a run; the stream may have been left by somebody who had no counter."""
        missing, by = self._pace.missing(run)
        items: list[Item] = [self._guessed(missing, self._cause, by)] if missing else []
        first = self._unwrapper.normal(run.first)
        self._begin(first, self._sample + missing)
        return items + self._place(replace(run, first=first))

    # a device that began anew, and what came twice or too late

    def _judge(self, now: float) -> list[Item]:
        assert self._next is not None
        verdict = self._doubt.verdict(self._next, now)
        if verdict is Verdict.ANEW:
            return self._anew()
        return self._settle() if verdict is Verdict.OLD else []

    def _close_doubt(self, *, lone: bool) -> list[Item]:
        """Decide now; ``lone`` says whether a single run can be a new count."""
        if not self._doubt.runs or self._next is None:
            return []
        anew = self._doubt.far(self._next) and (lone or len(self._doubt.runs) > 1)
        return self._anew() if anew else self._settle()

    def _anew(self) -> list[Item]:
        """Go on with the doubtful runs as a new count."""
        runs = self._doubt.take()
        items = self._give_up_all()
        old, first = self._next, runs[0].first
        assert old is not None
        missing, by = self._pace.missing(runs[0])
        cause = "the counter began anew" if first < old else "the counter leapt"
        start = self.sample + missing
        detail = {"from": old, "to": first, "placed_by": by}
        items.append(Notice(What.COUNTER, start, start, cause, False, detail))
        if missing:
            items.append(self._guessed(missing, cause, by))
        up = self._unwrapper.normal(first) - first
        self._begin(first + up, start)
        for run in runs:
            items += self._insert(replace(run, first=run.first + up))
        return items + self._release(runs[-1].arrival)

    def _guessed(self, missing: int, cause: str, by: str) -> Notice:
        """Return the notice of a gap whose length only time tells."""
        start, detail = self.sample, {"estimated_from": by}
        return Notice(What.GAP, start, start + missing, cause, False, detail)

    def _settle(self) -> list[Item]:
        """Say what the doubtful runs were: the count goes on as before."""
        items: list[Item] = []
        for run in self._doubt.take():
            assert self._next is not None
            items += self._repeated(run) if run.stop <= self._next else [self._stray(run)]
        return items

    def _stray(self, run: Run) -> Notice:
        cause = "a counter that does not fit; not stored"
        return self._moment(cause, counter=run.first, samples=len(run.data))

    def _moment(self, cause: str, **detail: Any) -> Notice:
        return Notice(What.COUNTER, self.sample, self.sample, cause, True, detail)

    def _repeated(self, run: Run) -> list[Item]:
        """Say of every part of an old run whether it is late or came twice."""
        items: list[Item] = []
        at = max(run.first, min(self._floor, run.stop))
        if run.first < at:
            place, detail = self._floor + self._shift, {"samples": at - run.first}
            items.append(Notice(What.LATE, place, place, "before the first", True, detail))
        late = False
        for lo, hi in sorted(self._given_up):
            lo, hi = max(lo, at), min(hi, run.stop)
            if lo < hi:
                if at < lo:
                    items.append(self._again(at, lo))
                items.append(self._notice(What.LATE, lo, hi, "its place had been given up"))
                at, late = hi, True
        if at < run.stop:
            items.append(self._again(at, run.stop))
        return items + self._events(run.markers, run) if late else items

    def _again(self, first: int, stop: int) -> Notice:
        return self._notice(What.DUPLICATE, first, stop, "came again")

    def _notice(self, what: What, first: int, stop: int, cause: str) -> Notice:
        detail = {"counter": first}
        return Notice(what, first + self._shift, stop + self._shift, cause, True, detail)

    # holding and handing out

    def _insert(self, run: Run) -> list[Item]:
        """Hold a run; return what is said of parts that were there already."""
        assert self._next is not None
        items: list[Item] = []
        if run.first < self._next:
            items += self._repeated(replace(run.part(run.first, self._next), markers=()))
            run = run.part(self._next, run.stop)
        if run.first < self._seen:
            run = replace(run, overtaken=True)
        if not run.early:
            strays = self._hold.strays(run.arrival, run.first, run.stop)
            items += [self._stray(stray) for stray in strays]
            self._seen = max(self._seen, run.stop)
        return items + [self._again(lo, hi) for lo, hi in self._hold.put(run)]

    def _release(self, now: float) -> list[Item]:
        """Hand out what follows on, and give up what has been waited for long enough."""
        items: list[Item] = []
        while self._hold:
            if self._hold.first == self._next:
                items += self._place(self._hold.pop())
            elif self._hold.over(now, self._pace.arrival):
                items.append(self._give_up())
            else:
                break
        return items

    def _give_up(self) -> Notice:
        assert self._next is not None
        lo, hi = self._next, self._hold.first
        self._given_up.append((lo, hi))
        notice = self._notice(What.GAP, lo, hi, self._cause or "lost on the way")
        self._next, self._cause = hi, ""
        return notice

    def _give_up_all(self) -> list[Item]:
        items: list[Item] = []
        while self._hold:
            if self._hold.first != self._next:
                items.append(self._give_up())
            items += self._place(self._hold.pop())
        return items

    def _place(self, run: Run) -> list[Item]:
        items: list[Item] = []
        if run.overtaken:
            items.append(self._notice(What.REORDERED, run.first, run.stop, "overtaken"))
        start = run.first + self._shift
        items.append(Placed(run.data, start, run.first, run.arrival, run.stamps))
        self._next, self._cause = run.stop, ""
        self._seen = max(self._seen, run.stop)
        self._pace.note(run)
        return items + self._events(run.markers, run) if run.markers else items

    def _events(self, markers: tuple[Marker, ...], run: Run | None) -> list[Item]:
        return [self._event(marker, run) for marker in markers]

    def _event(self, marker: Marker, run: Run | None) -> Item:
        """Return a marker in its place: by counter, else the nearest sample by time."""
        assert self._next is not None
        counter = (self._next if run is None else run.stop) - 1
        if marker.counter is not None:
            counter = self._unwrapper.place(marker.counter, counter, counter, 0)
        elif marker.stamp is not None:
            counter = self._pace.sample_at(marker.stamp, counter, run)
        sample = counter + self._shift
        if sample < 0:
            detail = {"code": marker.code, "label": marker.label, "sample": sample}
            return Notice(What.LATE, 0, 0, "a trigger before the first sample", True, detail)
        return Event(sample, marker.code, marker.label)

    # time passing

    def due(self) -> float:
        """Return when something has waited long enough."""
        return min(self._hold.due(self._pace.arrival), self._doubt.due())

    def tick(self, now: float) -> list[Item]:
        """Decide about what has waited long enough."""
        items = self._judge(now) if now >= self._doubt.due() else []
        return items + self._release(now)

    def interrupted(self, cause: str) -> list[Item]:
        """Wait for nothing more; ``cause`` is that of the next gap."""
        items = self.finish()
        self._cause = cause
        return items

    def finish(self) -> list[Item]:
        """Return all that waits."""
        return self._close_doubt(lone=True) + self._give_up_all()
