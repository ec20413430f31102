"""A device inside the recorder's process whose every value says which sample it belongs to.

It needs no network, so that of a killed recorder nothing is left but its files. What it does to
the stream is fixed: it loses samples, sends some twice and swaps two packets, at known places. A
recorder that takes over is given what it asks for, but for `UNBUFFERED` samples.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from brainforge.acquisition.driver import Ended, Packet
from brainforge.info import Channel, Info

#: samples of the device from first to last, and a packet's
TOTAL, CHUNK = 1200, 20
#: the device's number of the first sample
FIRST = 1_000
#: samples by index that never leave the device, that come twice, that come behind the next packet
LOST, TWICE, SWAPPED = (210, 223), (400, 420), (620, 640)
#: what a device that was left alone no longer has when somebody comes back
UNBUFFERED = 37
N_CHANNELS = 6
#: samples between two triggers
EVERY = 150
INFO = Info(
    1000.0,
    (
        Channel("INDEX", "misc"),
        *(Channel(f"MEG {j}", "mag", cal=1e-15) for j in range(1, N_CHANNELS - 1)),
        Channel("STI101", "stim"),
    ),
    device="counting device",
)


def values(index: Any) -> Any:
    """Return what the device measures at samples by index, int32, axes (sample, channel)."""
    index = np.asarray(index, dtype=np.int64)
    out = index[:, None] * (2 * np.arange(N_CHANNELS) + 1) % 3001
    out[:, 0] = index
    out[:, -1] = np.where(index % EVERY < EVERY // 3, index // EVERY + 1, 0)
    return out.astype(np.int32)


class CountingDriver:
    """The device.

    Parameters
    ----------
    pause : float
        Seconds from one packet to the next.
    total : int
    """

    name = "counting:"
    counter_bits: int | None = None

    def __init__(self, pause: float = 0.01, total: int = TOTAL) -> None:
        self._pause, self._total = pause, total
        self._packets: list[Any] = []

    def open(self, resume: int | None) -> Info:
        first = 0 if resume is None else resume - FIRST + UNBUFFERED
        packets = [
            np.arange(max(at, first), min(at + CHUNK, self._total))
            for at in range(0, self._total, CHUNK)
            if at + CHUNK > first
        ]
        for i, packet in enumerate(packets):
            if packet[0] == SWAPPED[0] and i + 1 < len(packets):
                packets[i : i + 2] = packets[i + 1], packet
                break
        for i, packet in enumerate(packets):
            if packet[0] == TWICE[0]:
                packets.insert(i + 1, packet)
                break
        kept = (p[(p < LOST[0]) | (p >= LOST[1])] for p in packets)
        self._packets = [p for p in kept if len(p)]
        return INFO

    def receive(self, timeout: float) -> list[Packet]:
        if not self._packets:
            raise Ended
        time.sleep(self._pause)  # it is the pace of the device
        index = self._packets.pop(0)
        return [Packet(values(index), time.monotonic(), counters=index + FIRST)]

    def close(self) -> None:
        pass

    def wake(self) -> None:
        pass


def driver(address: str, **options: Any) -> CountingDriver:
    """Return the device; the address is empty."""
    return CountingDriver(**options)
