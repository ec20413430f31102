"""Cerca Magnetics: ``NAME.cMEG`` with its session, the order of the sensors, and the helmet.

A .cMEG file is a row of blocks. Each begins with its two dimensions (big-endian int32: rows,
samples), then float64, big-endian, one row after another: time in seconds, then the channels
that the session file lists, in volts. 2.7 V are 1 nT at a gain of 1.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import ReadError
from brainforge.info import Channel, Info
from brainforge.readers.checksum import describe
from brainforge.readers.mat_table import load, text_columns
from brainforge.readers.sensors_tsv import coil_frame
from brainforge.recording import Event, Gap, Recording

VOLTS_PER_TESLA = 2.7e9
#: trigger lines are 0 V or, when high, more than this
TRIGGER_VOLTS = 1.0
#: FIFF coil type of the QuSpin zero-field magnetometers in these helmets
QUSPIN_ZFOPM_MAG2 = 8002
MAX_TEXT = 1 << 20
#: seconds between two blocks that are still one recording
LONGEST_GAP = 86400.0


def _error(path: Path, expected: str, got: str, fix: str = "") -> ReadError:
    return ReadError(where=str(path), expected=expected, got=got, fix=fix)


@dataclass(frozen=True)
class Block:
    """Samples [start, stop), absolute, whose rows begin at byte ``at``."""

    at: int
    start: int
    stop: int


def _beside(path: Path, ending: str) -> Path | None:
    found = path.with_name(path.stem + ending)
    return found if found.is_file() else None


def read_session(path: Path) -> dict[str, str]:
    """Return the ``Key: value`` lines of a session file."""
    if path.stat().st_size > MAX_TEXT:
        raise _error(path, "a session file", f"{path.stat().st_size} bytes")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    pairs = [line.split(":", 1) for line in lines if ":" in line]
    return {key.strip(): value.strip() for key, value in pairs}


def _times(path: Path, n_rows: int) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Yield for each block the byte where its rows begin and its row of times."""
    size, at = path.stat().st_size, 0
    with path.open("rb") as file:
        while at < size:
            file.seek(at)
            head = file.read(8)
            dims = struct.unpack(">ii", head) if len(head) == 8 else (0, 0)
            if dims[0] != n_rows or dims[1] <= 0:
                got = f"a block of {dims[0]} x {dims[1]} at byte {at}"
                raise _error(path, f"blocks of {n_rows} rows, as the session says", got)
            stop = at + 8 + dims[0] * dims[1] * 8
            if stop > size:
                got = f"the end of the file at byte {size} inside the block at byte {at}"
                raise _error(path, "whole blocks", got, "copy it again from where it was recorded")
            yield at + 8, np.frombuffer(file.read(dims[1] * 8), dtype=">f8")
            at = stop


def _scan(path: Path, n_rows: int) -> tuple[list[Block], list[Gap], float]:
    """Return the blocks, the gaps between them, and the sampling rate."""
    found = list(_times(path, n_rows))
    if not found:
        raise _error(path, "a .cMEG recording", "an empty file")
    steps = np.concatenate([np.diff(times) for _, times in found])
    if not steps.size or not np.isfinite(steps).all() or np.median(steps) <= 0:
        raise _error(path, "times that rise", "times that do not")
    sfreq = float(round(1.0 / float(np.median(steps))))
    if sfreq <= 0:
        raise _error(path, "a sampling rate of 1 Hz or more", f"a step of {np.median(steps)} s")
    blocks: list[Block] = []
    gaps: list[Gap] = []
    at, origin = 0, float(found[0][1][0])
    for offset, times in found:
        expected = round((float(times[0]) - origin) * sfreq)
        if abs(expected - at) > LONGEST_GAP * sfreq:
            got = f"a step from sample {at} to {expected} at byte {offset}"
            raise _error(path, "blocks in the order they were recorded", got)
        if expected > at + 1:  # the clock of the computer jitters by less than a sample
            gaps.append(Gap(at, expected, "jump of the time stamps"))
            at = expected
        blocks.append(Block(offset, at, at + len(times)))
        at += len(times)
    return blocks, gaps, sfreq


