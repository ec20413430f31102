"""DeviceClock: how far a sender's clock is from ours, from questions and answers."""

from __future__ import annotations

import math
from collections import deque
from typing import Final

#: the offset is that of the quickest of so many answers
ANSWERS: Final = 8
#: an offset that differs by more than the way explains, and this, is a step of the clock
STEP_S: Final = 0.005


class DeviceClock:
    """Offset of the sender's clock against ours.

    An answer that took long says little: the offset is taken from the quickest of the last
    `ANSWERS`, and half its way is the largest error it can have.

    Attributes
    ----------
    offset : float
        Sender's clock minus ours in seconds; NaN before the first answer.
    """

    def __init__(self) -> None:
        self.offset = math.nan
        self._answers: deque[tuple[float, float]] = deque(maxlen=ANSWERS)

    def answer(self, asked: float, answered: float, device: float) -> None:
        """Take one answer.

        Parameters
        ----------
        asked, answered : float
            When it was asked and when the answer came, seconds on our clock.
        device : float
            Seconds on the sender's clock in between; NaN where it has none.
        """
        way, offset = answered - asked, device - (asked + answered) / 2.0
        if not (math.isfinite(offset) and way >= 0.0):
            return
        if self._answers and abs(offset - self.offset) > way + STEP_S:
            self._answers.clear()
        self._answers.append((way, offset))
        self.offset = min(self._answers)[1]
