"""What is put on a shelf is found there again, also by the next process."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from brainforge.checkpoint import pack_state, unpack_state
from brainforge.errors import OutputError, ReadError
from brainforge.shelf import Shelf


@pytest.mark.parametrize("named", [True, False])
def test_arrays_come_back_bit_for_bit(named: bool, tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf" if named else None, str(tmp_path))
    rng = np.random.default_rng(4)
    arrays = [
        rng.standard_normal((3, 7)), np.zeros((4, 0), np.float32), np.arange(5, dtype=">i4"),
        rng.standard_normal((6, 5)).astype(np.float32).T,
    ]  # fmt: skip
    places = [shelf.put(a) for a in arrays]
    for array, place in zip(arrays, places, strict=True):
        np.testing.assert_array_equal(np.asarray(place), array)
        assert (np.asarray(place).dtype, place.shape) == (array.dtype, array.shape)
    assert shelf.size == sum(a.nbytes for a in arrays)
    assert [p.name for p in tmp_path.iterdir()] == ["shelf"] * named
    shelf.close()


def test_the_same_array_is_put_once_and_found_by_who_comes_next(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    one, two = np.arange(4.0), np.arange(4.0)
    state = {"a": shelf.keep(one), "b": [shelf.keep(one), {"c": shelf.keep(two)}], "d": 1}
    assert shelf.size == 64
    packed, size = pack_state(state), shelf.size
    shelf.put(np.ones(100))
    shelf.close()

    shelf = Shelf(tmp_path / "shelf")
    shelf.reopen(size)
    assert (tmp_path / "shelf").stat().st_size == size
    filled = shelf.filled(unpack_state(packed))
    np.testing.assert_array_equal(filled["b"][1]["c"], two)
    assert filled["d"] == 1
    assert shelf.keep(filled["a"]) == state["a"]
    assert shelf.size == size
    with pytest.raises(ReadError, match=f"{size + 1} bytes"):
        shelf.reopen(size + 1)
    shelf.close()


def test_an_array_that_is_gone_is_not_taken_for_another(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "shelf")
    # memory that is let go is used again: the same identity, another array
    for i in range(1000):
        place = shelf.keep(np.full(3, float(i)))
        np.testing.assert_array_equal(np.asarray(shelf.at(place)), i)
    assert len(shelf._kept) <= 300
    shelf.close()


def test_threads_put_side_by_side(tmp_path: Path) -> None:
    shelf, places = Shelf(tmp_path / "shelf"), {}

    def put(value: int) -> None:
        places[value] = [shelf.put(np.full(50, value)) for _ in range(200)]

    threads = [Thread(target=put, args=(i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for value, some in places.items():
        for place in some:
            np.testing.assert_array_equal(np.asarray(place), value)
    shelf.close()


def test_what_cannot_be_written_or_read_says_so(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="nowhere"):
        Shelf(tmp_path / "nowhere" / "shelf")
    shelf = Shelf(tmp_path / "shelf")
    place = shelf.put(np.ones(3))
    (tmp_path / "shelf").write_bytes(b"short")
    with pytest.raises(OutputError, match="got less"):
        np.asarray(place)
    shelf.close()
