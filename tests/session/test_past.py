"""What has left the ring is read from the recording, whatever state it is in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition.ring import Overrun, State
from brainforge.archive import import_recording
from brainforge.errors import ReadError
from brainforge.info import Channel, Info
from brainforge.recording import Event, Gap, recording_from_array
from brainforge.session.past import Past, Whole, cut

SFREQ, N = 100.0, 3500
INFO = Info(SFREQ, tuple(Channel(f"M{i}", "mag", cal=1e-15) for i in range(3)))
GAPS = (Gap(400, 412, "lost"), Gap(2000, 2300, "lost"))


@pytest.fixture
def archive(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """Return a finished archive and its samples, axes (sample, channel), by absolute index."""
    data = np.random.default_rng(1).integers(-999, 999, (3, N), dtype=np.int16)
    recording = recording_from_array(data, INFO, gaps=GAPS, events=(Event(700, 3, "STI"),))
    return import_recording(recording, tmp_path / "a.zarr"), data.T


def test_cut() -> None:
    spans = [(10, 20), (25, 30), (40, 41)]
    assert cut(spans, 0, 16) == [(10, 20, 0), (25, 30, 10), (40, 41, 15)]
    assert cut(spans, 9, 12) == [(19, 20, 9), (25, 27, 10)]
    assert cut(spans, 16, 20) == []


@pytest.mark.parametrize("size", [7, 250, 1000, 5000])
def test_a_finished_recording_is_read_in_any_pieces(archive, size: int) -> None:
    path, data = archive
    past, at = Past(path), 0
    stored = N - 312
    while at < stored:
        got = past.read(at, min(at + size, stored))
        assert got[0].stored == at
        for stretch in got:
            stop = stretch.start + len(stretch.data)
            assert np.array_equal(stretch.data, data[stretch.start : stop])
            assert not any(g.start < stop and g.stop > stretch.start for g in GAPS)
            at += len(stretch.data)
    assert at == stored


def test_what_is_not_there_is_refused(archive, monkeypatch) -> None:
    path, _ = archive
    monkeypatch.setattr("brainforge.session.past.WAIT_S", 0.0)
    with pytest.raises((ReadError, OSError)):
        Past(path).read(10_000, 10_100)


def test_a_finished_recording_where_a_ring_was(archive) -> None:
    whole = Whole(archive[0])
    assert (whole.received, whole.state) == (N - 312, State.ENDED)
    assert whole.events(0) == (1, [(700, 3, "STI")])
    assert whole.events(1) == (1, [])
    with pytest.raises(Overrun):
        whole.read(0, 10)
