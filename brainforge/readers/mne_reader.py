"""Every format that MNE reads. Native counts where the file has them, SI floats otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.archive.fif_tags import walk
from brainforge.archive.mne_info import info_from_mne, quiet_mne
from brainforge.errors import BrainForgeError, InputError, ReadError
from brainforge.info import Info
from brainforge.readers.checksum import describe
from brainforge.readers.events import find_events
from brainforge.readers.fif_data import FifReader, find_buffers
from brainforge.readers.hdf5_guard import check_hdf5, is_hdf5
from brainforge.recording import Annotation, Gap, Recording

SKIP = "BAD_ACQ_SKIP"
FIX = "check that it is a recording of a supported format, with the files that belong to it"


class MneReader:
    """SampleReader through ``mne.io.Raw``: float64 in SI, or counts where ``cal`` is given.

    Parameters
    ----------
    raw : mne.io.BaseRaw
    cal : array, axes (channel,) | None
        SI value of one count; then the samples come back as the integers the file holds.
    dtype : str
        dtype of the counts.
    """

    def __init__(self, raw: Any, cal: npt.NDArray[Any] | None = None, dtype: str = "float64"):
        self._raw, self._cal, self._dtype = raw, cal, np.dtype(dtype)
        self._lock = Lock()

    def read(self, start: int, stop: int) -> npt.NDArray[Any]:
        """Return samples [start, stop), absolute; axes (channel, sample)."""
        return self.read_rows(start, stop, slice(None))

    def read_rows(self, start: int, stop: int, rows: Any) -> npt.NDArray[Any]:
        """Return samples [start, stop) of some rows; axes (row, sample)."""
        first = self._raw.first_samp
        picks = np.arange(len(self._raw.ch_names))[rows]
        try:
            with self._lock, quiet_mne():
                data = self._raw.get_data(picks, start=start - first, stop=stop - first)
        except Exception as error:  # MNE raises whatever a damaged file leads to
            raise ReadError(
                where=str(self._raw.filenames[0]),
                expected=f"samples {start} to {stop}",
                got=f"{type(error).__name__}: {str(error)[:200]}",
                fix=FIX,
            ) from error
        return data if self._cal is None else self._counts(data, self._cal[rows], start)

    def _counts(
        self, data: npt.NDArray[Any], cal: npt.NDArray[Any], start: int
    ) -> npt.NDArray[Any]:
        whole = np.rint(data / cal[:, None])
        counts = whole.astype(self._dtype)
        if not np.array_equal(counts * cal[:, None], data):
            raise ReadError(
                where=str(self._raw.filenames[0]),
                expected=f"{self._dtype} counts",
                got=f"samples from {start} on that are none",
            )
        return counts


def _bti(path: Path) -> dict[str, Path] | None:
    """Return the files of a 4D/BTi recording, where ``path`` is one or its folder."""
    folder = path if path.is_dir() else path.parent
    names = [p for p in sorted(folder.iterdir()) if p.is_file()]
    config = [p for p in names if p.name == "config" or "config" in p.name.lower()]
    pdf = [
        p for p in names if "pdf" in p.name.lower() or p.name.lower().startswith(("c,rf", "e,rf"))
    ]
    shape = [p for p in names if p.name == "hs_file" or "_hs" in p.name.lower()]
    if path.is_file():
        pdf = [p for p in pdf if p == path]
    if len(pdf) != 1 or len(config) != 1:
        return None
    return {
        "pdf_fname": pdf[0],
        "config_fname": config[0],
        **({"head_shape_fname": shape[0]} if shape else {}),
    }


def _read_raw(path: Path) -> tuple[Any, list[Path], str]:
    """Return MNE's raw object, the files it was read from and the name of the format."""
    import mne

    if bti := _bti(path):
        raw = mne.io.read_raw_bti(**{"head_shape_fname": None, **bti})
        return raw, list(bti.values()), "4D/BTi"
    if path.is_dir() and path.suffix != ".ds":
        raise InputError(
            where=str(path),
            expected="a recording",
            got="a folder of files",
            fix="name the file inside it that holds the recording",
        )
    if path.suffix == ".fif":
        list(walk(path))  # a damaged chain of tags is told with its byte, before MNE stumbles
        raw = mne.io.read_raw_fif(path, allow_maxshield="yes")
    else:
        raw = mne.io.read_raw(path)
    files = [path] if path.is_file() else []
    files += [Path(f) for f in raw.filenames if f and Path(f).is_file() and Path(f) not in files]
    return (
        raw,
        files or sorted(p for p in path.rglob("*") if p.is_file()),
        type(raw).__name__[3:] or "FIF",
    )


