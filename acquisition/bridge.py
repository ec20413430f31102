"""Bridge: the sender's side of the framed live protocol, for vendors and their callbacks.

>>> bridge = Bridge(info, "tcp:127.0.0.1:5555", dtype="int32")
>>> amplifier.on_samples = lambda counts, first: bridge.send(counts, counter=first)

Then ``brainforge live --source tcp:127.0.0.1:5555``. Importing it takes in NumPy and little else; a
device's software in another language follows `docs/live-protocol.md`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.acquisition import framed
from brainforge.acquisition.bridge_buffer import Entry, SendBuffer
from brainforge.acquisition.bridge_server import BridgeServer
from brainforge.acquisition.framed_info import Hello, encode_hello
from brainforge.errors import InputError, OutputError
from brainforge.info import Info

#: longer packets are sent as several frames
FRAME_BYTES: Final = 1 << 20


class Bridge:
    """Sends samples to whoever connects; keeps the last seconds for those who come back.

    `send` never waits for the network: it copies the samples into a bounded buffer, and when
    nobody takes them in time the oldest go and are counted. Use it inside ``with``.

    Parameters
    ----------
    info : Info
        Channels with what one count means.
    address : str
        ``tcp:HOST:PORT`` (port 0 takes any) or ``unix:PATH``. Whoever reaches it can read the
        signals, so bind it to 127.0.0.1 or to a network of its own.
    dtype : str
        int16, int32, float32 or float64.
    keep_s : float
        Seconds kept for receivers that reconnect.
    counter_bits : int | None
        Width of the device's counter where it wraps.
    session : str | None
        The same text as before where the device's counter goes on when this program is started
        anew; None: it begins anew.
    clock : callable
        Seconds on the clock that ``stamp`` is read from.
    linger_s : float
        How long `close` waits for receivers that take nothing more, or were cut off just now.

    Attributes
    ----------
    address : str
        Where it listens, with the port that was taken.

    Raises
    ------
    InputError, OutputError
        An impossible stream or address; an address in use.
    """

    def __init__(
        self,
        info: Info,
        address: str,
        dtype: str = "int32",
        *,
        keep_s: float = 10.0,
        counter_bits: int | None = None,
        session: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        linger_s: float = 3.0,
    ) -> None:
        hello = Hello(info, np.dtype(dtype).name, counter_bits, session or uuid.uuid4().hex)
        self._info, self._dtype, self._clock = info, np.dtype(dtype), clock
        self._modulus = 1 << (counter_bits or 63)
        self._next = 0
        self._buffer = SendBuffer(max(round(keep_s * info.sfreq), 1), info.sfreq, counter_bits)
        self._server = BridgeServer(
            address, encode_hello(hello), self._buffer, clock, max(linger_s, 0.0)
        )
        self.address = self._server.address

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close("" if error is None else f"after {type(error).__name__}")

    @property
    def dropped(self) -> int:
        """Samples that left the buffer before any receiver had them."""
        return self._buffer.dropped

    @property
    def n_receivers(self) -> int:
        """How many receivers are being sent samples."""
        return self._server.n_receivers

    def send(
        self, samples: npt.NDArray[Any], counter: int | None = None, stamp: float | None = None
    ) -> None:
        """Send samples that follow each other. Returns at once; may be called by one thread.

        Parameters
        ----------
        samples : array, axes (sample, channel)
            Of the dtype announced; copied.
        counter : int | None
            The device's number of the first sample. None counts on from the last call; a jump
            is a gap, which the receiver records.
        stamp : float | None
            Seconds on ``clock`` at which the first sample was taken. None: the last one now.

        Raises
        ------
        InputError
            Another number of channels or dtype than announced, or a counter out of range.
        OutputError
            The thread that sends has failed.
        """
        self._check(samples, counter)
        sfreq = self._info.sfreq
        if stamp is None:
            stamp = self._clock() - (len(samples) - 1) / sfreq
        first = self._next if counter is None else counter
        step = max(FRAME_BYTES // max(samples.strides[0], samples[:1].nbytes, 1), 1)
        for at in range(0, len(samples), step):
            part = samples[at : at + step]
            number = (first + at) % self._modulus
            frame = framed.encode_data(framed.Data(number, stamp + at / sfreq, part))
            self._buffer.append(Entry(frame, number, len(part)))
        self._next = (first + len(samples)) % self._modulus
        self._server.ring()

    def marker(self, code: int, label: str = "", counter: int | None = None) -> None:
        """Send a trigger.

        Parameters
        ----------
        code : int
        label : str
        counter : int | None
            The device's number of the sample it belongs to; None: the next one sent.
        """
        number = self._next if counter is None else counter
        frame = framed.encode_marker(framed.MarkerData(number, code, label))
        self._buffer.append(Entry(frame, number, 0))
        self._server.ring()

    def close(self, reason: str = "") -> None:
        """Send what is left and BYE: receivers take it that nothing more will come.

        Waits until they have it, ``linger_s`` at most after the last sign of them.
        """
        self._server.stop(framed.encode_bye(reason))

    def _check(self, samples: npt.NDArray[Any], counter: int | None) -> None:
        if self._server.failure is not None:
            raise OutputError(f"{self.address}: {self._server.failure}") from self._server.failure
        if samples.ndim != 2 or samples.shape[1] != self._info.n_channels:
            raise InputError(
                where="samples", expected=f"samples x {self._info.n_channels} channels",
                got=f"shape {samples.shape}",
            )  # fmt: skip
        if samples.dtype != self._dtype:
            raise InputError(where="samples", expected=str(self._dtype), got=str(samples.dtype))
        if counter is not None and not 0 <= counter < self._modulus:
            raise InputError(
                where="counter", expected=f"0 to {self._modulus - 1}", got=str(counter)
            )
