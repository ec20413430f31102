"""Colour scales that colour-blind readers can tell apart, and their images as PNG."""

from __future__ import annotations

import base64
import struct
import zlib
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

#: perceptually even, dark to bright (viridis; Smith & van der Walt 2015)
SEQUENTIAL = (
    "#440154", "#482878", "#3e4989", "#31688e", "#26828e",
    "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725",
)  # fmt: skip
#: blue - white - red, safe for red-green blindness (ColorBrewer RdBu; Harrower & Brewer 2003)
DIVERGING = (
    "#053061", "#2166ac", "#4393c3", "#92c5de", "#d1e5f0", "#f7f7f7",
    "#fddbc7", "#f4a582", "#d6604d", "#b2182b", "#67001f",
)  # fmt: skip
_LEVELS = 255


def scale(colours: tuple[str, ...]) -> list[list[Any]]:
    """Return the colours as a Plotly colour scale."""
    last = len(colours) - 1
    return [[round(i / last, 4), c] for i, c in enumerate(colours)]


@cache
def _palette(colours: tuple[str, ...]) -> bytes:
    anchors = np.array([[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in colours], float)
    at = np.linspace(0, len(colours) - 1, _LEVELS)
    steps = np.arange(len(colours))
    table = np.column_stack([np.interp(at, steps, anchors[:, i]) for i in range(3)])
    return np.rint(table).astype(np.uint8).tobytes() + b"\x80\x80\x80"


def _chunk(tag: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + tag + body + struct.pack(">I", zlib.crc32(tag + body))


def png(image: npt.NDArray[np.floating], low: float, high: float, colours: tuple[str, ...]) -> str:
    """Return an image as the data URI of a palette PNG; NaN is transparent.

    ``image`` has axes (row from the bottom, column); ``low`` and ``high`` are the ends of
    the colour scale.
    """
    span = (high - low) or 1.0
    missing = ~np.isfinite(image)
    index = np.clip(np.where(missing, 0, (image - low) / span), 0, 1) * (_LEVELS - 1)
    pixels = np.rint(index).astype(np.uint8)
    pixels[missing] = _LEVELS
    rows = np.flipud(pixels)
    raw = np.column_stack([np.zeros(len(rows), np.uint8), rows]).tobytes()
    header = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 8, 3, 0, 0, 0)
    data = b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header)
    data += _chunk(b"PLTE", _palette(colours)) + _chunk(b"tRNS", b"\xff" * _LEVELS + b"\x00")
    data += _chunk(b"IDAT", zlib.compress(raw, 6)) + _chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode("ascii")
