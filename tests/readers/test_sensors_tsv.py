"""A sensors file is joined by name and says what a format lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainforge.errors import ReadError
from brainforge.info import Channel, Info
from brainforge.readers.sensors_tsv import apply_sensors

INFO = Info(100.0, (Channel("a", "misc"), Channel("b", "misc", cal=2.0), Channel("c", "eeg")))
HEAD = "name\tkind\tunit\tcalibration\tx\ty\tz\tox\toy\toz\n"
ROWS = [
    "a\tmag\tpT\t0.5\t0.1\t0\t0.02\t0\t0\t1\n",
    "b\tmag\tfT\tn/a\t0\t0.1\t0.02\t0\t1.01\t0\n",
    "c\teeg\tµV\t\t\t\t\t\t\t\n",
    "z\tmag\tfT\t1\t0\t0\t0.1\t0\t0\t1\n",
]


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "s.tsv").write_text(text, encoding="utf-8")
    return tmp_path / "s.tsv"


@pytest.mark.parametrize("order", [[0, 1, 2, 3], [3, 1, 0, 2]])
def test_any_order_gives_the_same(tmp_path: Path, order: list[int]) -> None:
    info, notes = apply_sensors(INFO, write(tmp_path, HEAD + "".join(ROWS[i] for i in order)))
    a, b, c = info.channels
    assert (a.kind, a.cal, a.position, a.orientation) == (
        "mag",
        0.5e-12,
        (0.1, 0.0, 0.02),
        (0.0, 0.0, 1.0),
    )
    assert (b.cal, b.orientation) == (2e-15, (0.0, 1.0, 0.0))
    assert (c.cal, c.position) == (1e-6, None)
    assert a.coil_type == 2000
    frame = np.array(a.loc).reshape(4, 3)[1:]
    np.testing.assert_allclose(frame @ frame.T, np.eye(3), atol=1e-12)
    assert notes == ["sensors file names 1 channels that are not in the recording"]


def test_head_coordinates_go_to_the_device(tmp_path: Path) -> None:
    trans = (
        (0.0, -1.0, 0.0, 0.0),
        (1.0, 0.0, 0.0, 0.0),
        (0.0, 0.0, 1.0, 0.05),
        (0.0, 0.0, 0.0, 1.0),
    )
    info = Info(100.0, INFO.channels, dev_head_t=trans)
    moved, _ = apply_sensors(info, write(tmp_path, HEAD + ROWS[0]))
    np.testing.assert_allclose(moved.channels[0].position, (0.0, -0.1, -0.03), atol=1e-12)
    assert moved.dev_head_t == trans


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "heading"),
        ("kind\tunit\n", "heading"),
        (HEAD + ROWS[0] + ROWS[0], "line 3.*a twice"),
        (HEAD + "q\tmag\n", "none of them"),
        (HEAD + "a\tmagnet\n", "line 2.*a kind among"),
        (HEAD + "a\tmag\tV\n", "a unit of T"),
        (HEAD + "a\tmag\tT\tx\n", "column calibration"),
        (HEAD + "a\tmag\tT\tinf\n", "column calibration"),
        (HEAD + "a\tmag\tT\t1\t0.1\n", "all of x, y, z"),
        (HEAD + "a\tmag\tT\t1\t100\t0\t0\n", "in metres"),
        (HEAD + "a\tmag\tT\t1\t0.1\t0\t0\t0\t0\t7\n", "length 1"),
    ],
)
def test_what_breaks_the_format_is_named(tmp_path: Path, text: str, word: str) -> None:
    with pytest.raises(ReadError, match=word):
        apply_sensors(INFO, write(tmp_path, text))


def test_missing_or_binary(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="a sensors file"):
        apply_sensors(INFO, tmp_path / "none.tsv")
    (tmp_path / "s.tsv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReadError, match="a sensors file"):
        apply_sensors(INFO, tmp_path / "s.tsv")
