"""Feedback: one number for the person in the helmet, with what it rests on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.errors import InputError
from brainforge.findings.regions import REGIONS, regions
from brainforge.info import Info
from brainforge.live.recent import Recent
from brainforge.measures.rolling import Rolling
from brainforge.recipe import Recipe
from brainforge.units import working_unit

#: share of its channel-samples that have to be believed
LEAST = 0.5


@dataclass(frozen=True)
class Value:
    """A feedback value of one moment.

    Parameters
    ----------
    value : float | None
        None where it is not to be believed.
    coverage : float
        Share of its channel-samples that could be believed, 0 to 1.
    stop : int
        Absolute source sample one past the newest in it.
    """

    value: float | None
    coverage: float
    stop: int


def picked(info: Info, wanted: Sequence[str], where: str) -> tuple[str, ...]:
    """Return the channels that a list of channels and regions names.

    Raises
    ------
    InputError
        A name that is neither, or a region without a channel.
    """
    region = regions(info, info.names)
    out: list[str] = []
    for name in wanted:
        if name in info.names:
            out.append(name)
        elif found := [n for n in info.names if region.get(n) == name]:
            out += found
        else:
            known = f"one of {', '.join(REGIONS)} where positions are known, or a channel"
            raise InputError(where=where, expected=known, got=repr(name))
    return tuple(dict.fromkeys(out))


class Feedback:
    """The feedback value that a recipe declares.

    Parameters
    ----------
    recipe : Recipe
    info : Info
        Of the cleaned channels.
    sfreq : float
        Of the working signal that `power` is given.

    Raises
    ------
    InputError
        Channels or regions that are not there.
    """

    def __init__(self, recipe: Recipe, info: Info, sfreq: float) -> None:
        live = recipe.live
        self.kind, self.band = live.feedback, live.feedback_band
        low, high, _ = recipe.bands[self.band]
        first = picked(info, live.feedback_picks, "recipe key live.feedback_picks")
        if self.kind == "power":  # densities of one unit only can be averaged
            first = tuple(n for n in first if info.channel(n).kind == info.channel(first[0]).kind)
        #: channels by group
        self.groups: tuple[tuple[str, ...], ...] = (first,)
        if self.kind != "power":
            other = picked(info, live.feedback_with, "recipe key live.feedback_with")
            self.groups = (first, tuple(n for n in other if n not in first))
        self._info, self._rows = info, [info.rows(g) for g in self.groups]
        self.n_window = round(live.feedback_window_s * sfreq)
        freqs = np.fft.rfftfreq(self.n_window, 1 / sfreq)
        self._bins = (freqs >= low - 1e-9) & (freqs <= high + 1e-9)
        self._taper = np.hanning(self.n_window + 1)[:-1].astype(np.float32)
        self._scale = 2.0 / (sfreq * float(np.square(self._taper).sum()))
        self.last = Value(None, 0.0, 0)

    @property
    def unit(self) -> str:
        """Unit of the value."""
        if self.kind != "power":
            return ""
        unit = working_unit(self._info.channel(self.groups[0][0]).kind)
        return f"({unit})**2/Hz" if "/" in unit else f"{unit}**2/Hz"

    def describe(self) -> dict[str, Any]:
        """Return what it is, JSON-ready."""
        return {
            "kind": self.kind, "band": self.band, "unit": self.unit,
            "groups": [list(g) for g in self.groups],
        }  # fmt: skip

    def power(self, recent: Recent, bads: Sequence[str], stop: int) -> Value:
        """Return the mean density of the band over the first group, in the last window."""
        rows = self._good(0, bads)
        if recent.stop is None or not len(rows):
            return self._put(None, 0.0, stop)
        x, good = recent.window(recent.stop - self.n_window, recent.stop)
        x, coverage = x[rows], float(good[rows].mean())
        if coverage < LEAST:
            return self._put(None, coverage, stop)
        spectrum = np.fft.rfft((x - x.mean(axis=1, keepdims=True)) * self._taper, axis=1)
        power = np.square(np.abs(spectrum[:, self._bins])).mean() * self._scale
        return self._put(float(power), coverage, stop)

    def connectivity(self, rolling: Rolling, bads: Sequence[str], coverage: float) -> Value:
        """Return the mean of the pairs between both groups; |imcoh| for imaginary coherence."""
        rows = [self._good(i, bads) for i in range(2)]
        believed = not rolling.collecting and coverage >= LEAST
        if not believed or not all(map(len, rows)) or self.band not in rolling.bands:
            return self._put(None, coverage, rolling.stop)
        i, j = (a.ravel() for a in np.meshgrid(*rows))
        i, j = np.minimum(i, j), np.maximum(i, j)
        of = {"coh": rolling.coherence, "imcoh": rolling.imcoh, "wpli": rolling.wpli}
        values = np.abs(of[self.kind])
        pairs = i * (2 * len(rolling.names) - i - 1) // 2 + j - i - 1
        value = values[rolling.bands.index(self.band), pairs].mean()
        return self._put(float(value), coverage, rolling.stop)

    def state(self) -> dict[str, Any]:
        """Return a checkpoint."""
        return {"last": [self.last.value, self.last.coverage, self.last.stop]}

    def restore(self, state: dict[str, Any]) -> None:
        """Continue from a checkpoint."""
        self.last = Value(*state["last"])

    def _good(self, group: int, bads: Sequence[str]) -> npt.NDArray[np.intp]:
        names, bad = self.groups[group], set(bads)
        return self._rows[group][[n not in bad for n in names]]

    def _put(self, value: float | None, coverage: float, stop: int) -> Value:
        self.last = Value(value, coverage, stop)
        return self.last
