"""Unwrapper: from the counters a device sends to numbers that never wrap."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

I64 = npt.NDArray[np.int64]
#: widths that a counter may turn out to have
WIDTHS: Final = (8, 10, 12, 14, 15, 16, 20, 23, 24, 31, 32)


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

    def normal(self, first: int) -> int:
        """Return the number, not below zero, with which a count begins."""
        self._largest = max(self._largest, first)
        if first < 0 and self.modulus is None:
            self.modulus = 1 << 32
        return first if self.modulus is None else first % self.modulus

    def place(self, raw: int, expected: int, likely: int, slack: int) -> int:
        """Return the unwrapped number of a sample.

        Parameters
        ----------
        raw : int
            What the device sent.
        expected : int
            Unwrapped number that would follow.
        likely : int
            Unwrapped number that the time passed speaks for, at least ``expected``.
        slack : int
            How far, in samples, time may be wrong.
        """
        if self.modulus is None and raw < expected:
            self._find(raw, expected, likely - expected + slack)
        self._largest = max(self._largest, raw)
        if self.modulus is None:
            return raw
        near = expected if likely - expected <= min(slack, self.modulus // 4) else likely
        return raw + self.modulus * round((near - raw) / self.modulus)

    def _find(self, raw: int, expected: int, most: int) -> None:
        """Recognise a wrap: the counter fell by a power of two, and at most ``most`` are lost.

        A width that loss alone could imitate is believed only where nothing is lost. A counter
        that goes below zero wraps at half its width.
        """
        for bits in WIDTHS:
            modulus = 1 << bits
            top = modulus if raw >= 0 else modulus // 2
            lost = (raw - expected) % modulus
            if self._largest < top and lost <= (most if 8 * most < modulus else 0):
                self.modulus = modulus
                return


def _by_ones(counters: I64) -> bool:
    return bool((counters[1:] - counters[:-1] == 1).all())
