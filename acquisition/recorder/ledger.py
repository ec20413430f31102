"""Ledger: which samples are stored, which are missing, and what was said about them.

The stored stretches are the truth: a gap is what lies between two of them, whatever was or was
not said about it, so that received = stored + gaps always holds. Notices give the gaps their
causes.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import Any, Final

from brainforge.acquisition.notice import Notice, What
from brainforge.archive.growing import Account
from brainforge.errors import InputError
from brainforge.recording import Event, Gap

#: cause of a gap about which nothing was said
UNTOLD: Final = "not received"


class Ledger:
    """A recording's account while it grows.

    Attributes
    ----------
    stretches : list of [start, stop]
        Absolute samples that are stored; those that meet are joined.
    notices : list of Notice
    events : list of Event
        Markers that came beside the samples.
    stored : int
    n_gaps, lost : int
        Gaps between stored samples, and the samples in them.
    exact : bool
        Whether the source counts its samples.
    """

    def __init__(self, exact: bool = True) -> None:
        self.exact = exact
        self.stretches: list[list[int]] = []
        self.notices: list[Notice] = []
        self.events: list[Event] = []
        self.stored = self.n_gaps = self.lost = 0

    @property
    def start(self) -> int:
        """Absolute index of the first sample that is stored or known to be missing."""
        at = self.stretches[0][0] if self.stretches else 0
        for notice in reversed(self._told()):
            if notice.start < at <= notice.stop:
                at = notice.start
        return at

    @property
    def stop(self) -> int:
        """Absolute index after the last sample that is stored or known to be missing."""
        at = self.stretches[-1][1] if self.stretches else 0
        for notice in self._told():
            if notice.start <= at < notice.stop:
                at = notice.stop
        return at

    def add(self, start: int, stop: int) -> None:
        """Take note of stored samples [start, stop), behind all those before.

        Raises
        ------
        InputError
            They begin before the last one.
        """
        if stop <= start:
            return
        last = self.stretches[-1][1] if self.stretches else start
        if start < last:
            raise InputError(
                where="ledger", expected=f"samples from {last} on", got=f"[{start}, {stop})"
            )
        if self.stretches and start == last:
            self.stretches[-1][1] = stop
        else:
            if self.stretches:
                self.n_gaps += 1
                self.lost += start - last
            self.stretches.append([start, stop])
        self.stored += stop - start

    def note(self, item: Notice | Event) -> None:
        """Take a notice or a marker."""
        if isinstance(item, Notice):
            self.notices.append(item)
        else:
            self.events.append(item)

    def _told(self) -> list[Notice]:
        gaps = [n for n in self.notices if n.what is What.GAP and n.stop > n.start]
        return sorted(gaps, key=lambda n: (n.start, n.stop))

    def _jumps(self) -> list[tuple[int, int]]:
        out = [(before[1], after[0]) for before, after in pairwise(self.stretches)]
        if self.stretches:
            out.insert(0, (self.start, self.stretches[0][0]))
            out.append((self.stretches[-1][1], self.stop))
        return [(a, b) for a, b in out if b > a]

    def _pieces(self) -> list[tuple[int, int, str | None]]:
        """Return the gaps, cut where the cause changes; None where nothing was said."""
        told, at_told = self._told(), 0
        out: list[tuple[int, int, str | None]] = []
        for lo, hi in self._jumps():
            at = lo
            while at_told < len(told) and told[at_told].stop <= lo:
                at_told += 1
            for notice in told[at_told:]:
                if notice.start >= hi:
                    break
                a, b = max(notice.start, at), min(notice.stop, hi)
                if b <= a:
                    continue
                if a > at:
                    out.append((at, a, None))
                out.append((a, b, notice.cause or UNTOLD))
                at = b
            if at < hi:
                out.append((at, hi, None))
        return out

    def gaps(self) -> tuple[Gap, ...]:
        """Return all samples that are missing, with causes."""
        return tuple(Gap(a, b, cause or UNTOLD) for a, b, cause in self._pieces())

    def untold(self) -> list[tuple[int, int]]:
        """Return the missing samples about which nothing was said."""
        return [(a, b) for a, b, cause in self._pieces() if cause is None]

    def explain(self, causes: Iterable[tuple[int, int, str]], otherwise: str) -> list[Notice]:
        """Return notices of the gaps about which nothing was said; they are not added.

        Parameters
        ----------
        causes : iterable of (int, int, str)
            Absolute intervals and what is known to have happened there.
        """
        known = list(causes)
        out = []
        for lo, hi in self.untold():
            why = next((c for a, b, c in known if a < hi and b > lo), otherwise)
            out.append(Notice(What.GAP, lo, hi, why, exact=self.exact))
        return out

    def account(self, source: dict[str, Any]) -> Account:
        """Return what the finished archive says of every sample."""
        exact = self.exact and all(n.exact for n in self.notices if n.what is What.GAP)
        start, stop = self.start, self.stop
        return Account(
            start,
            stop,
            self.gaps(),
            exact,
            [n.to_dict() for n in self.notices],
            tuple(e for e in self.events if start <= e.sample < stop),
            source=source,
        )
