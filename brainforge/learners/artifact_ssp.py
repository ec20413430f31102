"""Signal-space vectors of heart and eyes, for recordings too short for ICA.

Uusitalo and Ilmoniemi 1997 (Med. Biol. Eng. Comput. 35): the principal fields of the
event-locked average. It is taken within the strongest principal components of the signal, so
that the vectors hold no more noise than those do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brainforge.kernels.whitening import Whitening
from brainforge.learners.artifact_averages import locked_halves
from brainforge.learners.traces import Index, Traces

Floats = npt.NDArray[np.float64]

#: kind -> (fewest events, most vectors, lags in seconds, low-pass in Hz)
PLANS: dict[str, tuple[int, int, tuple[float, float], float]] = {
    "ecg": (5, 2, (-0.2, 0.4), 40.0),
    "eog": (2, 1, (-0.25, 0.35), 20.0),
}
#: a further vector has to hold this share of the average's power
MIN_SHARE = 0.1


@dataclass(frozen=True)
class SignalSpace:
    """Vectors found, like components of an ICA.

    Parameters
    ----------
    unmixing : float64 array, axes (vector, principal component)
    topographies : float64 array, axes (channel, vector)
        Such that topographies @ unmixing @ whitener projects onto the vectors (channels scaled).
    kinds, reasons : tuple of str
        Of each vector.
    """

    unmixing: Floats
    topographies: Floats
    kinds: tuple[str, ...]
    reasons: tuple[str, ...]


def signal_space(
    traces: Traces, white: Whitening, sfreq: float, events: dict[str, Index]
) -> SignalSpace:
    """Return the vectors of the event-locked averages, orthonormal among all kinds of event.

    Parameters
    ----------
    traces : Traces
        Principal components of the signal (rows of ``white.whitener``).
    white : Whitening
    sfreq : float
    events : dict
        "ecg" and "eog" -> columns of the events.
    """
    basis = white.dewhitener / white.scale[:, None]
    vectors = np.zeros((len(basis), 0))
    kinds: list[str] = []
    reasons: list[str] = []
    for kind, (fewest, most, lags, h_freq) in PLANS.items():
        at = events.get(kind, np.zeros(0, np.int64))
        halves, counts = locked_halves(traces, at, sfreq, lags, h_freq)
        n_events = int(counts.sum())
        if n_events < fewest:
            continue
        average = np.tensordot(counts / n_events, halves, axes=1)
        field = basis @ average
        field = field - vectors @ (vectors.T @ field)
        u, s, _ = np.linalg.svd(field, full_matrices=False)
        share = s**2 / np.sum(s**2)
        n = max(int(np.count_nonzero(share[:most] >= MIN_SHARE)), 1)
        vectors = np.column_stack([vectors, u[:, :n]])
        label = "heartbeat" if kind == "ecg" else "blink"
        for i in range(n):
            kinds.append(kind)
            reasons.append(
                f"Vector {i + 1} of the {label}-locked average of {n_events} events: holds "
                f"{share[i]:.0%} of its power (threshold {MIN_SHARE:.0%} for a further vector)."
            )
    unmixing = vectors.T @ basis
    return SignalSpace(unmixing, vectors * white.scale[:, None], tuple(kinds), tuple(reasons))
