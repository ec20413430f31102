"""A simulated device: its own process, the framed protocol, the sample index in one channel.

``python -m tests.faults.device --seconds 10`` prints one line of JSON with its address, waits for
a receiver, sends, says BYE and prints how many samples it took. Its noise is made once, from a
seed, and played round and round.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.bridge import Bridge
from brainforge.info import Channel, Info

#: name of the channel that holds the sample's index
INDEX = "INDEX"
NOISE_S = 10.0
ROOT = Path(__file__).resolve().parents[2]


def device_info(n_channels: int, sfreq: float) -> Info:
    """Return the Info of the device: magnetometers of 1 fT a count, the last channel the index."""
    channels = [Channel(f"MEG{i:04d}", "mag", cal=1e-15) for i in range(n_channels - 1)]
    return Info(sfreq, (*channels, Channel(INDEX, "misc")), line_freq=50.0, device="simulated")


def noise(n_channels: int, sfreq: float, dtype: str, seed: int) -> npt.NDArray[Any]:
    """Return seconds of noise of some hundred counts, axes (sample, channel)."""
    shape = (round(NOISE_S * sfreq), n_channels)
    values = np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) * 300
    return values.astype(dtype)


def samples(
    base: npt.NDArray[Any], first: int, n: int, modulus: int | None = None
) -> npt.NDArray[Any]:
    """Return samples [first, first + n) of the device, axes (sample, channel)."""
    at = first % len(base)
    data = base[at : at + n] if at + n <= len(base) else np.roll(base, -at, axis=0)[:n]
    data = data.copy()
    index = np.arange(first, first + n)
    data[:, -1] = index if modulus is None else index % modulus
    return data


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--address", default="tcp:127.0.0.1:0")
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--sfreq", type=float, default=1000.0)
    parser.add_argument("--dtype", default="int32")
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--packet", type=int, default=50, help="samples of a packet")
    parser.add_argument("--speed", type=float, default=1.0, help="0: as fast as it is taken")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=float, default=10.0, help="seconds kept for a reconnection")
    parser.add_argument("--bits", type=int, help="width of the counter")
    parser.add_argument("--first", type=int, default=0, help="counter of the first sample")
    parser.add_argument("--ppm", type=float, default=0.0, help="by how much its clock is fast")
    parser.add_argument("--offset", type=float, default=0.0, help="seconds its clock is ahead")
    parser.add_argument("--no-wait", action="store_true", help="send though nobody listens")
    return parser.parse_args()


class Device:
    """Sends what the arguments say through a `Bridge`."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._began = time.monotonic()
        self._base = noise(options.channels, options.sfreq, options.dtype, options.seed)
        self._bridge = Bridge(
            device_info(options.channels, options.sfreq), options.address, options.dtype,
            keep_s=options.keep, counter_bits=options.bits, clock=self._clock,
            linger_s=10.0,
        )  # fmt: skip

    def _clock(self) -> float:
        passed = time.monotonic() - self._began
        return self._began + self._options.offset + passed * (1 + 1e-6 * self._options.ppm)

    def run(self) -> None:
        """Send everything."""
        options, bridge = self._options, self._bridge
        print(json.dumps({"address": bridge.address}), flush=True)
        while not options.no_wait and not bridge.n_receivers:
            time.sleep(0.001)
        total = round(options.seconds * options.sfreq)
        modulus = None if options.bits is None else 1 << options.bits
        began = self._clock()
        with bridge:
            for at in range(0, total, options.packet):
                n = min(options.packet, total - at)
                stamp = self._pace(began, at, n)
                counter = at + options.first
                data = samples(self._base, counter, n, modulus)
                bridge.send(data, counter if modulus is None else counter % modulus, stamp)
        print(json.dumps({"taken": total, "dropped": bridge.dropped}), flush=True)

    def _pace(self, began: float, at: int, n: int) -> float:
        """Wait until the last of the samples is taken; return when the first one was."""
        options = self._options
        if options.speed == 1.0:
            due = began + (at + n) / options.sfreq
            time.sleep(max(due - self._clock(), 0.0))
            return began + (at + 1) / options.sfreq
        if options.speed:
            time.sleep(n / options.sfreq / options.speed)
        elif at % (20 * options.packet) == 0:
            time.sleep(0.002)  # long enough for a receiver to keep up
        return float("nan")  # at another pace than its own it has no time


@contextmanager
def running(*arguments: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run a device in a process of its own; gives its address and the process."""
    command = [sys.executable, "-m", "tests.faults.device", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            assert process.stdout is not None
            yield json.loads(process.stdout.readline())["address"], process
        finally:
            process.kill()


if __name__ == "__main__":
    Device(_arguments()).run()
