"""Drivers without a transport: one that plays a script on a clock of its own, one fed by a test."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from brainforge.acquisition.driver import ConnectionLost, Ended, Packet
from brainforge.info import Channel, Info

SFREQ = 1000.0


def make_info(names: Iterable[str] = ("M0", "M1", "COUNTER"), sfreq: float = SFREQ) -> Info:
    kinds = {"COUNTER": "misc"}
    return Info(sfreq, tuple(Channel(name, kinds.get(name, "mag")) for name in names))


class Cut:
    """In a script: the connection breaks and nobody answers for so many seconds."""

    def __init__(self, seconds: float = 0.0, info: Info | None = None) -> None:
        self.seconds, self.info = seconds, info


class Quiet:
    """In a script: nothing comes for so many seconds."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds


class ScriptedDriver:
    """Plays packets at their arrival, cuts and silence; time is its own (`monotonic`)."""

    name = "scripted"
    counter_bits: int | None = None

    def __init__(self, script: Iterable[Packet | Cut | Quiet], info: Info | None = None) -> None:
        self.script, self.info = list(script), info or make_info()
        self.now = 0.0
        self.down_until = 0.0
        self.opened: list[int | None] = []
        self.closed = self.woken = 0

    def monotonic(self) -> float:
        return self.now

    def open(self, resume: int | None) -> Info:
        if self.now < self.down_until:
            # an attempt takes a moment
            self.now += 1.0
            raise ConnectionLost("nobody answers")
        self.opened.append(resume)
        return self.info

    def receive(self, timeout: float) -> list[Packet]:
        assert timeout >= 0.0
        if not self.script:
            raise Ended("the script is over")
        step = self.script[0]
        if isinstance(step, Quiet):
            self.script[0] = Packet(np.empty((0, self.info.n_channels)), self.now + step.seconds)
            return self.receive(timeout)
        if isinstance(step, Cut):
            self.script.pop(0)
            self.down_until = self.now + step.seconds
            self.info = step.info or self.info
            raise ConnectionLost("the cable was pulled")
        if step.arrival > self.now + timeout:
            self.now += max(timeout, 1e-4)
            return []
        self.now = max(self.now, step.arrival)
        return [self.script.pop(0)]  # type: ignore[list-item]

    def close(self) -> None:
        self.closed += 1

    def wake(self) -> None:
        self.woken += 1


class MemoryDevice:
    """A device that a test feeds; its driver takes from a queue."""

    def __init__(self, names: tuple[str, ...], counters: bool = True, stamps: bool = True) -> None:
        self.names, self.counters, self.stamps = names, counters, stamps
        self.packets: queue.Queue[Packet | None] = queue.Queue()
        self.up = True
        self.generation = 0

    def driver(self) -> MemoryDriver:
        return MemoryDriver(self)

    def send(self, samples: np.ndarray, counter: int) -> None:
        if not self.up:
            return
        now, n = time.monotonic(), len(samples)
        packet = Packet(samples.copy(), now)
        if self.counters:
            packet = replace(packet, counters=np.arange(counter, counter + n))
        if self.stamps:
            packet = replace(packet, stamps=now + (np.arange(n) - (n - 1)) / SFREQ)
        self.packets.put(packet)

    def cut(self) -> None:
        self.up = False
        self.generation += 1
        self.packets.put(None)

    def restart(self, names: tuple[str, ...] | None = None, dtype: str = "float32") -> None:
        self.names = names or self.names
        self.packets = queue.Queue()
        self.up = True


class MemoryDriver:
    name = "memory"
    counter_bits: int | None = None

    def __init__(self, device: MemoryDevice) -> None:
        self.device = device
        self._generation = -1
        self._woken = threading.Event()

    def open(self, resume: int | None) -> Info:
        if not self.device.up:
            raise ConnectionLost("nobody answers")
        self._generation = self.device.generation
        return make_info(self.device.names)

    def receive(self, timeout: float) -> list[Packet]:
        if self._generation != self.device.generation:
            raise ConnectionLost("the sender is gone")
        until = time.monotonic() + timeout
        while not self._woken.is_set():
            try:
                wait = max(min(until - time.monotonic(), 0.01), 0.0)
                packet = self.device.packets.get(timeout=wait)
            except queue.Empty:
                if time.monotonic() >= until:
                    return []
                continue
            if packet is None:
                raise ConnectionLost("the sender is gone")
            return [packet]
        return []

    def close(self) -> None:
        self._generation = -1

    def wake(self) -> None:
        self._woken.set()
