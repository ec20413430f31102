"""The store: numbering, bounds, and what is no more there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from brainforge.acquisition.fieldtrip.codec import Header
from brainforge.acquisition.fieldtrip.events import Event
from brainforge.acquisition.fieldtrip.store import MAX_EVENTS, NotThere, Samples, Store

HEADER = Header(2, 100.0, 6)
SHAPE = 2, 1, 6


def put(store: Store, start: int, stop: int) -> None:
    data = np.repeat(np.arange(start, stop, dtype=np.int16)[:, None], 2, axis=1)
    store.put_data((2, stop - start, 6), data.data.cast("B"))


def taken(views: list[tuple[int, memoryview]]) -> list[int]:
    whole = b"".join(view for _, view in views)
    return np.frombuffer(whole, np.int16)[::2].tolist()


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(0, 2**33))
def test_ring_holds_the_last_samples(sizes: list[int], first: int) -> None:
    samples = Samples(HEADER, 30, first)
    at = 0
    for size in sizes:
        data = np.repeat(np.arange(at, at + size, dtype=np.int16)[:, None], 2, axis=1)
        samples.append(memoryview(data.tobytes()), size)
        at += size
    assert samples.count == first + at
    assert samples.oldest == first + max(at - 30, 0)
    if at:
        views = samples.views(samples.oldest, samples.count)
        assert taken(views) == list(range(max(at - 30, 0), at))
        assert sum(len(v) for _, v in views) == min(at, 30) * 4
        assert views[0][0] == samples.oldest


def test_what_is_not_there_is_refused() -> None:
    store = Store(0.5, 1 << 20)
    for ask in (store.get_header, store.everything, store.flush, store.flush_samples):
        with pytest.raises(NotThere):
            ask()
    with pytest.raises(NotThere, match="without a header"):
        put(store, 0, 1)
    with pytest.raises(NotThere, match="without a header"):
        store.put_events([Event.make("a", 1)])
    store.put_header(HEADER)
    put(store, 0, 40)
    put(store, 40, 80)
    assert taken(store.select(30, 79)) == list(range(30, 80))
    for first, last in ((29, 79), (30, 80), (50, 49), (2**32 - 1, 79)):
        with pytest.raises(NotThere):
            store.select(first, last)
    with pytest.raises(NotThere, match="at once"):
        put(store, 0, 51)
    with pytest.raises(NotThere, match="3 channels"):
        store.put_data((3, 1, 6), memoryview(bytes(6)))
    with pytest.raises(NotThere, match="type 7"):
        store.put_data((2, 1, 7), memoryview(bytes(8)))
    assert store.n_samples == 80


def test_memory_is_bounded_whatever_the_header_says() -> None:
    store = Store(3600.0, 4000)
    store.put_header(Header(2, 3e38, 6))
    assert store.samples is not None
    assert store.samples.capacity == 1000


def test_events_are_bounded_and_numbered() -> None:
    store = Store(1.0, 4000)
    store.put_header(HEADER)
    for k in range(0, MAX_EVENTS + 500, 500):
        store.put_events([Event.make("e", n, n) for n in range(k, k + 500)])
    assert store.n_events == MAX_EVENTS + 500
    assert [e.value for e in store.get_events()][:2] == [500, 501]
    assert [e.value for e in store.get_events(600, 601)] == [600, 601]
    for first, last in ((499, 600), (700, MAX_EVENTS + 500), (3, 2)):
        with pytest.raises(NotThere):
            store.get_events(first, last)
    big = Event.make("e", "x" * 60_000)
    store.put_events([big] * 1000)
    assert sum(e.nbytes for e in store.get_events()) <= 16 << 20


def test_an_event_without_a_sample_gets_the_next_one() -> None:
    store = Store(1.0, 4000, first_sample=2**31 - 1)
    store.put_header(HEADER)
    store.put_events([Event.make("a", 1)])
    put(store, 0, 1)
    store.put_events([Event.make("a", 1), Event.make("a", 1, 7)])
    assert [e.sample for e in store.get_events()] == [2**31 - 1, -(2**31), 7]


def test_counts_beyond_32_bits() -> None:
    store = Store(1.0, 4000, first_sample=2**32 - 50)
    store.put_header(HEADER)
    put(store, 0, 49)
    assert not store.passed(2**32 - 1, 0)
    assert store.passed(2**32 - 2, 0)
    put(store, 49, 90)
    assert store.n_samples == 2**32 + 40
    assert taken(store.select(2**32 - 10, 39)) == list(range(40, 90))
    assert store.passed(39, 0)
    assert store.passed(2**32 - 2, 0)
    assert not store.passed(40, 0)
    assert not store.passed(2**32 - 1, 0)  # "never", as those write who wait for events
    with pytest.raises(NotThere):
        store.select(30, 40)


def test_flushing() -> None:
    store = Store(1.0, 4000)
    store.put_header(HEADER)
    put(store, 0, 10)
    store.put_events([Event.make("a", 1)])
    store.flush_samples()
    assert (store.n_samples, store.n_events) == (0, 1)
    store.flush_events()
    assert store.n_events == 0
    put(store, 0, 3)
    assert taken(store.everything()) == [0, 1, 2]
    store.flush()
    assert store.header is None
