"""Recorders on the counting device, forked one after another from a process that is ready.

As a program it reads commands on its standard input and forks; as a module it is the other end.
A fork saves each of hundreds of recorders the second that imports take.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.faults.system_calls import require_strace

ROOT = Path(__file__).resolve().parents[2]
#: of each recording a few shards are sealed
SHARD_SAMPLES = 300
#: how long a recorder may take with a tracer at its side
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Order:
    """What a recorder is to do.

    Parameters
    ----------
    out : str
        The archive.
    resume : bool
    options : dict
        Of the device.
    acks : str
        File that is told, before anyone else, how many samples are committed; empty for none.
    recording_id : str
    """

    out: str
    resume: bool = False
    options: dict[str, Any] = field(default_factory=dict)
    acks: str = ""
    recording_id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def remove_ring(self) -> None:
        """Remove what a recorder that died in the middle leaves in memory."""
        Path(f"/dev/shm/brainforge-{self.recording_id}.ring").unlink(missing_ok=True)


def _serve() -> None:
    """Fork a recorder for every line, hold it until told to go, and say how it ended."""
    # what a recorder imports when it ends too, so that its calls are those of its work
    import numcodecs.blosc  # noqa: F401
    import zarr.codecs  # noqa: F401

    from brainforge.acquisition.recorder import process  # noqa: F401
    from brainforge.archive import metadata, writer  # noqa: F401
    from tests.faults import counting_driver  # noqa: F401

    for line in sys.stdin:
        order = Order(**json.loads(line))
        reads, writes = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(writes)
            spec = _prepare(order)
            told = os.read(reads, 1)
            os.close(reads)
            os._exit(_record(spec) if told else 1)
        os.close(reads)
        print(child, flush=True)
        assert sys.stdin.readline() == "go\n"
        os.write(writes, b"x")
        os.close(writes)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _open_source(text: str, *, block_s: float, position: Any, info: Any, **options: Any) -> Any:
    from brainforge.acquisition.live_source import LiveSource
    from tests.faults.counting_driver import CountingDriver

    del options["counter_channel"]
    device = CountingDriver(**options)
    return LiveSource(device, block_s=block_s, position=position, info=info)


def _prepare(order: Order) -> Path:
    """Write down what a recorder is to do, and let its words go to a file; return the spec's."""
    from brainforge.acquisition.recorder.spec import Spec

    out = Path(order.out)
    spec = Spec(
        source="counting:", out=order.out, resume=order.resume, options=order.options,
        recording_id=order.recording_id,
    )  # fmt: skip
    path = out.with_suffix(".spec")
    path.write_text(spec.to_json())
    if order.acks:
        _tell_acks(order.acks)
    with open(out.with_suffix(".log"), "ab") as said:
        os.dup2(said.fileno(), 1)
        os.dup2(said.fileno(), 2)
    return path


def _record(spec: Path) -> int:
    from brainforge.acquisition.recorder.process import main

    try:
        return main([str(spec)], open_source=_open_source, shard_samples=SHARD_SAMPLES)
    except BaseException as error:
        print(repr(error), flush=True)
        return 1


def _tell_acks(path: str) -> None:
    """Write down what is about to be acknowledged: the tracer sees that among the other calls."""
    from brainforge.acquisition.ring import Ring

    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    plain = Ring.committed
    assert plain.fset is not None
    store = plain.fset

    def tell(ring: Ring, value: int) -> None:
        os.write(file, b"ACK %d\n" % value)
        store(ring, value)

    Ring.committed = plain.setter(tell)  # type: ignore[assignment, method-assign]


class Recorders:
    """The server's other end; use it in ``with``.

    Attributes
    ----------
    child : int
        Process of the recorder that runs or ran last.
    """

    child = 0

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.recorder_server"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        self._server.stdin.close()
        self._server.stdout.close()
        self._server.wait(PATIENCE_S)

    def _say(self, text: str) -> None:
        assert self._server.stdin is not None
        self._server.stdin.write(text + "\n")
        self._server.stdin.flush()

    def _hear(self) -> int:
        assert self._server.stdout is not None
        return int(self._server.stdout.readline())

    def run(self, order: Order, strace: Sequence[str] = ()) -> int:
        """Run a recorder to its end and return its exit status, negative for a signal.

        Parameters
        ----------
        order : Order
        strace : sequence of str
            Options of strace, which then watches it from its first step on; none for no strace.
            ``{pid}`` in them stands for the recorder's process.
        """
        self._say(json.dumps(asdict(order)))
        self.child = self._hear()
        if not strace:
            self._say("go")
            return self._hear()
        options = [option.replace("{pid}", str(self.child)) for option in strace]
        with attached(self.child, options):
            self._say("go")
            return self._hear()


@contextmanager
def attached(pid: int, options: Sequence[str]) -> Iterator[None]:
    """Watch a process with strace until it ends."""
    command = [require_strace(), "-f", *options, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as tracer:
        deadline = time.monotonic() + PATIENCE_S
        assert tracer.stderr is not None
        line = tracer.stderr.readline()
        assert "attached" in line, f"{line}{tracer.stderr.read() if not line else ''}"
        yield
        tracer.wait(max(deadline - time.monotonic(), 1.0))


if __name__ == "__main__":
    _serve()
