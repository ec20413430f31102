"""The working copy gives back what was written, block by block and by window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainforge.block import Block, Cause, Mask
from brainforge.errors import OutputError
from brainforge.info import Channel, Info
from brainforge.kernels.namespace import TRAFFIC, is_device, to_host
from brainforge.working_copy import WorkingCopy
from tests.emulator.strict import put

INFO = Info(250.0, tuple(Channel(f"M{i}", "mag") for i in range(3)))


def _blocks() -> list[Block]:
    rng = np.random.default_rng(3)
    mask = Mask(("M1",), 12, 14, Cause.RAILED)
    spans = ((10, 15, (mask,)), (15, 22, ()), (30, 31, ()))
    return [
        Block(rng.standard_normal((3, b - a)).astype("f4"), INFO, a, masks) for a, b, masks in spans
    ]


@pytest.mark.parametrize("held_bytes", [0, 70, 10**6])
def test_blocks_come_back_bit_for_bit_as_often_as_asked(held_bytes: int) -> None:
    written = _blocks()
    with WorkingCopy(INFO, held_bytes=held_bytes) as copy:
        for block in written:
            copy.write(block)
        for _ in range(2):
            for a, b in zip(written, copy.blocks(), strict=True):
                np.testing.assert_array_equal(a.data, b.data)
                assert (a.start, a.masks) == (b.start, b.masks)
        assert copy.segments == ((10, 22), (30, 31))
        assert copy.n_samples == 13
        assert copy.masks == written[0].masks
        window = copy.window(13, 18)
        joined = np.concatenate([written[0].data, written[1].data], axis=1)
        np.testing.assert_array_equal(window.data, joined[:, 3:8])
        assert not window.good()[1, 0]
        assert window.good()[1, 1:].all()


def test_an_empty_copy_has_nothing() -> None:
    with WorkingCopy(INFO) as copy:
        assert list(copy.blocks()) == []
        assert copy.segments == ()
        assert copy.window(0, 5).data.shape == (3, 0)


def test_a_full_disk_says_what_to_do() -> None:
    with WorkingCopy(INFO, held_bytes=0) as copy:
        copy._shelf._file.close()
        copy._shelf._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
        with pytest.raises(OutputError, match="TMPDIR"):
            copy.write(_blocks()[0])


@pytest.mark.parametrize("device_bytes, held_bytes, home", [(None, 0, 0), (70, 0, 2), (0, 70, 3)])
def test_blocks_of_a_device_stay_there_or_come_back_to_it(
    device_bytes: int | None, held_bytes: int, home: int
) -> None:
    written = _blocks()
    with WorkingCopy(INFO, held_bytes=held_bytes, device_bytes=device_bytes) as copy:
        before = TRAFFIC.to_host
        for block in written:
            copy.write(replace(block, data=put(block.data)))
        assert TRAFFIC.to_host - before == home
        for a, b in zip(written, copy.blocks(), strict=True):
            assert is_device(b.data)
            np.testing.assert_array_equal(a.data, to_host(b.data))
        window = copy.window(13, 18)
        joined = np.concatenate([written[0].data, written[1].data], axis=1)
        np.testing.assert_array_equal(to_host(window.data), joined[:, 3:8])


def test_blocks_that_are_taken_are_let_go() -> None:
    written = _blocks()
    with WorkingCopy(INFO, held_bytes=70) as copy:
        for block in written:
            copy.write(block)
        taken = copy.take()
        np.testing.assert_array_equal(next(taken).data, written[0].data)
        assert copy.n_blocks == 2
        for a, b in zip(written[1:], taken, strict=True):
            np.testing.assert_array_equal(a.data, b.data)
        assert list(copy.blocks()) == []
