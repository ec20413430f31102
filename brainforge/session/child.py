"""Child: one process of a session, started again when it dies or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brainforge.errors import BrainForgeError

#: exit codes after which a process is not started again: done, refused, done in part
FINAL = (0, 2, 3)
#: so many deaths within so many seconds and the session gives up
MOST_DEATHS, WITHIN_S = 5, 60.0
#: kernels bring their own threads; those of BLAS beside them would spin while they wait
ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"), "1")


@dataclass(frozen=True)
class Death:
    """A process that ended without having been asked to."""

    name: str
    code: int
    at: float
    why: str


class Child:
    """A process under supervision.

    Parameters
    ----------
    name : str
    command : callable
        Gives the arguments behind ``python`` for the n-th start, n = 0, 1, ...
    log : Path
        Takes what the process says on standard output and error.
    beat : callable
        Gives `time.monotonic` of the last sign of life, None before the first.
    patience : float
        Seconds without a sign of life after which it counts as hung.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        log: Path,
        beat: Callable[[], float | None],
        patience: float,
    ) -> None:
        self.name, self._command, self._log = name, command, log
        self._beat, self._patience = beat, patience
        self._process: subprocess.Popen[bytes] | None = None
        self._deaths: deque[Death] = deque(maxlen=MOST_DEATHS)
        self._started = 0.0
        self.starts, self._asked = 0, False
        #: the exit code once it has ended for good
        self.code: int | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self._process.pid if self._process is not None and self.code is None else None

    @property
    def running(self) -> bool:
        """Whether it has been started and has not ended for good."""
        return self._process is not None and self.code is None

    def start(self) -> None:
        """Start the process (again)."""
        command = [sys.executable, *self._command(self.starts)]
        with open(self._log, "ab") as log, _held_back(signal.SIGTERM):
            # a session of its own: Ctrl-C is for the supervisor alone
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **ONE_THREAD},
            )  # fmt: skip
        self.starts += 1
        self._started = time.monotonic()
        if self._asked:
            self.terminate()

    def poll(self) -> Death | None:
        """Look after the process; return its death where it has just died and was restarted.

        Raises
        ------
        BrainForgeError
            It dies again and again.
        """
        if self._process is None or self.code is not None:
            return None
        code = self._process.poll()
        if code is None:
            return self._hung()
        if code in FINAL:
            self.code = code
            return None
        return self._again(code, _cause(code))

    def _hung(self) -> Death | None:
        beat = self._beat()
        silent = time.monotonic() - max(beat or 0.0, self._started)
        # a process that has just begun has the time that it needs to import and compile
        if beat is None or beat < self._started or silent < self._patience:
            return None
        assert self._process is not None
        self._process.kill()
        return self._again(self._process.wait(), f"gave no sign of life for {silent:.1f} s")

    def _again(self, code: int, why: str) -> Death:
        now = time.monotonic()
        death = Death(self.name, code, now, why)
        often = len(self._deaths) == MOST_DEATHS and now - self._deaths[0].at < WITHIN_S
        self._deaths.append(death)
        if often:
            self.code = code
            raise BrainForgeError(
                f"the {self.name}'s process {why}, {MOST_DEATHS + 1} times within "
                f"{WITHIN_S:.0f} s; it last said: {self.last_words()}"
            )
        self.start()
        return death

    def terminate(self) -> None:
        """Ask it to finish, and whoever takes over should it die before it has."""
        self._asked = True
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process is not None and self.code is None:
            self.code = self._process.returncode

    def last_words(self) -> str:
        """Return the last line that it has said, or an empty text."""
        try:
            size = os.path.getsize(self._log)
            with open(self._log, "rb") as log:
                log.seek(max(size - 4096, 0))
                lines = log.read().decode(errors="replace").strip().splitlines()
        except OSError:
            return ""
        return lines[-1] if lines else ""


@contextmanager
def _held_back(number: signal.Signals) -> Iterator[None]:
    """Let a process that is started meanwhile hear a signal only when it is ready for it.

    Until it has set up what is to be done, the signal would end it on the spot.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {number})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def hear(number: signal.Signals) -> None:
    """Let a signal through that was held back while this process was started."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})


def _cause(code: int) -> str:
    if code >= 0:
        return f"ended with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
