"""Outlets of Lab Streaming Layer: cleaned signals, features and markers for the lab's own tools.

Time stamps are those of the samples themselves, on LSL's clock, so that what is recorded from here
lines up with what is recorded from the device. An outlet costs next to nothing while nobody
listens. liblsl listens on all interfaces of the machine: whoever reaches it can read along.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.lsl_info import LOC
from brainforge.acquisition.lsl_library import OURS, clock_offset, library
from brainforge.acquisition.notice import Notice
from brainforge.info import Channel, Info
from brainforge.units import working_unit

#: seconds that are kept for a client which is held up; then its oldest samples are dropped
KEPT_S: Final = 30
#: names of kinds in streams, as MNE has them
TYPES: Final = {"ref_mag": "ref_meg", "ref_grad": "ref_meg"}


class _Outlet:
    """One outlet: what the three have in common. Use it inside ``with`` or close it."""

    def __init__(
        self, name: str, kind: str, rate: float, form: str, rows: Sequence[Mapping[str, Any]],
        about: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._pylsl = pylsl = library()
        # the same after a restart: that is how clients find it again
        source_id = f"{OURS}{socket.gethostname()}:{name}"
        info = pylsl.StreamInfo(name, kind, len(rows), rate, form, source_id)
        desc = info.desc()
        desc.append_child_value("manufacturer", "Brain-Forge")
        _append(desc, "brainforge", about)
        channels = desc.append_child("channels")
        for row in rows:
            _append(channels, "channel", row)
        self.name = name
        self._theirs = -clock_offset(pylsl)
        self._outlet: Any = pylsl.StreamOutlet(info, 0, KEPT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return self._outlet is not None and bool(self._outlet.have_consumers())

    def close(self) -> None:
        """End the stream; clients see their connection end. Again does no harm."""
        self._outlet = None


class SignalOutlet(_Outlet):
    """A stream of signals.

    Parameters
    ----------
    name : str
    info : Info
        Of the signals: rate, and channels with names, kinds and places.
    units : sequence of str | None
        Of every channel; None for the pipeline's working units (fT, fT/cm, uV).
    about : mapping
        What was done to them, in words and numbers: filter, delay, operator. Into the XML.
    """

    def __init__(
        self, name: str, info: Info, *, units: Sequence[str] | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        said = units or [working_unit(c.kind) for c in info.channels]
        rows = [_row(c, unit) for c, unit in zip(info.channels, said, strict=True)]
        super().__init__(name, "MEG", info.sfreq, "float32", rows, about or {})

    def push(self, data: npt.NDArray[Any], stamp: float) -> None:
        """Send samples.

        Parameters
        ----------
        data : array, axes (channel, sample)
        stamp : float
            `time.monotonic` at which the last of them was taken; those before it follow at the
            nominal rate.
        """
        if data.shape[1] and self.heard:
            chunk = np.ascontiguousarray(data.T, dtype=np.float32)
            self._outlet.push_chunk(chunk, stamp + self._theirs)


class FeatureOutlet(_Outlet):
    """A stream of features, such as band powers or a neurofeedback value, at no fixed rate.

    A last channel ``age`` says how many seconds had passed since the newest sample that went into
    the features was taken, when they were sent.

    Parameters
    ----------
    name : str
    names, units : sequence of str
        Of the features.
    about : mapping
        How they were made, into the XML.
    """

    def __init__(
        self, name: str, names: Sequence[str], units: Sequence[str],
        *, about: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        rows = [{"label": n, "unit": _plain(u)} for n, u in zip(names, units, strict=True)]
        rows.append({"label": "age", "unit": "s"})
        super().__init__(name, "Features", 0.0, "float32", rows, about or {})
        self._row = np.empty((1, len(rows)), np.float32)

    def push(self, values: npt.ArrayLike, stamp: float) -> None:
        """Send one set of features.

        Parameters
        ----------
        values : array, axes (feature,)
            NaN for what is not known.
        stamp : float
            `time.monotonic` at which the newest sample in them was taken.
        """
        if self.heard:
            theirs = stamp + self._theirs
            self._row[0, :-1] = values
            self._row[0, -1] = self._pylsl.local_clock() - theirs
            self._outlet.push_chunk(self._row, theirs)


class MarkerOutlet(_Outlet):
    """A stream of markers: events and the recorder's notices, as text.

    Parameters
    ----------
    name : str
    about : mapping
        Into the XML.
    """

    def __init__(self, name: str, *, about: Mapping[str, Any] | None = None) -> None:
        super().__init__(name, "Markers", 0.0, "string", [{"label": "marker"}], about or {})

    def push(self, text: str, stamp: float) -> None:
        """Send a marker; ``stamp`` is the `time.monotonic` of the sample that it belongs to."""
        if self.heard:
            self._outlet.push_sample([text], stamp + self._theirs)

    def push_notice(self, notice: Notice, stamp: float) -> None:
        """Send an entry of the ledger as JSON."""
        self.push(json.dumps(notice.to_dict(), ensure_ascii=False, separators=(",", ":")), stamp)


def _plain(unit: str) -> str:
    return unit.replace("µ", "u")  # not every client reads the micro sign


def _append(node: Any, name: str, fields: Mapping[str, Any]) -> None:
    child = node.append_child(name)
    for key, value in fields.items():
        if isinstance(value, Mapping):
            _append(child, key, value)
        else:
            child.append_child_value(key, str(value))


def _row(channel: Channel, unit: str) -> dict[str, Any]:
    row: dict[str, Any] = {
        "label": channel.name,
        "type": TYPES.get(channel.kind, channel.kind),
        "unit": _plain(unit) or "none",
    }
    if channel.position is not None:
        row["location"] = {k: v * 1e3 for k, v in zip("XYZ", channel.position, strict=True)}
    if channel.loc is not None:
        row["loc"] = dict(zip(LOC, channel.loc, strict=True))
        row["coil_type"] = channel.coil_type
    return row
