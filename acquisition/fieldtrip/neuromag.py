"""The FIF files that a Neuromag system sends along in its header, made readable for MNE.

The measurement info comes in the byte order of the machine that sent it, mostly little-endian, and
may lack its end; FIF files are big-endian.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainforge.errors import InputError

FILE_ID, DIR_POINTER, DIRECTORY, COORD_TRANS = 100, 101, 102, 222
INT, CH_INFO = 3, 30
DEVICE, HEAD = 1, 4
MATRIX: Final = 0x40000000
#: bytes of a number by FIF type; structures are made of 4-byte numbers
WIDTHS: Final = {
    **dict.fromkeys((2, 7, 13, 14, 16), 2),
    **dict.fromkeys((3, 4, 6, 8, 20, 30, 31, 32, 33, 34, 35), 4),
    **dict.fromkeys((5, 9, 11, 21), 8),
}
#: where the name begins in the structure of a channel
CH_NAME: Final = 80
FIX: Final = "leave it aside with the option neuromag=off"


def _broken(got: str) -> InputError:
    return InputError(
        where="Neuromag header of the FieldTrip buffer", expected="a FIF file", got=got, fix=FIX
    )


def _tags(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield kind, type and big-endian contents of the tags of a FIF file in either order."""
    order = next((o for o in "><" if data[:4] == struct.pack(o + "i", FILE_ID)), None)
    if order is None:
        raise _broken(f"one that begins with {data[:4].hex(' ') or 'nothing'}")
    at = 0
    while at + 16 <= len(data):
        kind, type_, size, following = struct.unpack_from(order + "iIii", data, at)
        body = data[at + 16 : at + 16 + max(size, 0)]
        if size < 0 or len(body) < size:
            raise _broken(f"a tag of {size} bytes at byte {at} of {len(data)}")
        yield kind, type_, body if order == ">" else _swapped(type_, body)
        if following < 0 or (following and following <= at):
            return
        at = following or at + 16 + size


def _swapped(type_: int, body: bytes) -> bytes:
    width = WIDTHS.get(type_ & 0xFFF, 1)
    if type_ & MATRIX:
        # numbers, then the length of each axis, then how many axes there are
        n_axes = int.from_bytes(body[-4:], "little")
        cut = len(body) - 4 * (n_axes + 1)
        if cut < 0:
            raise _broken(f"a matrix of {n_axes} axes in {len(body)} bytes")
        return _turned(body[:cut], width) + _turned(body[cut:], 4)
    if type_ == CH_INFO:
        return _turned(body[:CH_NAME], width) + body[CH_NAME:]
    return _turned(body, width)


def _turned(data: bytes, width: int) -> bytes:
    if width == 1 or len(data) % width:
        return data
    return np.frombuffer(data, dtype=f"u{width}").byteswap().tobytes()


def big_endian(data: bytes) -> bytes:
    """Return a FIF file in its proper byte order, its tags one behind the other, with an end.

    Raises
    ------
    InputError
        It is none, or broken.
    """
    tags = [tag for tag in _tags(data) if tag[0] != DIRECTORY]
    parts = []
    for number, (kind, type_, body) in enumerate(tags):
        if kind == DIR_POINTER:
            type_, body = INT, struct.pack(">i", -1)
        following = -1 if number == len(tags) - 1 else 0
        parts.append(struct.pack(">iIii", kind, type_, len(body), following) + body)
    return b"".join(parts)


def read_info(data: bytes) -> Any:
    """Return the ``mne.Info`` of a Neuromag header chunk.

    Raises
    ------
    InputError
        MNE cannot make sense of it.
    """
    import mne

    from brainforge.archive.mne_info import quiet_mne

    with tempfile.TemporaryDirectory() as folder, quiet_mne():
        path = Path(folder) / "header-info.fif"
        path.write_bytes(big_endian(data))
        try:
            return mne.io.read_info(path)
        except Exception as error:  # MNE raises whatever a damaged file leads to
            text = " ".join(str(error).split())[:150] or type(error).__name__
            raise _broken(text) from error


def device_to_head(data: bytes) -> tuple[tuple[float, ...], ...] | None:
    """Return the 4 x 4 transform that a chunk with the result of HPI holds, None without one."""
    for kind, _, body in _tags(data):
        if kind != COORD_TRANS or len(body) < 56:
            continue
        if struct.unpack_from(">ii", body) == (DEVICE, HEAD):
            numbers = np.frombuffer(body, dtype=">f4", count=12, offset=8).astype(float)
            trans = np.eye(4)
            trans[:3, :3], trans[:3, 3] = numbers[:9].reshape(3, 3), numbers[9:]
            return tuple(map(tuple, trans.tolist()))
    return None