@contextmanager
def _typed(path: Path) -> Iterator[None]:
    """Turn whatever MNE raises on a damaged or foreign file into one ReadError."""
    try:
        yield
    except BrainForgeError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())[:200] or type(error).__name__
        raise ReadError(where=str(path), expected="a recording", got=text, fix=FIX) from error


def _annotations(raw: Any) -> tuple[Annotation, ...]:
    """Return MNE's annotations in absolute samples.

    The onsets that a Raw hands out count from absolute sample 0, with or without a date.
    """
    sfreq = raw.info["sfreq"]
    out = []
    for note in raw.annotations:
        if note["description"] == SKIP:
            continue
        start = round(note["onset"] * sfreq)
        out.append(
            Annotation(start, start + max(round(note["duration"] * sfreq), 1), note["description"])
        )
    return tuple(sorted(out, key=lambda a: a.start))


def _native_cal(raw: Any, format_name: str) -> tuple[npt.NDArray[Any] | None, str]:
    """Return calibration and dtype of formats whose integers MNE hands out as floats."""
    if format_name == "BrainVision" and raw.orig_format == "short":
        return np.array(raw._cals, dtype=float), "int16"
    if format_name == "KIT":
        extras = raw._raw_extras[0]
        cal = np.asarray(extras.get("conv_factor", ()), dtype=float).ravel()
        dtype = np.dtype(extras.get("dtype", "float64")).name
        if cal.size and dtype in ("int16", "int32"):
            full = np.ones(len(raw.ch_names))
            full[: cal.size] = cal[: full.size]
            return full, dtype
    return None, ""


def _generic(raw: Any, format_name: str) -> tuple[Info, MneReader]:
    cal, dtype = _native_cal(raw, format_name)
    info = info_from_mne(raw.info, counts=False)
    if cal is not None and np.all(np.isfinite(cal)) and np.all(cal != 0):
        reader = MneReader(raw, cal, dtype)
        try:
            reader.read(raw.first_samp, min(raw.last_samp + 1, raw.first_samp + 1000))
        except ReadError:
            return info, MneReader(raw)
        limits = np.iinfo(dtype)
        rails = (float(limits.min), float(limits.max))
        channels = tuple(
            replace(c, cal=float(k), rails=None if c.kind in ("stim", "misc") else rails)
            for c, k in zip(info.channels, cal, strict=True)
        )
        return replace(info, channels=channels), reader
    return info, MneReader(raw)


def open_mne(path: Path) -> Recording:
    """Open a recording of any format that MNE reads.

    Samples keep the file's own type where it is known: FIF (int16, int32, float32, float64),
    BrainVision int16 and KIT; everything else is float64 in SI.

    Raises
    ------
    ReadError
        Where it cannot be read, with the byte at fault where that is known.
    """
    notes: list[str] = []
    with _typed(path):
        if path.is_file() and is_hdf5(path):
            check_hdf5(path)
        with quiet_mne(notes):
            raw, files, format_name = _read_raw(path)
        return _recording(path, raw, describe(files, format_name, notes))


def _recording(path: Path, raw: Any, source: dict[str, Any]) -> Recording:
    first, stop = int(raw.first_samp), int(raw.last_samp) + 1
    gaps: list[Gap] = []
    reader: FifReader | MneReader | None = None
    if raw.info["sfreq"] <= 0 or stop <= first:
        got = f"{raw.info['sfreq']} Hz and {stop - first} samples"
        raise ReadError(where=str(path), expected="samples at a positive rate", got=got)
    if path.suffix == ".fif":
        n = len(raw.ch_names)
        parts = [Path(f) for f in raw.filenames]
        buffers, gaps, dtype = find_buffers(parts, n, first)
        if dtype and buffers and buffers[-1].stop == stop:
            reader = FifReader(buffers, n, dtype)
            rails = (-32768.0, 32767.0) if dtype == "int16" else None
            info = info_from_mne(raw.info, counts=True, rails=rails)
    if reader is None:
        gaps = []
        info, reader = _generic(raw, source["format"])
    if raw.info.get("maxshield"):
        source["notes"].append(
            "recorded with MaxShield active: fields are distorted until SSS is applied"
        )
    recording = Recording(
        info,
        reader,
        first,
        stop,
        tuple(gaps),
        annotations=_annotations(raw),
        source=source,
    )
    return replace(recording, events=find_events(info, reader.read_rows, recording.segments))
