"""From what a FieldTrip buffer says of its stream to an Info, and to a dtype that can be kept.

The protocol has names at most: neither kinds nor units. They come from a Neuromag header where one
was sent along, else from the channels' names and from what the user says.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from brainforge.acquisition.fieldtrip.codec import ChunkType, Header
from brainforge.acquisition.fieldtrip.kinds import kind_of
from brainforge.acquisition.fieldtrip.neuromag import device_to_head, read_info
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.units import SIGNAL_KINDS, UNITS

#: unit of the magnetic channels -> SI of magnetometers (T) and of planar gradiometers (T/m)
UNIT_FACTORS: Final = {
    "T": (1.0, 1.0),
    "nT": (1e-9, 1e-7),
    "pT": (1e-12, 1e-10),
    "fT": (1e-15, 1e-13),
}
#: dtype on the wire -> dtype that is stored; every value fits exactly
STORED: Final = {
    "int8": "int16", "uint8": "int16", "int16": "int16", "uint16": "int32", "int32": "int32",
    "uint32": "float64", "float32": "float32", "float64": "float64",
}  # fmt: skip


@dataclass(frozen=True)
class Options:
    """What the user knows and the protocol does not carry.

    Parameters
    ----------
    unit : str
        Unit of the magnetic channels, ``T``, ``nT``, ``pT`` or ``fT``; planar gradiometers
        are in T/m with ``T`` and per centimetre with the others.
    kind : str
        Kind of the channels whose names say nothing.
    scale : float | None
        Value of one count in ``unit``, for a stream of integers.
    neuromag : bool
        Whether to read a Neuromag header that was sent along.
    """

    unit: str = "T"
    kind: str = "misc"
    scale: float | None = None
    neuromag: bool = True

    def __post_init__(self) -> None:
        for name, value, known in (("unit", self.unit, UNIT_FACTORS), ("kind", self.kind, UNITS)):
            if value not in known:
                raise InputError(
                    where=f"option {name}", expected=f"one of {', '.join(known)}", got=repr(value)
                )
        if self.scale is not None and not (np.isfinite(self.scale) and self.scale > 0):
            raise InputError(
                where="option scale", expected="a positive number", got=repr(self.scale)
            )


def stored_dtype(header: Header) -> np.dtype[Any]:
    """Return the dtype in which the samples are kept, bit for bit or exactly widened.

    Raises
    ------
    InputError
        64-bit integers, which no dtype of the archive holds exactly.
    """
    name = header.dtype.name
    if name not in STORED:
        raise InputError(
            where="FieldTrip buffer", expected="samples of at most 32 bits, or float64", got=name,
            fix="let the sender put int32 or float64",
        )  # fmt: skip
    return np.dtype(STORED[name])


def info_of(header: Header, options: Options, where: str) -> Info:
    """Return the Info of a stream.

    Parameters
    ----------
    header : Header
    options : Options
    where : str
        The buffer's address, for messages.

    Raises
    ------
    InputError
        No channel can be told to carry a signal, or integers lack their calibration.
    """
    known = _from_neuromag(header) if options.neuromag else None
    if known is None:
        channels = _from_names(header, options)
        info = Info(float(header.sfreq), channels, device="FieldTrip buffer")
    else:
        info = known
    if not info.names_of(*SIGNAL_KINDS):
        raise InputError(
            where=where,
            expected="channel names that tell MEG, EEG or the like",
            got=f"{', '.join(info.names[:3])} ...",
            fix="say what they are, e.g. kind=mag",
        )
    # makers' own headers are left behind: they name the subject
    return _calibrated(info, header, options, where, known is not None)


def _from_names(header: Header, options: Options) -> tuple[Channel, ...]:
    channels = []
    for name in header.names:
        kind, coil = kind_of(name, options.kind)
        channels.append(Channel(name, kind, coil_type=coil))
    return tuple(channels)


def _from_neuromag(header: Header) -> Info | None:
    """Return what a Neuromag header says of the stream's channels; None where it does not fit."""
    chunk = header.chunk(ChunkType.NEUROMAG_HEADER)
    if chunk is None:
        return None
    import mne

    from brainforge.archive.mne_info import info_from_mne

    mne_info = read_info(chunk)
    index = {name: i for i, name in enumerate(mne_info["ch_names"])}
    if header.chunk(ChunkType.NAMES) is not None:
        if not set(header.names) <= set(index):
            return None
        mne_info = mne.pick_info(mne_info, [index[name] for name in header.names], verbose="error")
    elif len(index) != header.n_channels:
        return None
    info = info_from_mne(mne_info, counts=header.dtype.kind in "iu")
    if info.dev_head_t is None and (hpi := header.chunk(ChunkType.NEUROMAG_HPI)) is not None:
        info = replace(info, dev_head_t=device_to_head(hpi))
    if np.float32(info.sfreq) != np.float32(header.sfreq):
        info = replace(info, sfreq=float(header.sfreq))  # the sender has decimated
    return info


def _calibrated(info: Info, header: Header, options: Options, where: str, counted: bool) -> Info:
    """Return the Info with the calibration to SI; ``counted`` where a Neuromag header has it."""
    integers = header.dtype.kind in "iu"
    resolutions = _resolutions(header)
    channels = []
    for row, channel in enumerate(info.channels):
        signal = channel.kind in SIGNAL_KINDS
        if not signal or (counted and integers):
            channels.append(channel)
            continue
        per_count: float | None = 1.0
        if integers:
            per_count = None if resolutions is None else resolutions[row]
            if channel.unit in ("T", "T/m") and options.scale is not None:
                per_count = options.scale
        if per_count is None:
            raise InputError(
                where=where,
                expected=f"the value of one count, for samples of {header.dtype.name}",
                got="a header without calibration",
                fix="give it, e.g. scale=1e-15, or let the sender put calibrated floats",
            )
        factor = _factor(channel, options.unit, integers)
        channels.append(replace(channel, cal=channel.cal * per_count * factor))
    return replace(info, channels=tuple(channels))


def _factor(channel: Channel, unit: str, integers: bool) -> float:
    """Return the SI value of 1; the protocol's resolutions of electric channels are in µV."""
    if channel.unit == "T":
        return UNIT_FACTORS[unit][0]
    if channel.unit == "T/m":
        return UNIT_FACTORS[unit][1]
    return 1e-6 if integers else 1.0


def _resolutions(header: Header) -> list[float] | None:
    chunk = header.chunk(ChunkType.RESOLUTIONS)
    if chunk is None or len(chunk) != 8 * header.n_channels:
        return None
    values = np.frombuffer(chunk, dtype="<f8")
    return values.tolist() if np.isfinite(values).all() and (values != 0).all() else None
