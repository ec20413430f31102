"""A minute of 306 channels at 20 times its speed, read by somebody who dozes off."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest

from brainforge.acquisition.fieldtrip.driver import driver
from brainforge.acquisition.live_source import LiveSource, Piece, Position
from brainforge.acquisition.notice import Notice, What
from tests.acquisition.fieldtrip.conftest import server_process

N_CHANNELS, SFREQ, SECONDS, SPEED, BLOCK = 306, 1000, 60, 20, 50

#: writes the number of every sample into channel 0
WRITE = f"""
import sys, time
import numpy as np
from brainforge.acquisition.fieldtrip.client import Client
block = np.full(({BLOCK}, {N_CHANNELS}), 1e-12, dtype=np.float32)
names = ["count"] + [f"MEG{{i:03d}}1" for i in range({N_CHANNELS - 1})]
with Client(sys.argv[1], int(sys.argv[2])) as client:
    client.put_header({N_CHANNELS}, {SFREQ}, "float32", names)
    print("ready", flush=True)
    sys.stdin.readline()
    began = time.monotonic()
    for first in range(0, {SECONDS * SFREQ}, {BLOCK}):
        early = began + first / {SFREQ * SPEED} - time.monotonic()
        if early > 0:
            time.sleep(early)
        block[:, 0] = np.arange(first, first + {BLOCK})
        block[:, 1:] = 1e-12 * np.sin(block[:, :1])
        client.put_data(block)
    print("done", flush=True)
    sys.stdin.readline()
"""


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
def test_ledger_is_exact(seed: int) -> None:
    print("seed", seed)
    rng = np.random.default_rng(seed)
    total = SECONDS * SFREQ
    with server_process("--port", "0", "--seconds", "8") as (_, host, port):
        command = [sys.executable, "-c", WRITE, host, str(port)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as writer:
            assert writer.stdin is not None
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
            # from its first sample on
            source = LiveSource(driver(f"{host}:{port}"), position=Position(0, 0))
            stored, lost, at = 0, 0, 0
            with source:
                writer.stdin.write("go\n")
                writer.stdin.flush()
                for item in source.stream():
                    if isinstance(item, Notice):
                        assert (item.what, item.exact, item.start) == (What.GAP, True, at)
                        lost += item.stop - item.start
                        at = item.stop
                        continue
                    assert isinstance(item, Piece)
                    data = item.block.data
                    assert item.block.start == item.counter == at
                    at = item.block.stop
                    stored += data.shape[1]
                    assert np.array_equal(data[0], np.arange(item.block.start, at))
                    assert np.array_equal(data[1], data[-1])
                    if at == total:
                        source.stop()
                    elif rng.random() < 0.005:
                        time.sleep(float(rng.uniform(0.0, 0.8)))
            assert stored + lost == at == total
            print("stored", stored, "lost", lost)
            writer.stdin.close()
