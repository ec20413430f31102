import base64
import struct
import zlib

import numpy as np

from brainforge.report.colours import DIVERGING, SEQUENTIAL, png
from brainforge.report.helmet import head_map
from brainforge.report.text import clock, number, with_interval
from tests.report.make_result import make_info


def decode_png(uri):
    """Return palette indices, rows from the top, and the palette."""
    data = base64.b64decode(uri.split(",", 1)[1])
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, at = {}, 8
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        tag, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        (crc,) = struct.unpack(">I", data[at + 8 + size : at + 12 + size])
        assert crc == zlib.crc32(tag + body)
        chunks[tag] = body
        at += 12 + size
    width, height = struct.unpack(">II", chunks[b"IHDR"][:8])
    raw = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, width + 1)
    return raw[:, 1:], np.frombuffer(chunks[b"PLTE"], np.uint8).reshape(-1, 3), chunks[b"tRNS"]


def test_png_levels_orientation_and_gaps():
    image = np.array([[0.0, 1.0], [0.5, np.nan]])
    pixels, palette, alpha = decode_png(png(image, 0, 1, SEQUENTIAL))
    assert pixels.tolist() == [[127, 255], [0, 254]]
    assert alpha[255] == 0
    assert palette[0].tolist() == [0x44, 0x01, 0x54]
    assert palette[254].tolist() == [0xFD, 0xE7, 0x25]


def test_front_is_up_and_right_is_right():
    info = make_info()
    head = head_map(info, info.names, "mag")
    x, y = info.positions()[:, 0], info.positions()[:, 1]
    row, column = np.indices((48, 48)) / 47 - 0.5
    seen = np.isfinite(head.image(y))
    for values, axis in ((y, row), (x, column)):
        assert np.corrcoef(head.image(values)[seen], axis[seen])[0, 1] > 0.95


def test_picture_passes_through_the_sensors():
    info = make_info("vectorview")
    head = head_map(info, info.names, "mag")
    values = np.sin(2 * head.xy[:, 0]) + head.xy[:, 1]
    image = head.image(values)
    axis = np.linspace(-head.radius, head.radius, len(image))
    step = axis[1] - axis[0]
    for (x, y), value in zip(head.xy, values):
        near = image[np.argmin(np.abs(axis - y)), np.argmin(np.abs(axis - x))]
        assert abs(near - value) < 2.5 * step


def test_missing_values_are_filled_from_neighbours():
    info = make_info("vectorview")
    head = head_map(info, info.names, "mag")
    values = head.xy[:, 1].copy()
    whole = head.image(values)
    values[10] = np.nan
    gone = head.image(values)
    assert np.nanmax(np.abs(whole - gone)) < 0.25
    assert np.isnan(head.image(np.full(len(values), np.nan))).all()


def test_no_map_without_places():
    assert head_map(make_info(geometry=False), make_info(geometry=False).names, "mag") is None
    info = make_info()
    assert head_map(info, info.names[:5], "mag") is None
    assert head_map(info, info.names, "grad") is None


def test_diverging_is_white_in_the_middle():
    pixels, palette, _ = decode_png(png(np.zeros((1, 1)), -1, 1, DIVERGING))
    assert palette[pixels[0, 0]].min() > 0xF0


def test_numbers():
    assert number(0.012345) == "0.0123"
    assert number(7.0) == "7"
    assert number(12345.6) == "12\u2009300"
    assert number(-3.14159) == "−3.14"
    assert number(float("nan")) == "–"
    assert number(1.5e-12) == "1.50 × 10^−12"
    assert with_interval(-0.000998, -0.00824, 0.00714) == ("−0.001", "−0.008", "0.007")
    assert with_interval(10.2, 9.95, 10.45) == ("10.2", "9.9", "10.4")
    assert with_interval(5.0, 5.0, 5.0) == ("5", "5", "5")
    assert clock(59.96) == "60.0 s"
    assert clock(185) == "3 min 05 s"
    assert clock(3720) == "1 h 02 min"
