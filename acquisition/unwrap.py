"""Unwrap: from the counters a device sends to numbers that never wrap, cut where they jump."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
#: widths that a counter may turn out to have
WIDTHS: Final = (8, 10, 12, 14, 15, 16, 20, 23, 24, 31, 32)
#: below this width only a wrap without any loss is believed to be one
SHORT: Final = 12


class Unwrapper:
    """Knows after how many values a counter begins anew, or finds it out.

    Parameters
    ----------
    bits : int | None
        Width of the counter; None where it never wraps or is not known.

    Attributes
    ----------
    modulus : int | None
    """

    def __init__(self, bits: int | None) -> None:
        self.modulus = None if bits is None else 1 << bits
        self._largest = 0

    def cut(self, counters: I64) -> list[tuple[int, int]]:
        """Return the stretches [start, stop) within which the counter goes up by one."""
        n = len(counters)
        if n and counters[-1] - counters[0] == n - 1 and (n < 3 or _by_ones(counters)):
            return [(0, n)]
        steps = np.diff(counters)
        if self.modulus is not None:
            steps %= self.modulus
        places = [0, *(np.flatnonzero(steps != 1) + 1).tolist(), n]
        return [(a, b) for a, b in pairwise(places) if a < b]

    def place(self, raw: int, expected: int, likely: int, slack: int) -> int:
        """Return the unwrapped number of a sample.

        Parameters
        ----------
        raw : int
            What the device sent.
        expected : int
            Unwrapped number that would follow.
        likely : int
            Unwrapped number that the time passed speaks for.
        slack : int
            How far, in samples, time may be wrong.
        """
        if self.modulus is None and raw < expected:
            self._find(raw, expected, likely, slack)
        self._largest = max(self._largest, raw)
        if self.modulus is None:
            return raw
        near = expected if abs(likely - expected) <= min(slack, self.modulus // 4) else likely
        return raw + self.modulus * round((near - raw) / self.modulus)

    def _find(self, raw: int, expected: int, likely: int, slack: int) -> None:
        """Recognise a wrap: the counter fell by a power of two and all else fits."""
        for bits in WIDTHS:
            modulus = 1 << bits
            ahead = raw + modulus - expected
            most = 0 if bits < SHORT else max(likely - expected, 0) + slack
            if 0 <= ahead <= most and max(self._largest, expected - 1) < modulus:
                if raw < 0 and self._largest >= modulus // 2:
                    continue
                self.modulus = modulus
                return


def _by_ones(counters: I64) -> bool:
    return bool((counters[1:] - counters[:-1] == 1).all())
