"""A working copy held in memory, and the one that a real recording gives (made with MNE)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from brainforge.block import Block, Mask
from brainforge.info import Channel, Info, Projector


@dataclass(frozen=True)
class MemoryWorking:
    """Blocks cut out of an array at given lengths; ``masks`` in absolute samples."""

    info: Info
    data: np.ndarray
    start: int = 0
    size: int = 3000
    masks: tuple[Mask, ...] = ()
    gaps: tuple[tuple[int, int], ...] = ()

    @property
    def segments(self):
        """Continuous stretches in absolute samples."""
        out, at = [], self.start
        for a, b in self.gaps:
            out.append((at, a))
            at = b
        return (*out, (at, self.start + self.data.shape[1]))

    @property
    def n_samples(self):
        """Samples that are there."""
        return sum(b - a for a, b in self.segments)

    def blocks(self) -> Iterator[Block]:
        """Yield blocks that end at multiples of the size."""
        for a, b in self.segments:
            at = a
            while at < b:
                end = min(b, (at // self.size + 1) * self.size)
                part = self.data[:, at - self.start : end - self.start]
                masks = tuple(m for m in self.masks if m.start < end and m.stop > at)
                yield Block(part, self.info, at, masks)
                at = end


def sample_working(folder, *, references: bool = True) -> tuple[MemoryWorking, np.ndarray]:
    """Return the MEGIN sample recording at 300 Hz, 1-100 Hz, and its 31 trigger samples."""
    import mne

    path = folder / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error")
    events = mne.find_events(raw, "STI 014", verbose="error")[:, 0] - raw.first_samp
    raw.pick(["meg", "eog"] if references else ["meg"])
    raw.filter(1.0, 100.0, verbose="error")
    factor = {"mag": 1e15, "grad": 1e13, "eog": 1e6}
    channels = []
    for ch, kind in zip(raw.info["chs"], raw.get_channel_types()):
        position = None if kind == "eog" else tuple(float(v) for v in ch["loc"][:3])
        bad = ch["ch_name"] == "MEG 2443"
        channels.append(Channel(ch["ch_name"], kind, position=position, bad=bad))
    projs = tuple(
        Projector(
            p["desc"],
            tuple(p["data"]["col_names"]),
            tuple(tuple(map(float, row)) for row in p["data"]["data"]),
        )
        for p in raw.info["projs"]
    )
    info = Info(
        sfreq=raw.info["sfreq"] / 2,
        channels=tuple(channels),
        line_freq=60.0,
        highpass=1.0,
        lowpass=100.0,
        dev_head_t=tuple(map(tuple, raw.info["dev_head_t"]["trans"].tolist())),
        projs=projs,
        decim=2,
    )
    scale = np.array([factor[c.kind] for c in channels])[:, None]
    data = (raw.get_data()[:, ::2] * scale).astype(np.float32)
    return MemoryWorking(info, data), events


def file_projection(info: Info):
    """Return the matrix of a file's SSP projectors over its good MEG channels, and their names."""
    names = info.names_of("mag", "grad", bads=False)
    vectors = np.zeros((len(names), 0))
    for proj in info.projs:
        for row in proj.vectors:
            column = np.zeros(len(names))
            for name, value in zip(proj.names, row):
                if name in names:
                    column[names.index(name)] = value
            vectors = np.column_stack([vectors, column])
    q = np.linalg.qr(vectors)[0]
    return names, np.eye(len(names)) - q @ q.T
