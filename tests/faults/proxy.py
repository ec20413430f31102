"""A proxy between a device and a receiver that does harm by a seed, and writes down what.

It cuts the framed protocol into frames and harms DATA frames only, one at a time, with unharmed
ones in between, so that every deed can be found again by itself.
"""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

from brainforge.acquisition.framed import Frame, FrameReader, Kind, encode, read_data

#: what it can do to a frame
HARMS = ("drop", "duplicate", "reorder", "corrupt", "truncate", "cut", "tear", "stall")


@dataclass(frozen=True)
class Deed:
    """What was done to which samples (the device's counters, ``stop`` exclusive)."""

    harm: str
    start: int
    stop: int


class FaultProxy:
    """Listens on a port of its own and passes on what the device at ``address`` sends.

    Parameters
    ----------
    address : str
        ``tcp:HOST:PORT``.
    seed : int
    harms : sequence of str
        Which of `HARMS` to do.
    every : (int, int)
        Fewest and most unharmed DATA frames between two harmed ones.
    away_s : float
        How long nobody is let in after a cut.
    stall_s : float
    until : int | None
        Counter from which on nothing is harmed: that the last samples of all are missing, no
        counter behind them can show.

    Attributes
    ----------
    deeds : list of Deed
        In the order of the samples.
    """

    def __init__(
        self,
        address: str,
        seed: int,
        harms: Sequence[str] = HARMS,
        *,
        every: tuple[int, int] = (4, 12),
        away_s: float = 0.1,
        stall_s: float = 0.3,
        until: int | None = None,
    ) -> None:
        host, port = address.removeprefix("tcp:").rsplit(":", 1)
        self._device = (host, int(port))
        self._random, self._harms, self._every = random.Random(seed), tuple(harms), every
        self._away_s, self._stall_s, self._until = away_s, stall_s, until
        self.deeds: list[Deed] = []
        self._spared = self._random.randint(*every)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp:127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []
        self.failure: BaseException | None = None

    def __enter__(self) -> FaultProxy:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._shut(self._listener, *self._open)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        if self.failure is not None:
            raise self.failure

    def _start(self, work: object, *arguments: object) -> threading.Thread:
        def run() -> None:
            try:
                work(*arguments)  # type: ignore[operator]
            except OSError:
                return  # an end hung up, or we did
            except BaseException as error:
                self.failure = error

        thread = threading.Thread(target=run, daemon=True)
        self._threads.append(thread)
        thread.start()
        return thread

    @staticmethod
    def _shut(*sockets: socket.socket, how: int = socket.SHUT_RDWR) -> None:
        for one in sockets:
            try:
                one.shutdown(how)
            except OSError:
                continue  # not connected any more

    def _accept(self) -> None:
        while True:
            receiver, _ = self._listener.accept()
            device = socket.create_connection(self._device)
            for one in (receiver, device):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open |= {receiver, device}
            back = self._start(self._back, receiver, device)
            try:
                cut = self._forth(device, receiver)
                # the receiver reads all that has come before the cut, so that every deed is seen
                self._shut(receiver, how=socket.SHUT_WR)
                back.join()
            finally:
                self._open -= {device, receiver}
                device.close()
                receiver.close()
            if cut:
                time.sleep(self._away_s)

    def _back(self, receiver: socket.socket, device: socket.socket) -> None:
        try:
            while data := receiver.recv(4096):
                device.sendall(data)
        finally:
            self._shut(device)

    def _forth(self, device: socket.socket, receiver: socket.socket) -> bool:
        """Pass frames on until an end hangs up; return whether it was us who cut."""
        reader, held = FrameReader(), b""
        try:
            while data := device.recv(1 << 18):
                for frame in reader.feed(data):
                    harm = self._harm(frame) if not held else ""
                    raw = encode(Kind(frame.kind), frame.payload)
                    if harm == "reorder":
                        held = raw
                        continue
                    if not self._pass_on(receiver, raw, harm):
                        return True
                    if held and frame.kind == Kind.DATA:
                        receiver.sendall(held)
                        held = b""
        except OSError:
            pass  # it has hung up in the middle
        return False

    def _harm(self, frame: Frame) -> str:
        """Return what to do to a frame, and write it down."""
        if frame.kind != Kind.DATA:
            return ""
        if self._spared:
            self._spared -= 1
            return ""
        data = read_data(frame.payload)
        if self._until is not None and data.counter >= self._until:
            return ""
        self._spared = self._random.randint(*self._every)
        harm = self._random.choice(self._harms)
        self.deeds.append(Deed(harm, data.counter, data.counter + len(data.samples)))
        return harm

    def _pass_on(self, receiver: socket.socket, raw: bytes, harm: str) -> bool:
        """Send a frame, harmed; return False where the connection has been cut."""
        if harm == "drop":
            return True
        if harm == "duplicate":
            raw += raw
        elif harm == "corrupt":
            at = self._random.randrange(len(raw))
            raw = raw[:at] + bytes([raw[at] ^ self._random.randint(1, 255)]) + raw[at + 1 :]
        elif harm == "truncate":
            raw = raw[: self._random.randint(1, len(raw) - 1)]
        elif harm == "tear":
            receiver.sendall(raw[: self._random.randint(1, len(raw) - 1)])
        elif harm == "stall":
            time.sleep(self._stall_s)
        if harm in ("cut", "tear"):
            return False
        receiver.sendall(raw)
        return True
