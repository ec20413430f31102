"""A device in a process of its own: a phantom's signals, 50 ms at a time, over one transport.

``python -m benchmarks.live_device TRANSPORT [--streams 1] [--channels 306] [--seconds 600]``
prints one line of JSON with the addresses and the time at which it begins, and sends from then on.
The last channel, COUNTER, holds the sample's number, so that whoever stores the samples can be held
to every one of them. Sample k is taken ``(k + 1) / SFREQ`` seconds after the beginning on the clock
that all processes of a machine share, and the i-th stream is ``i / n * 50 ms`` later.
"""

from __future__ import annotations

import argparse
import json
import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.datasets import Phantom
from brainforge.info import Channel, Info

SFREQ, BLOCK = 1000.0, 50
#: seconds of phantom that are played again and again
LOOP_S = 30.0
COUNTER = "COUNTER"
Send = Callable[[npt.NDArray[Any], int], None]


def material(n_channels: int, seed: int) -> tuple[Info, npt.NDArray[np.int32]]:
    """Return Info and counts, axes (sample, channel); the last channel is the counter."""
    phantom = Phantom(n_channels=n_channels, duration=LOOP_S, seed=seed, bad_channels=(), gaps=())
    with phantom.source(round(LOOP_S * SFREQ)) as source:
        counts = np.concatenate([block.data for block in source], axis=1)
    info = phantom.info
    info = replace(info, channels=(*info.channels, Channel(COUNTER, "misc", cal=1.0)))
    whole = np.zeros((counts.shape[1], info.n_channels), np.int32)
    whole[:, :-1] = counts.T
    return info, whole


def tcp(info: Info, stack: ExitStack, index: int) -> tuple[str, Send]:
    """Serve the framed protocol with the product's bridge, as a vendor would."""
    from brainforge.acquisition.bridge import Bridge

    bridge = stack.enter_context(Bridge(info, "tcp:127.0.0.1:0", dtype="int32"))
    return bridge.address, lambda counts, first: bridge.send(counts, counter=first)


def lsl(info: Info, stack: ExitStack, index: int) -> tuple[str, Send]:
    """Offer an outlet of plain pylsl, in tesla's own counts: femtotesla as float32."""
    import pylsl

    name = f"BrainForgeBench{index}-{time.time_ns() % 10**9}"
    stream = pylsl.StreamInfo(name, "MEG", info.n_channels, SFREQ, "float32", name)
    channels = stream.desc().append_child("channels")
    for channel in info.channels:
        node = channels.append_child("channel")
        node.append_child_value("label", channel.name)
        node.append_child_value("unit", "fT" if channel.kind == "mag" else "none")
        node.append_child_value("type", "MEG" if channel.kind == "mag" else "MISC")
    outlet = pylsl.StreamOutlet(stream, chunk_size=BLOCK)
    cal = np.array([c.cal * 1e15 if c.kind == "mag" else 1.0 for c in info.channels], np.float32)

    def send(counts: npt.NDArray[Any], first: int) -> None:
        # the counter stays exact in float32 up to 16.7 million samples, four and a half hours
        outlet.push_chunk(np.ascontiguousarray(counts * cal, dtype=np.float32))

    return f"lsl:{name}", send


def fieldtrip(info: Info, stack: ExitStack, index: int) -> tuple[str, Send]:
    """Put into a FieldTrip buffer that runs in a process of its own; bytes written by hand."""
    import subprocess
    import sys

    server = subprocess.Popen(
        [sys.executable, "-m", "brainforge.acquisition.fieldtrip.server", "--port", "0"],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    stack.callback(server.wait)
    stack.callback(server.terminate)
    assert server.stdout is not None
    port = int(server.stdout.readline().rstrip().rsplit(":", 1)[-1].split()[0])
    link = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def put(command: int, body: bytes) -> None:
        link.sendall(struct.pack("<HHI", 1, command, len(body)) + body)
        reply = b""
        while len(reply) < 8:
            reply += link.recv(8 - len(reply))
        if struct.unpack("<HHI", reply)[1] != 0x0104:
            raise ConnectionError(f"the buffer answered {reply!r}")

    # all that the protocol says of a channel is its name, so magnetometers have those of MEGIN
    names = b"".join(b"MEG%03d1\0" % i for i in range(info.n_channels - 1))
    names += COUNTER.encode() + b"\0"
    chunk = struct.pack("<II", 1, len(names)) + names
    put(0x0101, struct.pack("<IIIfII", info.n_channels, 0, 0, SFREQ, 9, len(chunk)) + chunk)
    cal = np.array([c.cal if c.kind == "mag" else 1.0 for c in info.channels], np.float32)

    def send(counts: npt.NDArray[Any], first: int) -> None:
        data = np.ascontiguousarray(counts * cal, dtype="<f4").tobytes()
        put(0x0102, struct.pack("<IIII", info.n_channels, len(counts), 9, len(data)) + data)

    return f"fieldtrip:127.0.0.1:{port}", send


TRANSPORTS = {"tcp": tcp, "lsl": lsl, "fieldtrip": fieldtrip}


def play(sends: list[Send], counts: npt.NDArray[np.int32], n_blocks: int, begun: float) -> None:
    """Send block after block to all streams, each in its own part of the 50 ms."""
    step = BLOCK / SFREQ / len(sends)
    n_loop = len(counts)
    for block in range(n_blocks):
        first = block * BLOCK
        piece = counts[first % n_loop : first % n_loop + BLOCK].copy()
        piece[:, -1] = np.arange(first, first + BLOCK)
        for i, send in enumerate(sends):
            due = begun + (block + 1) * BLOCK / SFREQ + i * step
            wait = due - time.monotonic()
            if wait > 0:
                time.sleep(wait)
            send(piece, first)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_device", description=__doc__)
    parser.add_argument("transport", choices=TRANSPORTS)
    parser.add_argument("--streams", type=int, default=1)
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args(argv)
    info, counts = material(options.channels, options.seed)
    with ExitStack() as stack:
        made = [TRANSPORTS[options.transport](info, stack, i) for i in range(options.streams)]
        begun = time.monotonic()
        addresses = [address for address, _ in made]
        print(json.dumps({"addresses": addresses, "begun": begun}), flush=True)
        play([send for _, send in made], counts, round(options.seconds * SFREQ / BLOCK), begun)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
