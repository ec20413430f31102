"""A Recording as ``mne.io.Raw``: SI units, channels by name, nothing invented in the gaps."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.archive.document import MNE_INFO
from brainforge.archive.mne_info import quiet_mne, unpack
from brainforge.info import Info
from brainforge.recording import Recording

#: MNE's own word for a stretch without samples; its filters and its FIF writer step over it
GAP = "BAD_ACQ_SKIP"
FIFF_TYPES = {"mag": "mag", "grad": "grad", "ref_mag": "ref_meg", "ref_grad": "ref_meg"}
BLOCK_SECONDS = 10.0
Mark = tuple[int, int, str, tuple[str, ...] | None]


def mne_info(info: Info) -> Any:
    """Return an ``mne.Info`` of ours.

    Where the recording came from MNE its own measurement info is the base, so that digitised
    points, compensation and dates are kept; what our Info says of bads, geometry and mains wins.
    """
    import mne

    kept = info.extra.get(MNE_INFO)
    with quiet_mne():
        base = unpack(kept) if isinstance(kept, bytes) else None
        if base is not None and set(info.names) <= set(base["ch_names"]):
            base = mne.pick_info(base, [base["ch_names"].index(n) for n in info.names])
        else:
            kinds = [FIFF_TYPES.get(c.kind, c.kind) for c in info.channels]
            base = mne.create_info(list(info.names), info.sfreq, kinds)
        with base._unlock():
            _fill(base, info)
        base._check_consistency()
    return base


def _fill(base: Any, info: Info) -> None:
    import mne

    for ch, channel in zip(base["chs"], info.channels, strict=True):
        if channel.loc is not None:
            ch["loc"] = np.array(channel.loc, dtype=float)
        if channel.coil_type:
            ch["coil_type"] = _named(ch["coil_type"], channel.coil_type)
        ch["cal"] = ch["range"] = 1.0  # the samples are in SI already
    base["bads"] = list(info.bads)
    base["sfreq"] = info.sfreq
    base["line_freq"] = info.line_freq
    if base["dev_head_t"] is None and info.dev_head_t is not None:
        base["dev_head_t"] = mne.transforms.Transform("meg", "head", np.array(info.dev_head_t))
    if base["meas_date"] is None and info.meas_date:
        from datetime import datetime

        base["meas_date"] = datetime.fromisoformat(info.meas_date)
    if info.subject:
        base["subject_info"] = {**(base["subject_info"] or {}), "his_id": info.subject}
    if not base["projs"]:
        base["projs"] = [_projection(p) for p in info.projs if set(p.names) <= set(info.names)]


def _named(current: Any, coil_type: int) -> Any:
    from mne.io.constants import FIFF

    known = {int(v): v for name, v in FIFF.items() if name.startswith("FIFFV_COIL_")}
    return known.get(coil_type, current)


def _projection(projector: Any) -> Any:
    import mne

    data = np.array(projector.vectors, dtype=float)
    return mne.Projection(
        active=False,
        kind=1,
        desc=projector.description,
        data={
            "nrow": data.shape[0],
            "ncol": data.shape[1],
            "row_names": None,
            "col_names": list(projector.names),
            "data": data,
        },
    )


def _samples(recording: Recording) -> Any:
    """Return all samples in SI, axes (channel, sample); NaN where there are none."""
    data = np.full((recording.info.n_channels, recording.n_samples), np.nan)
    for block in recording.blocks(max(round(BLOCK_SECONDS * recording.info.sfreq), 1)):
        at = block.start - recording.start
        data[:, at : at + block.data.shape[1]] = block.to_si()
    return data


def to_raw(recording: Recording) -> Any:
    """Return the whole recording as ``mne.io.RawArray``, held in memory.

    Parameters
    ----------
    recording : Recording

    Returns
    -------
    raw : mne.io.RawArray
        SI units; ``first_samp`` is the recording's absolute start, so sample indices agree.
        Gaps hold NaN, never zeros, and carry the annotation ``BAD_ACQ_SKIP``, which MNE's
        filters, epochs and spectra leave out. Masks become ``BAD_<cause>`` annotations with
        their channels, annotations keep their labels. Triggers are in the stim channels as
        recorded, and each is annotated by its code where no stim channel is left.
    """
    import mne

    info = mne_info(recording.info)
    sfreq = recording.info.sfreq
    with quiet_mne():
        raw = mne.io.RawArray(_samples(recording), info, first_samp=recording.start)
        marks: list[Mark] = [(g.start, g.stop, GAP, None) for g in recording.gaps]
        marks += [(m.start, m.stop, f"BAD_{m.cause}", m.channels) for m in recording.masks]
        marks += [(a.start, a.stop, a.label, None) for a in recording.annotations]
        if not recording.info.names_of("stim"):
            marks += [(e.sample, e.sample, str(e.code), None) for e in recording.events]
        # onsets count from the measurement's date where there is one, else from the first sample
        dated = info["meas_date"] is not None
        zero = 0 if dated else recording.start
        raw.set_annotations(
            mne.Annotations(
                [(m[0] - zero) / sfreq for m in marks],
                [(m[1] - m[0]) / sfreq for m in marks],
                [m[2] for m in marks],
                orig_time=info["meas_date"],
                ch_names=[m[3] or () for m in marks],
            )
        )
    return raw