class CercaReader:
    """SampleReader of .cMEG blocks: float64 volts, axes (channel, sample)."""

    def __init__(self, path: Path, blocks: list[Block], n_channels: int) -> None:
        self._path, self._blocks, self._n = path, blocks, n_channels

    def read(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Return samples [start, stop), absolute."""
        out = np.empty((self._n, stop - start))
        for block in self._blocks:
            lo, hi = max(start, block.start), min(stop, block.stop)
            if lo >= hi:
                continue
            n = block.stop - block.start
            rows = np.fromfile(self._path, ">f8", self._n * n, offset=block.at + n * 8)
            if rows.size != self._n * n:
                raise _error(self._path, "whole blocks", f"the end at byte {block.at}")
            part = rows.reshape(self._n, n)[:, lo - block.start : hi - block.start]
            out[:, lo - start : hi - start] = part
        return out


def _channels(names: list[str], gain: float) -> list[Channel]:
    channels = []
    for name in names:
        if name.startswith("Trigger"):
            channels.append(Channel(name, "stim"))
        else:
            cal = 1.0 / (VOLTS_PER_TESLA * gain)
            channels.append(Channel(name, "mag", cal=cal, coil_type=QUSPIN_ZFOPM_MAG2))
    return channels


def _find_helmet(path: Path, order: Path, session: dict[str, str]) -> Path | None:
    """Return the helmet's file beside the recording, by the name the recording gives it."""
    layout = load(order).get("layout_name")
    names = [str(layout.ravel()[0])] if layout is not None and layout.size else []
    names.append(session.get("Helmet", ""))
    wanted = {re.sub(r"\W|_", "", n).lower() for n in names if n}
    for file in sorted(path.parent.glob("*.mat")):
        stem = re.sub(r"\W|_", "", file.stem).lower().removeprefix("helmet")
        if stem in wanted:
            return file
    return None


def _slots(order: Path, n_slots: int) -> list[str]:
    """Return the sensor in each slot of the helmet, empty where there is none."""
    columns = [c for c in text_columns(order) if len(c) == n_slots]
    if len(columns) != 1:
        raise _error(order, f"one column of {n_slots} sensor names", f"{len(columns)} of them")
    return [(name.split() or [""])[0] for name in columns[0]]


def _place(channels: list[Channel], order: Path, helmet: Path) -> list[Channel]:
    """Return the channels with the place and axis of their helmet slot, joined by name."""
    try:
        record = load(helmet)["Helmet_info"].ravel()[0]
        places = np.asarray(record["sens_pos"], dtype=float)
        axes = {a: np.asarray(record[f"sens_ors_{a}"], dtype=float) for a in "XYZ"}
        if any(v.shape != places.shape for v in axes.values()) or places.shape[1:] != (3,):
            raise ValueError("arrays of different shapes")
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise _error(
            helmet, "Helmet_info with sens_pos and sens_ors_X, Y, Z", str(error)
        ) from error
    slot_of = {s: i for i, s in enumerate(_slots(order, len(places))) if s}
    out = []
    for channel in channels:
        match = re.fullmatch(r"(\S+) \[([XYZ])\]", channel.name)
        if channel.kind == "mag" and match and match[1] in slot_of:
            slot = slot_of[match[1]]
            axis = axes[match[2]][slot]
            axis = axis / np.linalg.norm(axis)
            channel = replace(
                channel,
                position=tuple(places[slot].tolist()),
                orientation=tuple(axis.tolist()),
                loc=coil_frame(places[slot], axis),
            )
        out.append(channel)
    return out


def _events(recording: Recording) -> tuple[Event, ...]:
    """Return where the trigger lines rise; the code is the number of the line."""
    names = recording.info.names_of("stim")
    rows = recording.info.rows(names)
    found = []
    for start, stop in recording.segments:
        last = None
        for a in range(start, stop, 1 << 14):
            high = recording.reader.read(a, min(a + (1 << 14), stop))[rows] > TRIGGER_VOLTS
            before = high[:, :1] if last is None else last
            rises = high & ~np.concatenate([before, high[:, :-1]], axis=1)
            found += [Event(int(a + s), int(r) + 1, names[r]) for r, s in np.argwhere(rises)]
            last = high[:, -1:]
    return tuple(sorted(found, key=lambda e: (e.sample, e.code)))


def open_cerca(path: Path) -> Recording:
    """Open a Cerca recording; geometry needs its sensor order and its helmet file beside it.

    Raises
    ------
    ReadError
        Where the session file is missing or contradicts the samples, or a file is damaged.
    """
    session_path = _beside(path, "_SessionInfo.txt")
    if session_path is None:
        got = f"no {path.stem}_SessionInfo.txt"
        raise _error(path, "its session file beside it", got, "copy both files together")
    session = read_session(session_path)
    names = [n.strip() for n in session.get("Sensor Names", "").split(",") if n.strip()]
    gain = re.match(r"([0-9.]+)\s*x", session.get("OPM Gain", ""))
    if not names or gain is None or float(gain[1]) <= 0:
        raise _error(session_path, "'Sensor Names:' and 'OPM Gain: ...x'", "a file without them")
    blocks, gaps, sfreq = _scan(path, len(names) + 1)
    channels, files, notes = _channels(names, float(gain[1])), [path, session_path], []
    order = _beside(path, "_sensor_order.mat")
    helmet = None if order is None else _find_helmet(path, order, session)
    if order is not None and helmet is not None:
        channels = _place(channels, order, helmet)
        files += [order, helmet]
    else:
        notes.append("no sensor order or helmet file beside the recording: no geometry")
    identity = tuple(map(tuple, np.eye(4).tolist())) if helmet else None
    info = Info(sfreq, tuple(channels), dev_head_t=identity, device="Cerca OPM")
    reader = CercaReader(path, blocks, len(names))
    recording = Recording(
        info,
        reader,
        0,
        blocks[-1].stop,
        tuple(gaps),
        source=describe(files, "Cerca cMEG", notes),
    )
    return replace(recording, events=_events(recording))
