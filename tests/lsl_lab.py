"""A lab on one machine: senders and clients of LSL, in processes of their own, not our code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

#: a sender made with plain pylsl: it counts its samples in channel 0, does what it reads, and ends
#: with its input
SENDER = """
import json, sys, threading, time
import numpy as np, pylsl

say = json.loads(sys.argv[1])
n, rate, chunk = say["channels"], say["rate"], say["chunk"]
info = pylsl.StreamInfo(say["name"], "MEG", n, rate, say["format"], say["source_id"])
channels = info.desc().append_child("channels")
for k, label in enumerate(say["labels"] or [f"MEG{k:04d}" for k in range(n)]):
    channel = channels.append_child("channel")
    channel.append_child_value("label", "COUNTER" if k == 0 and not say["labels"] else label)
    channel.append_child_value("type", "misc" if k == 0 else "MEG")
    channel.append_child_value("unit", "none" if k == 0 else say["unit"])
outlet = pylsl.StreamOutlet(info, 0, 60)
markers = pylsl.StreamOutlet(pylsl.StreamInfo(
    say["name"] + "-markers", "Markers", 1, 0, "string", say["source_id"]))
dtype = {"float32": "f4", "double64": "f8", "int32": "i4", "int16": "i2", "int8": "i1"}
noise = np.random.default_rng(7).standard_normal((chunk, n)) * 100
block = noise.astype(dtype[say["format"]])
skip, pause = 0, 0.0

def listen():
    global skip, pause
    for line in sys.stdin:
        what, value = line.split(maxsplit=1)
        if what == "skip":
            skip = int(value)
        elif what == "pause":
            pause = float(value)
        elif what == "mark":
            markers.push_sample([eval(value)], pylsl.local_clock())

threading.Thread(target=listen, daemon=True).start()
print(json.dumps({"ready": pylsl.local_clock()}), flush=True)
if say["wait"] and not outlet.wait_for_consumers(30):
    sys.exit("nobody came")
began = pylsl.local_clock()
first = say["first"]
k = first
while k - first < say["seconds"] * rate:
    due = began + (k + chunk - first) / rate
    time.sleep(max(0.0, due - pylsl.local_clock()))
    if pause:
        time.sleep(pause)
        pause = 0.0
    k += chunk
    if skip:
        skip -= chunk
        continue
    block[:, 0] = np.arange(k - chunk, k) % say["modulo"]
    outlet.push_chunk(block, due if say["stamped"] else float("nan"))
time.sleep(say["linger"])
"""


class Child:
    """A process that was started here."""

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def line(self) -> Any:
        """Return the next line that it says, as JSON."""
        assert self.process.stdout is not None
        text = self.process.stdout.readline()
        assert text, "it ended without a word"
        return json.loads(text)

    def tell(self, text: str) -> None:
        """Write a line to it."""
        assert self.process.stdin is not None
        self.process.stdin.write(text + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        """Kill it, as a crash would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def end(self) -> None:
        """Kill it where it still runs, and close what is open."""
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@contextmanager
def python(program: str, *arguments: str, prefix: Sequence[str] = ()) -> Iterator[Child]:
    """Run a program in another Python."""
    child = Child([*prefix, sys.executable, "-c", textwrap.dedent(program), *arguments])
    try:
        yield child
    finally:
        child.end()


@contextmanager
def sender(
    name: str, *, channels: int = 4, rate: float = 1000, chunk: int = 10, format: str = "float32",
    source_id: str | None = None, labels: Sequence[str] | None = None, unit: str = "fT",
    first: int = 0, modulo: int = 1 << 23, seconds: float = 60, linger: float = 0.5,
    wait: bool = False, stamped: bool = True, prefix: Sequence[str] = (),
) -> Iterator[Child]:  # fmt: skip
    """Run a sender; it is there when this yields."""
    say = {
        "name": name, "channels": channels, "rate": rate, "chunk": chunk, "format": format,
        "source_id": f"{name}-device" if source_id is None else source_id, "labels": labels,
        "unit": unit, "first": first, "modulo": modulo, "seconds": seconds, "linger": linger,
        "wait": wait, "stamped": stamped,
    }  # fmt: skip
    with python(SENDER, json.dumps(say), prefix=prefix) as child:
        child.line()
        yield child


def unique(name: str) -> str:
    """Return a name that no other test has."""
    return f"{name}-{uuid.uuid4().hex[:8]}"
