"""Text columns out of a MATLAB file that holds a ``table`` object.

MATLAB stores objects of its classes in an undocumented stream that SciPy hands out as bytes
(``__function_workspace__``). The stream is itself a MATLAB file without its first 128 bytes; the
values of the object's properties are cells in it. Only cells of text are looked for here.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Final

import numpy as np

from brainforge.errors import ReadError

MAX_BYTES: Final = 64 << 20
MAX_DEPTH: Final = 12


def load(path: Path) -> dict[str, Any]:
    """Return the variables of a MATLAB file.

    Raises
    ------
    ReadError
        Where it cannot be read, or is larger than such files are.
    """
    from scipy.io import loadmat

    try:
        if path.stat().st_size > MAX_BYTES:
            raise ValueError(f"more than {MAX_BYTES} bytes")
        return dict(loadmat(path))
    except Exception as error:  # SciPy raises whatever the damaged bytes lead to
        raise ReadError(
            where=str(path), expected="a MATLAB file", got=str(error)[:200] or "a damaged one"
        ) from error


def _is_text(cell: Any) -> bool:
    return isinstance(cell, np.ndarray) and cell.dtype.kind == "U" and cell.size <= 1


def _columns(value: Any, depth: int = 0) -> list[list[str]]:
    """Return every cell array of texts inside a nested MATLAB value, in the order stored."""
    if depth > MAX_DEPTH or not isinstance(value, np.ndarray):
        return []
    if value.dtype.names:
        return [
            c for n in value.dtype.names for v in value[n].ravel() for c in _columns(v, depth + 1)
        ]
    if value.dtype != object:
        return []
    cells = list(value.ravel())
    if len(cells) > 1 and all(_is_text(c) for c in cells):
        return [[str(c[0]) if c.size else "" for c in cells]]
    return [column for cell in cells for column in _columns(cell, depth + 1)]


def text_columns(path: Path) -> list[list[str]]:
    """Return the columns of text of the table objects in a MATLAB file."""
    from scipy.io.matlab._mio5 import MatFile5Reader

    stream = load(path).get("__function_workspace__")
    if stream is None:
        return []
    data = b"MATLAB 5.0 MAT-file".ljust(124) + stream.tobytes()[:4] + stream.tobytes()[8:]
    try:
        reader = MatFile5Reader(io.BytesIO(data), struct_as_record=True)
        reader.initialize_read()
        reader.mat_stream.seek(128)
        header, _ = reader.read_var_header()
        value = reader.read_var_array(header, process=False)
        opaque = value["MCOS"].ravel()[0]
        return [c for part in opaque["arr"].ravel() for c in _columns(part)]
    except Exception as error:  # the format is undocumented: anything may be in there
        raise ReadError(
            where=str(path), expected="a table of sensor names", got=f"another object ({error})"
        ) from error
