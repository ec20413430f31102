"""Two-stage design: a short anti-alias filter at the source rate, a sharp one after decimation.

The sharp filter carries the inverse of the short one's droop, so that the short one need not
be flat in the pass band and can be much shorter than a plain anti-alias filter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from brainforge.errors import KernelInputError
from brainforge.kernels.fir_design import Taps, amplitude, design_fir, fit_band

#: what may alias into the pass band, and how far the product may miss the target
ALIAS = 1e-4
DROOP_ERROR = 1e-5
_BETA = 8.5  # Kaiser window whose side lobes are below -85 dB
_ATTENUATION = 85.0
_GRID = 512  # frequencies per output rate at which aliases are judged
_LONGEST = 200  # taps of the first stage per unit of k


@dataclass(frozen=True)
class TwoStage:
    """Filters of a decimation by ``k``.

    The definition, in float64, of what they compute of a signal x at absolute source indices
    n (both filters centred, so that the whole has zero phase)::

        y1[m] = sum_i h1[i] * x[m * k + c1 - i]      c1 = (len(h1) - 1) / 2
        y[m]  = sum_j h2[j] * y1[m + c2 - j]         c2 = (len(h2) - 1) / 2

    for every integer m: output sample m lies at source sample m * k.

    Parameters
    ----------
    sfreq : float
        Source rate in Hz.
    k : int
        Source samples per output sample.
    h1, h2 : float64 arrays, axes (tap,)
        Symmetric, of odd length; at ``sfreq`` and at ``sfreq / k``.
    target : float64 array, axes (tap,)
        The response aimed at, as taps at ``sfreq / k``.
    """

    sfreq: float
    k: int
    h1: Taps
    h2: Taps
    target: Taps

    @property
    def half_length(self) -> int:
        """Source samples on each side that one output sample depends on."""
        return (len(self.h1) - 1) // 2 + self.k * ((len(self.h2) - 1) // 2)

    def response(self, freqs: Taps) -> Taps:
        """Return the amplitude response at source frequencies ``freqs`` in Hz.

        Above half the output rate it is the gain with which that frequency aliases.
        """
        return amplitude(self.h1, freqs, self.sfreq) * amplitude(
            self.h2, freqs, self.sfreq / self.k
        )

    def impulse(self) -> Taps:
        """Return the joint impulse response at the source rate."""
        up = np.zeros((len(self.h2) - 1) * self.k + 1)
        up[:: self.k] = self.h2
        return np.convolve(up, self.h1)


def _slope(f: Taps, h_freq: float, h_trans: float) -> Taps:
    """Return about the gain that the target has at ``f``: 1, then down to 0."""
    return 0.5 + 0.5 * np.cos(np.pi * np.clip((f - h_freq) / h_trans, 0, 1))


def _anti_alias(sfreq: float, k: int, h_freq: float, h_trans: float) -> Taps:
    """Return the shortest Kaiser windowed sinc that keeps aliases of the pass band below ALIAS."""
    fw = sfreq / k
    stop = fw - (h_freq + h_trans)
    # A grid of fw / _GRID Hz holds every frequency of the band and all that fold onto it.
    band = np.arange(int((h_freq + h_trans) / fw * _GRID) + 1)
    gain = _slope(band * fw / _GRID, h_freq, h_trans)
    images = np.abs(np.add.outer(np.arange(1, k // 2 + 1)[:, None] * _GRID, [-band, band]))
    images = np.minimum(images, k * _GRID - images)
    for n in range(3, _LONGEST * k, 2 * max(1, k // 16)):
        width = (_ATTENUATION - 7.95) / (14.36 * (n - 1)) * sfreq
        cutoff = stop - width / 2
        if cutoff <= 0:
            continue
        taps = np.sinc(2 * cutoff / sfreq * (np.arange(n) - n // 2)) * np.kaiser(n, _BETA)
        taps /= taps.sum()
        response = np.abs(np.fft.rfft(taps, k * _GRID))
        own = response[band]
        if own.min() > 0.05 and (response[images] * (gain / own)).max() <= ALIAS:
            return taps
    raise KernelInputError(
        where="decimation",
        expected=f"a pass band that ends clearly below {fw / 2:g} Hz",
        got=f"{h_freq:g} Hz with a transition of {h_trans:g} Hz",
        fix="decimate less or lower h_freq",
    )


@lru_cache(maxsize=32)
def _first_stage(sfreq: float, k: int, h_freq: float, h_trans: float) -> tuple[Taps, Taps]:
    """Return the anti-alias filter and the inverse of its droop; searched for once, then kept."""
    h1 = _anti_alias(sfreq, k, h_freq, h_trans)
    inverse = _inverse_droop(h1, sfreq, k, h_freq + h_trans)
    h1.flags.writeable = inverse.flags.writeable = False
    return h1, inverse


def _inverse_droop(h1: Taps, sfreq: float, k: int, stop: float) -> Taps:
    """Return short symmetric taps at ``sfreq / k`` that undo ``h1`` on [0, stop] Hz."""
    fw = sfreq / k
    f = np.linspace(0, fw / 2, 1024)
    inside = f <= stop
    h = amplitude(h1, f, sfreq)
    # Above the stop edge only the size is held, so that the stop band is not lifted.
    weight = np.where(inside, 1.0, 1e-6)
    for half in range(2, 128, 2):
        basis = np.cos(2 * np.pi / fw * np.outer(f, np.arange(half + 1)))
        left = basis * (h * weight)[:, None]
        right = np.where(inside, 1.0, 0.0) * weight
        coef = np.linalg.lstsq(left, right, rcond=1e-13)[0]
        if np.abs(basis[inside] @ coef * h[inside] - 1).max() < DROOP_ERROR:
            return np.concatenate([coef[:0:-1] / 2, coef[:1], coef[1:] / 2])
    raise KernelInputError(
        where="decimation",
        expected="a first stage that can be inverted in the pass band",
        got=f"a gain of {h[inside].min():.3g} at {stop:g} Hz",
        fix="decimate less or lower h_freq",
    )


def fit_decimated_band(fw: float, h_freq: float, h_trans: float | None) -> tuple[float, float]:
    """Return the upper edge and its transition that an output rate of ``fw`` Hz has room for.

    Without a given width, at most half of what is left below the Nyquist rate: the rest keeps
    aliases away. With MNE's rule 100 Hz at 250 Hz would end exactly at Nyquist.
    """
    if h_freq >= fw / 2:
        h_freq = fit_band(fw, h_freq)[0]
    if h_trans is None:
        h_trans = min(0.25 * h_freq, (fw / 2 - h_freq) / 2)
    return fit_band(fw, h_freq, h_trans)


def design_two_stage(
    sfreq: float,
    k: int,
    l_freq: float | None,
    h_freq: float | None,
    *,
    l_trans: float | None = None,
    h_trans: float | None = None,
    notch: Sequence[float] = (),
    notch_width: float = 0.5,
    notch_trans: float = 1.0,
    length_s: float | None = None,
) -> TwoStage:
    """Design band-pass, notches and decimation by ``k`` as two linear-phase filters.

    Parameters
    ----------
    sfreq : float
        Source rate in Hz.
    k : int
        Source samples per output sample; 1 gives a trivial first stage and plain
        `design_fir` as the second.
    l_freq, h_freq, l_trans, notch, notch_width, notch_trans, length_s
        As in `design_fir`, at the output rate; a decimation needs ``h_freq``.
    h_trans : float | None
        None for what `fit_decimated_band` chooses where k is above 1, MNE's rule for k = 1.

    Returns
    -------
    TwoStage
        Aliases into the pass band are at least 80 dB down and the joint response is within
        1e-5 (relative) of the target up to the end of the upper transition.
    """
    if k < 1 or int(k) != k:
        raise KernelInputError(where="k", expected="a whole number, at least 1", got=f"{k}")
    fw = sfreq / k
    if k > 1:
        if h_freq is None:
            raise KernelInputError(
                where="h_freq", expected="a number of Hz for a decimation", got="None"
            )
        h_freq, h_trans = fit_decimated_band(fw, h_freq, h_trans)
    target = design_fir(
        fw,
        l_freq,
        h_freq,
        l_trans=l_trans,
        h_trans=h_trans,
        notch=notch,
        notch_width=notch_width,
        notch_trans=notch_trans,
        length_s=length_s,
    )
    if h_freq is None or h_trans is None or k == 1:
        return TwoStage(sfreq, 1, np.ones(1), target, target)
    h1, inverse = _first_stage(sfreq, k, h_freq, h_trans)
    return TwoStage(sfreq, k, h1, np.convolve(target, inverse), target)
