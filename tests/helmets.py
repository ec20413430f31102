"""Simulated helmets for tests, as arrays and as MNE objects."""

from __future__ import annotations

import numpy as np

from brainforge.info import Channel, Info

COIL_QUSPIN = 8002


def helmet(n, seed=0, radius=0.1):
    """Return positions and orientations of point magnetometers on a half sphere."""
    rng = np.random.default_rng(seed)
    outwards = rng.standard_normal((n, 3))
    outwards[:, 2] = np.abs(outwards[:, 2]) - 0.3
    outwards /= np.linalg.norm(outwards, axis=1)[:, None]
    axes = outwards + 0.2 * rng.standard_normal((n, 3))
    return radius * outwards, axes / np.linalg.norm(axes, axis=1)[:, None]


def helmet_info(n, seed=0, **fields):
    """Return an Info of OPM magnetometers."""
    positions, axes = helmet(n, seed)
    channels = tuple(
        Channel(
            f"OPM{i:03d}",
            "mag",
            position=tuple(map(float, p)),
            orientation=tuple(map(float, a)),
            coil_type=COIL_QUSPIN,
        )
        for i, (p, a) in enumerate(zip(positions, axes))
    )
    return Info(250.0, channels, **fields)


def to_mne(info):
    """Return MNE's info of magnetometers with the same geometry."""
    import mne

    out = mne.create_info(list(info.names), info.sfreq, "mag", verbose="error")
    for row, channel in zip(out["chs"], info.channels):
        axis = np.array(channel.orientation)
        side = np.cross(axis, [1.0, 0.3, 0.1])
        side /= np.linalg.norm(side)
        row["loc"][:] = np.r_[channel.position, side, np.cross(axis, side), axis]
        row["coil_type"] = channel.coil_type
    with out._unlock():
        out["dev_head_t"] = mne.transforms.Transform("meg", "head", np.eye(4))
    out["bads"] = list(info.bads)
    return out
