"""The LSL driver keeps to what every live source has to; the sender is another process."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import pytest

from brainforge.acquisition.lsl import LslDriver, driver
from brainforge.testing.live_source_suite import LiveSourceSuite
from tests.lsl_lab import unique

#: plain pylsl: sends the samples that it reads, each chunk behind a line that describes it
RELAY = """
import json, sys
import numpy as np, pylsl

say = json.loads(sys.argv[1])
form = {"float32": "float32", "float64": "double64"}[say["dtype"]]
info = pylsl.StreamInfo(
    say["name"], "MEG", len(say["names"]), say["sfreq"], form, say["name"] + "-device")
channels = info.desc().append_child("channels")
for label in say["names"]:
    channel = channels.append_child("channel")
    channel.append_child_value("label", label)
    channel.append_child_value("type", "misc" if label == "COUNTER" else "mag")
    channel.append_child_value("unit", "T")
outlet = pylsl.StreamOutlet(info, 0, 60)
print("ready", flush=True)
while line := sys.stdin.buffer.readline():
    size, stamp = line.split()
    data = np.frombuffer(sys.stdin.buffer.read(int(size)), dtype=say["dtype"])
    outlet.push_chunk(data.reshape(-1, len(say["names"])), float(stamp))
"""


class Relay:
    """A sender in another process that sends what it is given."""

    def __init__(self, names: tuple[str, ...], sfreq: float) -> None:
        self._name, self._names, self._sfreq = unique("relay"), names, sfreq
        self._process: subprocess.Popen[bytes] | None = None
        self._began = time.monotonic()
        self.restart()

    def driver(self) -> LslDriver:
        return driver(self._name)

    def send(self, samples: Any, counter: int) -> None:
        if self._process is None:
            return
        assert self._process.stdin is not None
        body = np.ascontiguousarray(samples).tobytes()
        # by the device's clock, not by when the test comes to sending it
        stamp = self._began + (counter + len(samples)) / self._sfreq
        self._process.stdin.write(f"{len(body)} {stamp}\n".encode() + body)
        self._process.stdin.flush()

    def cut(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process = None

    def restart(self, names: tuple[str, ...] | None = None, dtype: str = "float32") -> None:
        say = {
            "name": self._name, "names": names or self._names, "sfreq": self._sfreq,
            "dtype": dtype,
        }  # fmt: skip
        self._process = subprocess.Popen(
            [sys.executable, "-c", RELAY, json.dumps(say)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == b"ready\n"


class _Lsl(LiveSourceSuite):
    #: a stream is looked for, described and its clock measured anew
    reconnect_s = 5.0

    @contextmanager
    def device(self) -> Iterator[Relay]:
        relay = Relay(self.names, self.sfreq)
        try:
            yield relay
        finally:
            relay.cut()


class TestLslWithCounter(_Lsl):
    """Exact: the device writes its counter into a channel."""

    options: ClassVar[dict[str, Any]] = {"counter_channel": "COUNTER"}

    @pytest.mark.slow
    def test_other_channels_are_refused(self) -> None:
        """As everywhere, four times."""
        super().test_other_channels_are_refused()


@pytest.mark.slow
class TestLslByStamps(_Lsl):
    """Estimated: nothing but time stamps tells what is missing."""

    exact = False
