"""The sizes that are measured, and how far the peers go."""

from __future__ import annotations

from dataclasses import dataclass

#: minutes of the reading rows' headline and of the others'
READ_MINUTES, MINUTES, CHANNELS = 10.0, 5.0, 306
LENGTHS, COUNTS = (2.5, 5.0, 10.0, 30.0), (64, 128, 306, 1000)
#: MNE holds float64 and copies of it: beyond this it runs out of memory
PEER_MINUTES, PEER_CHANNELS = 10.0, 306


@dataclass(frozen=True, order=True)
class Size:
    """Length and number of channels of a run."""

    minutes: float
    n_channels: int

    @property
    def with_peer(self) -> bool:
        """Whether the peers are run at this size."""
        return self.minutes <= PEER_MINUTES and self.n_channels <= PEER_CHANNELS


QUICK = Size(0.35, 20)


def headline(name: str) -> Size:
    """Return the size of a row in the first table."""
    return Size(READ_MINUTES if name.startswith("read") else MINUTES, CHANNELS)


def grid() -> list[Size]:
    """Return all sizes: lengths at 306 channels, numbers of channels at 5 min."""
    sizes = {Size(m, CHANNELS) for m in LENGTHS} | {Size(MINUTES, n) for n in COUNTS}
    return sorted(sizes, key=lambda s: s.minutes * s.n_channels)
