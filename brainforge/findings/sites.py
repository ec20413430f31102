"""Sites: places on the helmet. Several channels at one place (a planar pair, a triaxial OPM)
are one site, so that no direction counts twice.
"""  # noqa: D205

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.info import Info
from brainforge.units import MEG_KINDS, working_unit

Floats = npt.NDArray[np.float64]
_SAME_PLACE = 1e-3


@dataclass(frozen=True)
class Sites:
    """Places with the channels at them.

    Parameters
    ----------
    kind : str
        Kind of all the channels.
    members : tuple of tuple of str
        Channel names per site.
    positions : float64 array, axes (site, xyz)
        Device frame, metres; NaN where unknown.
    """

    kind: str
    members: tuple[tuple[str, ...], ...]
    positions: Floats

    @property
    def unit(self) -> str:
        """Working unit of the channels."""
        return working_unit(self.kind)

    @property
    def names(self) -> tuple[str, ...]:
        """Name of the first channel at each site."""
        return tuple(m[0] for m in self.members)

    def labels(self) -> tuple[str, ...]:
        """All channels of each site in one string."""
        return tuple(" + ".join(m) for m in self.members)

    def power(self, names: Sequence[str], power: npt.NDArray[np.floating]) -> Floats:
        """Return the mean power over the channels of each site, axes (..., site).

        ``power`` has axes (..., channel) over ``names``. Missing or non-finite channels are
        left out; NaN where a site has none.
        """
        column = {n: i for i, n in enumerate(names)}
        widest = max((len(m) for m in self.members), default=1)
        # column -1 is an extra channel of NaN
        table = np.full((len(self.members), widest), -1)
        for s, members in enumerate(self.members):
            table[s, : len(members)] = [column.get(m, -1) for m in members]
        values = np.asarray(power, dtype=np.float64)
        values = np.concatenate([values, np.full((*values.shape[:-1], 1), np.nan)], axis=-1)
        values = values[..., table]
        count = np.isfinite(values).sum(axis=-1)
        total = np.where(np.isfinite(values), values, 0.0).sum(axis=-1)
        return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def sites_of(info: Info, names: Sequence[str], kind: str, *, bads: bool = False) -> Sites:
    """Group the named channels of one kind by place; bad channels only where asked for.

    The kind ``"meg"`` stands for magnetometers and gradiometers together.

    Channels closer than 1 mm share a site; a channel without position is its own.
    """
    kinds = MEG_KINDS if kind == "meg" else (kind,)
    picked = [
        n for n in names if info.channel(n).kind in kinds and (bads or not info.channel(n).bad)
    ]
    positions = info.positions(picked)
    groups: dict[object, list[int]] = {}
    for i, position in enumerate(positions):
        known = bool(np.isfinite(position).all())
        place = tuple(np.round(position / _SAME_PLACE).astype(int)) if known else ("alone", i)
        groups.setdefault(place, []).append(i)
    members = tuple(tuple(picked[i] for i in rows) for rows in groups.values())
    first = [rows[0] for rows in groups.values()]
    return Sites(kind, members, positions[first].reshape(-1, 3))


def preferred_kind(info: Info, names: Sequence[str]) -> str | None:
    """Return the kind that findings rest on: planar gradiometers where they are in the majority
    (their largest signal lies above its source; Hamalainen et al. 1993, Rev Mod Phys
    65:413-497), then magnetometers, then EEG; None where there is none of them.
    """  # noqa: D205
    kinds = [info.channel(n).kind for n in names if not info.channel(n).bad]
    n_grad, n_mag = kinds.count("grad"), kinds.count("mag")
    if n_grad and n_grad >= n_mag:
        return "grad"
    if n_mag:
        return "mag"
    return "eeg" if "eeg" in kinds else None
