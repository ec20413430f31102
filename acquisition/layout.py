"""Layout: what must not change while a stream is recorded."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.acquisition.driver import Packet
from brainforge.errors import InputError
from brainforge.info import Info


class Layout:
    """Channels, rate, calibration and type of a stream, as they were at first.

    Parameters
    ----------
    name : str
        Of the source, for messages.
    info : Info
    """

    def __init__(self, name: str, info: Info) -> None:
        self._name, self.info = name, info
        self._dtype: np.dtype[Any] | None = None

    def check_info(self, info: Info) -> None:
        """Raise InputError where the stream is another one now."""
        changed = _difference(self.info, info)
        if changed is not None:
            raise self._refusal(*changed)

    def check(self, packet: Packet) -> None:
        """Raise InputError where samples do not have the stream's channels and type."""
        data = packet.data
        if self._dtype is None:
            self._dtype = data.dtype
        fits = data.ndim == 2 and data.shape[1] == self.info.n_channels
        if not fits or data.dtype != self._dtype:
            raise self._refusal(
                f"{self.info.n_channels} channels of {self._dtype}",
                f"{data.shape[-1]} channels of {data.dtype}",
            )

    def _refusal(self, expected: str, got: str) -> InputError:
        return InputError(
            where=self._name, expected=expected, got=got,
            fix="the stream has changed: record it as a recording of its own",
        )  # fmt: skip


def _difference(before: Info, now: Info) -> tuple[str, str] | None:
    """Return what it was and what it is, in words; None where nothing that matters changed."""
    if before.sfreq != now.sfreq:
        return f"{before.sfreq:g} Hz", f"{now.sfreq:g} Hz"
    if before.n_channels != now.n_channels:
        return f"{before.n_channels} channels", f"{now.n_channels} channels"
    for i, (old, new) in enumerate(zip(before.channels, now.channels, strict=True)):
        if old.name != new.name:
            return f"channel {i} to be {old.name}", new.name
        if (old.kind, old.cal, old.offset) != (new.kind, new.cal, new.offset):
            was, is_now = (f"{c.kind} times {c.cal:g} plus {c.offset:g}" for c in (old, new))
            return f"{old.name} to be {was}", is_now
    return None
