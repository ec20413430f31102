"""QuSpin N1: LabVIEW's text format ``.lvm``, one row a sample, tab-separated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError, ReadError
from brainforge.info import Channel, Info
from brainforge.readers.checksum import describe
from brainforge.readers.events import find_events
from brainforge.readers.sensors_tsv import FACTORS
from brainforge.recording import Recording

END: Final = "***End_of_Header***"
MAX_LINE: Final = 1 << 20
MAX_HEADER_LINES: Final = 200
#: every how many rows the byte offset is remembered
STRIDE: Final = 256
#: FIFF coil type of QuSpin's second-generation zero-field magnetometer
QUSPIN_ZFOPM_MAG2: Final = 8002


@dataclass(frozen=True)
class Header:
    """What stands above the rows: units and names by column, the rate, the first row's byte."""

    names: tuple[str, ...]
    units: tuple[str, ...]
    sfreq: float
    at: int


def _error(path: Path, expected: str, got: str) -> ReadError:
    return ReadError(where=str(path), expected=expected, got=got[:160])


def read_header(path: Path) -> Header:
    """Return the header of an .lvm file."""
    fields: dict[str, list[str]] = {}
    ends = 0
    with path.open("rb") as file:
        for number in range(MAX_HEADER_LINES):
            line = file.readline(MAX_LINE)
            cells = line.decode("utf-8", errors="replace").rstrip("\r\n").split("\t")
            if number == 0 and cells[0] != "LabVIEW Measurement":
                raise _error(path, "a LabVIEW measurement file", repr(cells[0][:40]))
            if not line.endswith(b"\n"):
                raise _error(path, "a header", f"the end of the file at byte {file.tell()}")
            if ends == 2:
                fields["names"] = cells[1:]
                break
            ends += cells[0] == END
            fields[cells[0]] = cells[1:]
        else:
            raise _error(path, f"{END} twice within {MAX_HEADER_LINES} lines", "a longer header")
        at = file.tell()
    try:
        n = int(fields["Channels"][0])
        names, units = fields["names"][:n], fields["Y_Unit_Label"][:n]
        step = float(fields["Delta_X"][0])
    except (KeyError, ValueError, IndexError) as error:
        raise _error(
            path, "Channels, Y_Unit_Label and Delta_X in the header", str(error)
        ) from error
    if n <= 0 or len(names) != n or len(units) != n:
        raise _error(path, f"{n} names and units", f"{len(names)} and {len(units)}")
    if not np.isfinite(step) or step <= 0:
        raise _error(path, "a positive Delta_X", repr(fields["Delta_X"][0]))
    return Header(tuple(names), tuple(units), _rate(step), at)


def _rate(step: float) -> float:
    """Return the rate of a step that the file gives in whole microseconds."""
    whole = round(1.0 / step)
    return float(whole) if whole and round(1.0 / whole, 6) == round(step, 6) else 1.0 / step


def _whole(line: bytes, n_channels: int) -> bool:
    """Return whether a last row without a line end has all its numbers, to the last digit."""
    cells = line.split(b"\t")
    decimals = [len(c.partition(b".")[2]) for c in (cells[0], cells[-1])]
    return len(cells) > n_channels and decimals[0] == decimals[1]


def _index(path: Path, at: int, n_channels: int) -> tuple[list[int], int, int]:
    """Return the byte of every `STRIDE`-th row, the number of whole rows, and bytes left over."""
    offsets, n, left = [at], 0, 0
    with path.open("rb") as file:
        file.seek(at)
        while line := file.readline(MAX_LINE):
            if not line.strip():
                break
            if not line.endswith(b"\n") and not _whole(line, n_channels):
                left = len(line)
                break
            n += 1
            if n % STRIDE == 0:
                offsets.append(file.tell())
    return offsets, n, left


class LvmReader:
    """SampleReader of .lvm rows: float64 in the file's own units, axes (channel, sample)."""

    def __init__(self, path: Path, offsets: list[int], n_channels: int) -> None:
        self._path, self._offsets, self._n = path, offsets, n_channels

    def read(self, start: int, stop: int) -> npt.NDArray[np.float64]:
        """Return samples [start, stop)."""
        return self.read_rows(start, stop, slice(None))

    def read_rows(self, start: int, stop: int, rows: Any) -> npt.NDArray[np.float64]:
        """Return samples [start, stop) of some rows."""
        out = np.empty((stop - start, self._n))
        with self._path.open("rb") as file:
            file.seek(self._offsets[start // STRIDE])
            for _ in range(start % STRIDE):
                file.readline(MAX_LINE)
            for row in range(stop - start):
                at = file.tell()
                cells = file.readline(MAX_LINE).split(b"\t")[1 : self._n + 1]
                try:
                    out[row] = [float(c) for c in cells]
                except ValueError as error:
                    got = f"sample {start + row} at byte {at}: {error}"
                    raise _error(self._path, f"{self._n} numbers a row", got) from error
        return np.ascontiguousarray(out.T[rows])


def _channel(name: str, unit: str) -> Channel:
    if unit in FACTORS and FACTORS[unit][0] == "T":
        return Channel(name, "mag", cal=FACTORS[unit][1], coil_type=QUSPIN_ZFOPM_MAG2)
    if unit == "1|0":
        return Channel(name, "stim")
    return Channel(name, "misc")


def open_lvm(path: Path) -> Recording:
    """Open a QuSpin N1 text export; it holds no geometry (give ``--sensors``).

    Raises
    ------
    ReadError
        Where it is another kind of file, or damaged.
    """
    header = read_header(path)
    offsets, n, left = _index(path, header.at, len(header.names))
    if not n:
        raise _error(path, "rows of samples", "none")
    notes = ["an .lvm file holds no sensor positions: no geometry"]
    if left:
        notes.append(f"the last row is cut short ({left} bytes) and was left out")
    channels = tuple(_channel(a, b) for a, b in zip(header.names, header.units, strict=True))
    try:
        info = Info(header.sfreq, channels, device="QuSpin OPM")
    except InputError as error:
        raise _error(path, "unique channel names", error.got) from error
    reader = LvmReader(path, offsets, len(channels))
    recording = Recording(info, reader, 0, n, source=describe([path], "QuSpin LVM", notes))
    return replace(recording, events=find_events(info, reader.read_rows, recording.segments))
