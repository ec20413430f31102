"""Linear-phase FIR design: band-pass and notches in one windowed-sinc response.

The lengths and edges follow MNE-Python's ``firwin`` design (Hamming, length 3.3 over the
transition width), so that the taps agree with ``mne.filter.create_filter``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError

Taps = npt.NDArray[np.float64]

#: length of a Hamming windowed sinc times its transition width (Ifeachor & Jervis)
LENGTH_FACTOR = 3.3
#: share of the Nyquist rate that a pass band may reach when its edges have to shrink
WIDEST = 0.8


def fit_band(sfreq: float, h_freq: float, h_trans: float | None = None) -> tuple[float, float]:
    """Shrink an upper band edge and its transition so that they end by the Nyquist rate.

    Parameters
    ----------
    sfreq : float
        Sampling rate in Hz.
    h_freq : float
        Upper edge of the pass band in Hz.
    h_trans : float | None
        Width of the transition above it; None for ``max(h_freq / 4, 2)``.

    Returns
    -------
    h_freq, h_trans : float
        An edge above 0.8 of the Nyquist rate whose transition does not fit moves down to 0.8
        of it; the transition then ends at the Nyquist rate at the latest.
    """
    nyquist = sfreq / 2
    auto = h_trans is None
    width = max(0.25 * h_freq, 2.0) if h_trans is None else h_trans
    if h_freq >= nyquist or (not auto and h_freq + width > nyquist and h_freq > WIDEST * nyquist):
        h_freq = WIDEST * nyquist
    return h_freq, min(width, nyquist - h_freq)


def default_l_trans(l_freq: float) -> float:
    """Return the width in Hz of the transition below ``l_freq``, as MNE chooses it."""
    return min(max(0.25 * l_freq, 2.0), l_freq)


def _low_pass(n_taps: int, cutoff: float, sfreq: float) -> Taps:
    """Return a Hamming windowed sinc of unit gain at 0 Hz; ``cutoff`` is its -6 dB point."""
    m = np.arange(n_taps) - (n_taps - 1) / 2
    taps: Taps = np.sinc(2 * cutoff / sfreq * m) * np.hamming(n_taps)
    return taps / taps.sum()


def _transition_length(width: float, sfreq: float) -> int:
    return round(LENGTH_FACTOR * sfreq / width) | 1


def _add_centred(total: Taps, part: Taps, sign: float, width: float) -> None:
    if len(part) > len(total):
        raise KernelInputError(
            where="length_s",
            expected=f"at least {len(part)} taps for a transition of {width:g} Hz",
            got=f"{len(total)} taps",
            fix="make the filter longer or the transition wider",
        )
    at = (len(total) - len(part)) // 2
    total[at : at + len(part)] += sign * part


def amplitude(taps: Taps, freqs: npt.ArrayLike, sfreq: float) -> Taps:
    """Return the zero-phase amplitude response of symmetric taps at ``freqs`` in Hz."""
    m = np.arange(len(taps)) - (len(taps) - 1) / 2
    phase = 2 * np.pi / sfreq * np.multiply.outer(np.asarray(freqs, dtype=np.float64), m)
    response: Taps = np.cos(phase) @ taps
    return response


def _check_band(sfreq: float, l_freq: float | None, h_freq: float | None) -> None:
    if not (math.isfinite(sfreq) and sfreq > 0):
        raise KernelInputError(where="sfreq", expected="a positive number of Hz", got=f"{sfreq}")
    for name, edge in (("l_freq", l_freq), ("h_freq", h_freq)):
        if edge is not None and not (math.isfinite(edge) and edge > 0):
            raise KernelInputError(
                where=name, expected="a positive number of Hz or None", got=f"{edge}"
            )
    if l_freq is not None and l_freq >= min(h_freq or np.inf, sfreq / 2):
        raise KernelInputError(
            where="l_freq",
            expected="a lower edge below the upper one and below the Nyquist rate",
            got=f"{l_freq:g} Hz with h_freq {h_freq} and a rate of {sfreq:g} Hz",
        )


_Edge = tuple[float | None, float | None]


def _widths(low: _Edge, high: _Edge, notch_trans: float | None) -> list[float]:
    """Return the widths of all transitions there are; edges are given as (edge, width)."""
    widths = [w for edge, w in (low, high) if edge is not None and w is not None]
    if notch_trans is not None:
        widths.append(notch_trans)
    below_zero = low[0] is not None and low[1] is not None and low[1] > low[0]
    if below_zero or any(w <= 0 for w in widths):
        raise KernelInputError(
            where="transitions",
            expected="positive widths that end above 0 Hz",
            got=", ".join(f"{w:g} Hz" for w in widths),
        )
    return widths


def _subtract_notches(
    taps: Taps, lines: Sequence[float], width: float, trans: float, sfreq: float
) -> None:
    # Scaled by the band-pass's own gain at the line, so that a line on the slope of the upper
    # transition is brought to zero instead of turned over.
    gains = amplitude(taps, lines, sfreq)
    length = _transition_length(trans, sfreq)
    for f0, gain in zip(lines, gains):
        upper = _low_pass(length, f0 + (width + trans) / 2, sfreq)
        lower = _low_pass(length, f0 - (width + trans) / 2, sfreq)
        _add_centred(taps, upper - lower, -float(gain), trans)


def design_fir(
    sfreq: float,
    l_freq: float | None,
    h_freq: float | None,
    *,
    l_trans: float | None = None,
    h_trans: float | None = None,
    notch: Sequence[float] = (),
    notch_width: float = 0.5,
    notch_trans: float = 1.0,
    length_s: float | None = None,
) -> Taps:
    """Design one FIR filter that is a band-pass and all its notches.

    Parameters
    ----------
    sfreq : float
        In Hz.
    l_freq, h_freq : float | None
        Edges of the pass band in Hz; None leaves that side open. An upper edge that does not
        fit under the Nyquist rate shrinks (`fit_band`).
    l_trans, h_trans : float | None
        Transition widths in Hz; None for MNE's choice (a quarter of the edge, at least 2 Hz,
        at most what fits).
    notch : sequence of float
        Centres of the notches in Hz. Those that reach beyond the upper stop edge or the
        Nyquist rate are left out: the band-pass stops them.
    notch_width, notch_trans : float
        Width of each stop band and of each of its two transitions, in Hz.
    length_s : float | None
        Length in seconds; None for the shortest that has room for every transition, about
        3.3 s for 1 Hz.

    Returns
    -------
    taps : float64 array, axes (tap,)
        Odd length, symmetric: with its centre as time zero the filter has zero phase.

    Raises
    ------
    KernelInputError
        Where edges contradict each other or ``length_s`` is too short for a transition.

    Notes
    -----
    One windowed sinc for each transition (Widmann et al. 2015, J Neurosci Methods 250:34-46).
    """
    _check_band(sfreq, l_freq, h_freq)
    stop = sfreq / 2
    if h_freq is not None:
        h_freq, h_trans = fit_band(sfreq, h_freq, h_trans)
        stop = h_freq + h_trans
    if l_freq is not None and l_trans is None:
        l_trans = default_l_trans(l_freq)
    reach = notch_width / 2 + notch_trans
    lines = [f for f in notch if f - notch_width / 2 < stop and f + reach < sfreq / 2]
    widths = _widths((l_freq, l_trans), (h_freq, h_trans), notch_trans if lines else None)
    shortest = max((LENGTH_FACTOR / w for w in widths), default=0.0)
    n_taps = max(math.ceil((shortest if length_s is None else length_s) * sfreq), 1) | 1
    taps = np.zeros(n_taps)
    if h_freq is None or h_trans is None:
        taps[n_taps // 2] = 1.0
    else:
        length = _transition_length(h_trans, sfreq)
        _add_centred(taps, _low_pass(length, h_freq + h_trans / 2, sfreq), 1.0, h_trans)
    if l_freq is not None and l_trans is not None:
        length = _transition_length(l_trans, sfreq)
        _add_centred(taps, _low_pass(length, l_freq - l_trans / 2, sfreq), -1.0, l_trans)
    _subtract_notches(taps, lines, notch_width, notch_trans, sfreq)
    return taps
