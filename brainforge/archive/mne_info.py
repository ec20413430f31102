"""MNE's measurement info: to our Info, to bytes that an archive can keep, and back."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.archive.document import MNE_INFO
from brainforge.archive.fif_tags import ID_STRUCT, walk
from brainforge.errors import ReadError
from brainforge.info import Channel, Info, Projector

#: MNE's channel types that are ours by another name; what is missing here is misc
KINDS = {
    "mag": "mag",
    "grad": "grad",
    "eeg": "eeg",
    "eog": "eog",
    "ecg": "ecg",
    "emg": "emg",
    "stim": "stim",
}
#: warnings that say nothing about the recording
IDLE = ("naming convention", "does not conform", "unpredictable behavior")


@contextmanager
def quiet_mne(notes: list[str] | None = None) -> Iterator[None]:
    """Keep MNE from printing and warning; what it would have warned of goes to ``notes``."""
    import mne

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with mne.utils.use_log_level("warning"):
            yield
    for warning in caught:
        text = " ".join(str(warning.message).split())
        if notes is not None and text not in notes and not any(i in text for i in IDLE):
            notes.append(text[:300])


def _kind(mne_info: Any, row: int) -> str:
    import mne

    kind = mne.channel_type(mne_info, row)
    if kind == "ref_meg":
        gradient = int(mne_info["chs"][row]["unit"]) == 201  # FIFF_UNIT_T_M
        return "ref_grad" if gradient else "ref_mag"
    return KINDS.get(kind, "misc")


def _geometry(loc: Any, kind: str, head_dev: Any) -> dict[str, Any]:
    """Return position and orientation in the device frame, where the file has them."""
    loc = np.asarray(loc, dtype=float)
    out: dict[str, Any] = {}
    if np.isfinite(loc).all() and loc.any():
        out["loc"] = tuple(loc.tolist())
    if not np.isfinite(loc[:3]).all() or not loc[:3].any():
        return out
    position = loc[:3]
    if kind in ("eeg", "eog", "ecg", "emg") and head_dev is not None:
        position = head_dev[:3, :3] @ position + head_dev[:3, 3]
    out["position"] = tuple(position.tolist())
    axis = loc[9:12]
    if kind in ("mag", "grad", "ref_mag", "ref_grad") and np.isfinite(axis).all() and axis.any():
        out["orientation"] = tuple((axis / np.linalg.norm(axis)).tolist())
    return out


def info_from_mne(mne_info: Any, *, counts: bool, rails: tuple[float, float] | None = None) -> Info:
    """Return our Info of an ``mne.Info``.

    Parameters
    ----------
    mne_info : mne.Info
    counts : bool
        Whether the samples are raw counts, which the channels' ``cal * range`` calibrates;
        otherwise they are in SI already.
    rails : tuple of 2 float | None
        What the converter can give at most, for channels with a signal.
    """
    trans = mne_info["dev_head_t"]
    dev_head = None if trans is None else np.asarray(trans["trans"], dtype=float)
    head_dev = None if dev_head is None else np.linalg.inv(dev_head)
    channels = []
    for row, ch in enumerate(mne_info["chs"]):
        kind = _kind(mne_info, row)
        channels.append(
            Channel(
                name=str(ch["ch_name"]),
                kind=kind,
                cal=float(ch["cal"]) * float(ch["range"]) if counts else 1.0,
                coil_type=int(ch["coil_type"]),
                bad=ch["ch_name"] in mne_info["bads"],
                rails=rails if kind not in ("stim", "misc") else None,
                **_geometry(ch["loc"], kind, head_dev),
            )
        )
    date, line = mne_info["meas_date"], mne_info["line_freq"]
    return Info(
        sfreq=float(mne_info["sfreq"]),
        channels=tuple(channels),
        line_freq=None if not line else float(line),
        highpass=float(mne_info["highpass"] or 0.0),
        lowpass=float(mne_info["lowpass"] or 0.0),
        dev_head_t=None if dev_head is None else tuple(map(tuple, dev_head.tolist())),
        projs=_projectors(mne_info),
        meas_date=None if date is None else date.isoformat(),
        device=str((mne_info["device_info"] or {}).get("type", "")),
        extra={MNE_INFO: pack(mne_info)},
    )


def _projectors(mne_info: Any) -> tuple[Projector, ...]:
    return tuple(
        Projector(
            str(p["desc"]),
            tuple(p["data"]["col_names"]),
            tuple(map(tuple, np.asarray(p["data"]["data"], dtype=float).tolist())),
        )
        for p in mne_info["projs"]
        if int(p["kind"]) == 1  # a field; average references of EEG are no spatial vectors
    )


def pack(mne_info: Any) -> bytes:
    """Return an ``mne.Info`` as the bytes of a FIF file, without who the subject is.

    Kept are channels, coils, transforms, projectors, compensation, digitised points and dates;
    left out are names, numbers and birthday of the subject, the experimenter, the addresses of
    the computers, and the samples of head-position measurements, many times larger than all that.
    """
    import mne

    info = mne_info.copy()
    subject = info["subject_info"] or {}
    with info._unlock():
        info["subject_info"] = {k: subject[k] for k in ("sex", "hand") if k in subject} or None
        info["experimenter"] = None
        info["hpi_meas"] = []
    with tempfile.TemporaryDirectory() as folder, quiet_mne():
        path = Path(folder) / "kept-info.fif"
        mne.io.write_info(path, info)
        return _without_machine(path)


def _without_machine(path: Path) -> bytes:
    """Return a FIF file with the network addresses blanked that its identifiers hold."""
    data = bytearray(path.read_bytes())
    for tag in walk(path):
        if tag.type == ID_STRUCT and tag.size == 20:
            data[tag.at + 4 : tag.at + 12] = bytes(8)
    return bytes(data)


def unpack(data: bytes) -> Any:
    """Return the ``mne.Info`` of bytes that `pack` made."""
    import mne

    with tempfile.TemporaryDirectory() as folder, quiet_mne():
        path = Path(folder) / "kept-info.fif"
        path.write_bytes(data)
        try:
            return mne.io.read_info(path)
        except Exception as error:  # MNE raises whatever the damaged bytes lead to
            raise ReadError(
                where=MNE_INFO,
                expected="the measurement info that was stored",
                got=str(error)[:200],
            ) from error
