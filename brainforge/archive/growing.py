"""An archive while it grows: shards sealed one by one, and the rest written when it ends.

``NAME.zarr/live/`` marks it as unfinished. A process that dies anywhere leaves a folder that the
next one can take over: what counts as sealed is in the journal and under its name, and `finish`
may be repeated until ``live/`` is gone.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt

from brainforge.archive import sealed
from brainforge.archive.document import (
    MNE_INFO,
    Contents,
    Segment,
    info_from_document,
    info_to_document,
)
from brainforge.archive.durable import refuse_existing, sync, write_durable, writing
from brainforge.archive.layout import LIVE, Layout, plan
from brainforge.archive.ledger import ledger_document
from brainforge.archive.live_folder import HEADER, clear_live, is_complete, lock
from brainforge.archive.manifest import digest
from brainforge.archive.sealed import Sealed
from brainforge.archive.shard import ShardError, decode, encode
from brainforge.archive.writer import describe
from brainforge.block import Mask
from brainforge.errors import InputError, ReadError
from brainforge.info import Info
from brainforge.recording import Annotation, Event, Gap

__all__ = ["Account", "GrowingArchive", "lock"]

#: version of ``live/``
VERSION: Final = 1
#: where damaged shards go, inside ``live/``
ASIDE: Final = "aside"
FULL: Final = "all that was acknowledged is kept"


@dataclass(frozen=True)
class Account:
    """What became of every sample of a recording, told when it ends.

    Parameters
    ----------
    start, stop : int
        Absolute samples that the device took from the first to the last, stop exclusive.
    gaps : tuple of Gap
        Those of them that never came, sorted and disjoint.
    exact : bool
        Whether all that rests on the device's counter; otherwise on time stamps.
    ledger : iterable of dict
        All notices, JSON-ready (`brainforge.acquisition.notice.Notice.to_dict`).
    events : tuple of Event
        Triggers that came beside the samples; those of trigger channels are found here.
    source : dict
        More about the source than was known at the start, JSON-ready.
    """

    start: int
    stop: int
    gaps: tuple[Gap, ...] = ()
    exact: bool = True
    ledger: Iterable[dict[str, Any]] = ()
    events: tuple[Event, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    masks: tuple[Mask, ...] = ()
    source: dict[str, Any] = field(default_factory=dict)

    def segments(self) -> tuple[Segment, ...]:
        """Return the stored stretches."""
        out: list[Segment] = []
        at, stored = self.start, 0
        for lo, hi in [*((gap.start, gap.stop) for gap in self.gaps), (self.stop, self.stop)]:
            if lo > at:
                out.append(Segment(at, lo, stored))
                stored += lo - at
            at = max(at, hi)
        return tuple(out)


class GrowingArchive:
    """Shards of one recording on their way to an archive. One process at a time, under `lock`.

    Use `create` or `resume`.

    Attributes
    ----------
    path, live : Path
        The archive and ``live/`` in it, whose further content belongs to the recorder.
    header : dict
        What was known at the start, as JSON: ``recording_id``, ``started``, ``source``, ...
    info : Info
    layout : Layout
        ``layout.samples`` stored samples make a shard.
    dtype : dtype
    recording_id : str
    damaged : tuple of int
        Shards found damaged by `resume` that are kept as they are, since later ones are whole.
    """

    def __init__(self, path: Path, header: dict[str, Any]) -> None:
        self.path, self.live, self.header = path, path / LIVE, header
        self.info, self.layout = _info_of(header), Layout(n_samples=0, **header["layout"])
        self.dtype = np.dtype(self.layout.dtype)
        self.recording_id = str(header["recording_id"])
        self.damaged: tuple[int, ...] = ()
        self._sealed: list[Sealed] = []

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        info: Info,
        dtype: Any,
        *,
        source: dict[str, Any],
        recording_id: str = "",
        shard_samples: int | None = None,
        ring: str = "",
    ) -> Self:
        """Make a new archive that holds nothing yet; it appears with a whole header, durably.

        Parameters
        ----------
        path : path-like
            Must not exist.
        info : Info
            Of the samples to come.
        dtype : dtype-like
            int16, int32, float32 or float64: the source's own.
        source : dict
            Where the samples come from, JSON-ready.
        recording_id : str
            32 hexadecimal digits; made where it is empty.
        shard_samples : int | None
            Samples of a shard, instead of about ten seconds.
        ring : str
            Where the samples wait that are not in the log yet.

        Raises
        ------
        OutputError
            The output exists or cannot be written.
        """
        path = Path(path)
        layout = plan(info.n_channels, info.sfreq, np.dtype(dtype).name)
        if shard_samples is not None:
            layout = replace(layout, samples=min(max(shard_samples, 1), layout.samples))
        header = _header(info, layout, source, recording_id or uuid.uuid4().hex, ring)
        refuse_existing(path)
        partial = path.with_name(f".{path.name}.new-{os.getpid()}")
        with writing(path):
            shutil.rmtree(partial, ignore_errors=True)
            try:
                (partial / "counts/c/0").mkdir(parents=True)
                (partial / LIVE).mkdir()
                write_durable(partial / LIVE / HEADER, json.dumps(header).encode())
                for folder in ("counts/c/0", "counts/c", "counts", ""):
                    sync(partial / folder)
                os.rename(partial, path)
            except BaseException:
                shutil.rmtree(partial, ignore_errors=True)
                raise
            sync(path.parent)
        return cls(path, header)

    @classmethod
    def resume(cls, path: str | os.PathLike[str], *, thorough: bool = False) -> Self:
        """Take over an archive that another process left.

        Parameters
        ----------
        path : path-like
        thorough : bool
            Compare every sealed shard with its checksum instead of the last one only.

        Raises
        ------
        ReadError
            There is no unfinished archive, or its header is damaged.
        """
        path = Path(path)
        archive = cls(path, read_header(path))
        archive._find_sealed(thorough)
        return archive

    @property
    def n_sealed(self) -> int:
        """Stored samples in sealed shards, from the first on."""
        return sum(entry.samples for entry in self._sealed)

    @property
    def complete(self) -> bool:
        """Whether only the removal of ``live/`` is missing."""
        return is_complete(self.path)

    def shard_path(self, shard: int) -> Path:
        """Return where a shard is or will be."""
        return self.path / self.layout.key(shard)

    def read_shard(self, shard: int) -> npt.NDArray[Any]:
        """Return a sealed shard's counts, axes (channel, sample).

        Raises
        ------
        ReadError
            It is damaged.
        """
        counts = read_shard(self.path, self.layout, shard)
        return counts[:, : self._sealed[shard].samples]

    def seal(self, shard: int, counts: npt.NDArray[Any]) -> None:
        """Store a shard; when this returns it is durable.

        Parameters
        ----------
        shard : int
            The next one, or the last one again where that was short.
        counts : array, axes (channel, sample)
            ``layout.samples`` samples; fewer only in the recording's last shard.

        Raises
        ------
        InputError
            It is not that shard's turn, or the counts do not fit.
        OutputError
            It could not be written; it may be tried again.
        """
        self._check(shard, counts)
        before = self._sealed[shard - 1] if shard else None
        data = encode(counts, self.layout)
        first = shard * self.layout.samples
        entry = sealed.describe_shard(shard, counts, data, self.info, first, before)
        path = self.shard_path(shard)
        with writing(self.path, FULL):
            sealed.append(self.live / sealed.NAME, entry)
            write_durable(path, data)
        self._sealed[shard:] = [entry]

    def _check(self, shard: int, counts: npt.NDArray[Any]) -> None:
        n, whole = len(self._sealed), self.layout.samples
        short = bool(n) and self._sealed[-1].samples < whole
        expected = got = ""
        if shard != (n - 1 if short else n):
            expected, got = f"shard {n - 1 if short else n}", f"shard {shard}"
        elif counts.dtype.newbyteorder("=") != self.dtype:
            expected, got = f"counts of dtype {self.dtype}", str(counts.dtype)
        elif counts.shape[0] != self.layout.n_channels or not 0 < counts.shape[1] <= whole:
            expected = f"{self.layout.n_channels} channels x 1 to {whole} samples"
            got = f"shape {counts.shape}"
        if got:
            raise InputError(where="seal", expected=expected, got=got)

    def finish(self, account: Account) -> None:
        """Write what an archive says besides its shards, make it durable, and remove ``live/``.

        It may be called again after a crash anywhere in it, with the shards sealed by then.

        Raises
        ------
        InputError
            Shards and account disagree about how many samples are stored, or there are none.
        OutputError
            Something could not be written; it may be tried again.
        """
        if not self.complete:
            contents = self._contents(account)
            layout = replace(self.layout, n_samples=self.n_sealed)
            shards = {layout.key(e.shard): (e.size, e.sha256) for e in self._sealed}
            with writing(self.path, FULL):
                self._sweep(layout.n_shards)
                describe(self.path, contents, layout, shards)
        clear_live(self.path)

    def _contents(self, account: Account) -> Contents:
        segments = account.segments()
        stored = sum(s.stop - s.start for s in segments)
        if stored != self.n_sealed or not stored:
            raise InputError(
                where=str(self.path),
                expected="as many samples in shards as the account says are stored",
                got=f"{self.n_sealed} and {stored}",
            )
        places = [(s.start, s.stop, s.stored) for s in segments]
        events = {*account.events, *sealed.events_of(self._sealed, places)}
        source = {
            **self.header["source"],
            **account.source,
            "recording_id": self.recording_id,
            "started": self.header["started"],
            "ledger": ledger_document(account.ledger, account.exact),
        }
        return Contents(
            self.info,
            account.start,
            account.stop,
            segments,
            account.gaps,
            tuple(sorted(events, key=lambda e: (e.sample, e.channel, e.code))),
            tuple(sorted(account.annotations, key=lambda a: a.start)),
            account.masks,
            source,
        )

    def _sweep(self, n_shards: int) -> None:
        """Remove what an earlier attempt to finish left."""
        for entry in self.path.iterdir():
            if entry.name in ("counts", LIVE):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        for entry in self.shard_path(0).parent.iterdir():
            if not entry.name.isdigit() or int(entry.name) >= n_shards:
                entry.unlink()

    def close(self) -> None:
        """Let go; everything is on the disk already, so that it can be resumed."""

    def _find_sealed(self, thorough: bool) -> None:
        known = sealed.read(self.live / sealed.NAME)
        n = 0
        while self.shard_path(n).is_file():
            n += 1
        for shard in range(n):
            last = shard == n - 1
            entry = self._whole(shard, known.get(shard), last, thorough or last)
            if entry is None and not last:
                entry = self._keep_damaged(shard, known.get(shard))
            if entry is None:
                self._set_aside(shard)
            elif entry.samples == self.layout.samples:
                self._sealed.append(entry)
            # a short one was the end of a recording that did not come to its end: its samples
            # are in the log still, from which it is sealed again

    def _whole(self, shard: int, entry: Sealed | None, last: bool, thorough: bool) -> Sealed | None:
        """Return what is to be said of a shard that is as it was written, else None."""
        path = self.shard_path(shard)
        if entry is not None and path.stat().st_size == entry.size and not thorough:
            return entry
        data = path.read_bytes()
        if entry is not None and digest(data) == entry.sha256:
            return entry
        if last:
            return None
        counts = np.empty((self.layout.n_channels, self.layout.samples), dtype=self.dtype)
        try:
            decode(data, self.layout, counts)
        except ShardError:
            return None
        if entry is not None:
            return None  # a whole shard, but not the one that was sealed
        first, before = shard * self.layout.samples, self._sealed[-1] if shard else None
        return sealed.describe_shard(shard, counts, data, self.info, first, before)

    def _keep_damaged(self, shard: int, entry: Sealed | None) -> Sealed:
        """Keep a damaged shard between whole ones, so that `verify` can say what it costs."""
        self.damaged = (*self.damaged, shard)
        if entry is not None:
            return entry
        data = self.shard_path(shard).read_bytes()
        last = self._sealed[-1].last if shard else ()
        return Sealed(shard, self.layout.samples, len(data), digest(data), (), last)

    def _set_aside(self, shard: int) -> None:
        aside = self.live / ASIDE
        aside.mkdir(exist_ok=True)
        os.replace(self.shard_path(shard), aside / f"{shard}-{time.time_ns()}")


def _header(
    info: Info, layout: Layout, source: dict[str, Any], recording_id: str, ring: str
) -> dict[str, Any]:
    mne_info = info.extra.get(MNE_INFO)
    return {
        "version": VERSION,
        "recording_id": recording_id,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "source": source,
        "ring": ring,
        "layout": {
            "n_channels": layout.n_channels,
            "dtype": layout.dtype,
            "rows": layout.rows,
            "samples": layout.samples,
            "codec": layout.codec,
        },
        "info": info_to_document(info),
        "mne_info": base64.b64encode(mne_info).decode() if isinstance(mne_info, bytes) else None,
    }


def _info_of(header: dict[str, Any]) -> Info:
    info = info_from_document(header["info"])
    if header["mne_info"] is not None:
        info.extra[MNE_INFO] = base64.b64decode(header["mne_info"])
    return info


def read_header(path: Path) -> dict[str, Any]:
    """Return the header of an archive that grows, checked as far as `GrowingArchive` needs it.

    Raises
    ------
    ReadError
        There is none, or it is damaged or of a newer version.
    """
    name = path / LIVE / HEADER
    try:
        header = json.loads(name.read_bytes())
        if int(header["version"]) != VERSION:
            raise ValueError(f"version {header['version']}")
        _info_of(header)
        Layout(n_samples=0, **header["layout"])
        str(header["recording_id"]), dict(header["source"]), str(header["started"])
    except OSError as error:
        raise ReadError(
            where=str(path), expected="an archive that is being recorded or was interrupted",
            got=f"no {LIVE}/{HEADER} ({error.strerror})",
        ) from error  # fmt: skip
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReadError(
            where=str(name), expected=f"a header of version {VERSION}", got=str(error)[:120]
        ) from error
    return header


def read_shard(path: Path, layout: Layout, shard: int) -> npt.NDArray[Any]:
    """Return a shard's counts, axes (channel, sample), padding included.

    Raises
    ------
    ReadError
        It is not there or damaged.
    """
    name = path / layout.key(shard)
    out = np.empty((layout.n_channels, layout.samples), dtype=layout.dtype)
    try:
        decode(name.read_bytes(), layout, out)
    except OSError as error:
        raise ReadError(where=str(name), expected="a shard", got=str(error.strerror)) from error
    except ShardError as error:
        raise ReadError(where=str(name), expected="a whole shard", got=str(error)) from error
    return out
