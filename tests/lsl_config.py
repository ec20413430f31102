"""LSL for the tests of a process and its children: loopback, ports of their own, its own session.

Set before any test runs: liblsl reads its configuration once, at its first use.
"""

from __future__ import annotations

import os
import socket
import tempfile
import uuid
from pathlib import Path

#: ports in a row: each outlet takes two
PORTS = 48


def _free_ports() -> int:
    """Return the first of `PORTS` ports that nobody uses; another run looks elsewhere."""
    start = 20_000 + os.getpid() * 64 % 12_000
    for base in range(start, start + 12_000, PORTS):
        taken = []
        try:
            for port in range(base, base + PORTS):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    taken.append(socket.socket(socket.AF_INET, kind))
                    taken[-1].bind(("127.0.0.1", port))
            return base
        except OSError:
            continue
        finally:
            for one in taken:
                one.close()
    raise OSError("no ports for LSL")


def _configuration() -> str:
    base = _free_ports()
    return "\n".join([
        "[ports]", f"MulticastPort = {base}", f"BasePort = {base + 1}",
        f"PortRange = {PORTS - 1}", "IPv6 = disable",
        "[multicast]", "ResolveScope = machine",
        "[lab]", "KnownPeers = {127.0.0.1}", f"SessionID = test-{uuid.uuid4().hex}",
        "[log]", "level = -3", "",
    ])  # fmt: skip


_FOLDER = tempfile.TemporaryDirectory(prefix="brainforge-lsl-")
_FILE = Path(_FOLDER.name) / "lsl_api.cfg"
_FILE.write_text(_configuration(), encoding="ascii")
os.environ["LSLAPICFG"] = str(_FILE)


def pytest_unconfigure() -> None:
    _FOLDER.cleanup()
