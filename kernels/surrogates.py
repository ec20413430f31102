"""Surrogates: what a measure gives where nothing is coupled, and p-values from it.

A surrogate breaks what ties channels together and keeps what each channel is by itself: its
epochs are put in another order, or turned in phase, or its time is rotated, drawn anew for each
channel. All pairs are decoupled at once, so one surrogate gives a draw for every pair, and the
largest over the pairs a draw that corrects for their number.

A p-value is (b + 1) / (n + 1) with b of n surrogates at least as large as what was measured: the
measurement is a draw as well, and p is never 0 (Phipson and Smyth 2010). Surrogate k is drawn
from (seed, k) and is the same whatever else is computed, in whatever order.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import kernel

#: what may be done to a channel's epochs
SCHEMES: Final = ("permute", "shift", "sign", "phase")

#: a surrogate this close below counts as equal, of the largest value measured: where exchanging
#: changes nothing, rounding must not make a difference
_TIE: Final = 1e-6

Values = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class SurrogateTest:
    """A measurement beside its null distribution.

    Parameters
    ----------
    observed : float64 array, axes (pair,)
        The statistic that was measured.
    p : float64 array, axes (pair,)
        Of each pair by itself.
    p_corrected : float64 array, axes (pair,)
        For the largest of all pairs (family-wise).
    threshold : float64 array, axes (pair,)
        ``observed`` above it has ``p`` of 1 - ``quantile`` at most.
    threshold_corrected : float
        The same for ``p_corrected``.
    n_surrogates : int
    quantile : float
    seed : int
    scheme : str
    """

    observed: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    p_corrected: npt.NDArray[np.float64]
    threshold: npt.NDArray[np.float64]
    threshold_corrected: float
    n_surrogates: int
    quantile: float
    seed: int
    scheme: str


def rank_allowed(n_surrogates: int, quantile: float) -> int:
    """Return how many draws, the measurement's own among them, may reach a p of 1 - quantile.

    Raises
    ------
    KernelInputError
        Where the quantile is not between 0 and 1, or the surrogates are too few for it.
    """
    if not 0 < quantile < 1:
        raise KernelInputError(where="quantile", expected="between 0 and 1", got=f"{quantile:g}")
    allowed = int(np.floor((1 - quantile) * (n_surrogates + 1) * (1 + 1e-12)))
    if allowed < 1:
        least = int(np.ceil(1 / (1 - quantile) * (1 - 1e-12))) - 1
        raise KernelInputError(
            where="n_surrogates",
            expected=f"at least {least} for a quantile of {quantile:g}",
            got=str(n_surrogates),
        )
    return allowed


@dataclass
class Null:
    """Counts surrogates against a measurement; keeps counts and the largest values, not draws.

    Parameters
    ----------
    observed : array, axes (pair,)
    n_surrogates : int
        How many will come.
    quantile : float
        Of the null distribution that is asked for.
    """

    observed: Values
    n_surrogates: int
    quantile: float = 0.95
    _tie: float = field(init=False)
    _above: npt.NDArray[np.int64] = field(init=False)
    _highest: npt.NDArray[np.float64] = field(init=False)
    _largest: list[float] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        """Check the arguments; KernelInputError as `rank_allowed`."""
        self.observed = np.array(self.observed, dtype=np.float64)
        if self.observed.ndim != 1 or not np.isfinite(self.observed).all():
            raise KernelInputError(
                where="observed",
                expected="finite values of pairs",
                got=f"shape {self.observed.shape} or NaN",
            )
        allowed = rank_allowed(self.n_surrogates, self.quantile)
        self._tie = _TIE * float(np.max(np.abs(self.observed), initial=0.0))
        self._above = np.zeros(len(self.observed), dtype=np.int64)
        self._highest = np.full((allowed, len(self.observed)), -np.inf)

    def add(self, values: Values) -> None:
        """Take one surrogate, axes (pair,)."""
        if values.shape != self.observed.shape:
            raise KernelInputError(
                where="values", expected=f"shape {self.observed.shape}", got=f"{values.shape}"
            )
        if len(self._largest) == self.n_surrogates:
            raise KernelInputError(
                where="values", expected=f"{self.n_surrogates} surrogates", got="one more"
            )
        if not np.isfinite(values).all():
            raise KernelInputError(where="values", expected="finite values", got="NaN or infinity")
        self._above += values >= self.observed - self._tie
        self._largest.append(float(np.max(values, initial=-np.inf)))
        lowest, pairs = np.argmin(self._highest, axis=0), np.arange(len(values))
        self._highest[lowest, pairs] = np.maximum(self._highest[lowest, pairs], values)

    def result(self, seed: int, scheme: str) -> SurrogateTest:
        """Return the test; KernelInputError unless all surrogates have come."""
        n = len(self._largest)
        if n != self.n_surrogates:
            raise KernelInputError(
                where="surrogates", expected=f"{self.n_surrogates} of them", got=str(n)
            )
        largest = np.sort(self._largest)
        reached = n - np.searchsorted(largest, self.observed - self._tie, side="left")
        return SurrogateTest(
            observed=self.observed.astype(np.float64),
            p=(self._above + 1) / (n + 1),
            p_corrected=(reached + 1) / (n + 1),
            threshold=self._highest.min(axis=0) + self._tie,
            threshold_corrected=float(largest[n - len(self._highest)]) + self._tie,
            n_surrogates=n,
            quantile=self.quantile,
            seed=seed,
            scheme=scheme,
        )


def surrogate_rng(seed: int, number: int) -> np.random.Generator:
    """Return the generator of surrogate ``number``, the same whenever it is asked for."""
    if seed < 0:
        raise KernelInputError(where="seed", expected="0 or more", got=str(seed))
    return np.random.default_rng([seed, number])


def compared(
    observed: Values,
    surrogate: Callable[[np.random.Generator], Values],
    *,
    n_surrogates: int = 199,
    seed: int = 0,
    quantile: float = 0.95,
    scheme: str = "",
) -> SurrogateTest:
    """Compare any statistic with surrogates of it.

    Parameters
    ----------
    observed : array, axes (pair,)
        Larger means more coupled; take absolute values where a sign does not matter.
    surrogate : callable
        Draws with the generator it is given and returns the statistic of the surrogate.
    n_surrogates : int
        The least p is 1 / (n_surrogates + 1).
    seed : int
    quantile : float
        Of the null distribution to return as threshold.
    scheme : str
        Kept in the result.
    """
    null = Null(observed, n_surrogates, quantile)
    for number in range(n_surrogates):
        null.add(surrogate(surrogate_rng(seed, number)))
    return null.result(seed, scheme)


def check_scheme(scheme: str, allowed: Iterable[str] = SCHEMES) -> str:
    """Return the scheme; KernelInputError where it is not among those allowed."""
    names = tuple(allowed)
    if scheme not in names:
        raise KernelInputError(
            where="scheme", expected=f"one of {', '.join(names)}", got=repr(scheme)
        )
    return scheme


@dataclass(frozen=True)
class EpochDraw:
    """What a surrogate does to the epochs of each channel.

    Parameters
    ----------
    order : int64 array, axes (channel, epoch)
        Which epoch comes into each place.
    turn : complex64 array, axes (channel, epoch)
        What it is multiplied by there, of size one.
    """

    order: npt.NDArray[np.int64]
    turn: npt.NDArray[np.complex64]


def draw_epochs(rng: np.random.Generator, scheme: str, n_channels: int, n_epochs: int) -> EpochDraw:
    """Draw what to do to the epochs of each channel.

    Parameters
    ----------
    rng : Generator
    scheme : {"permute", "shift", "sign", "phase"}
        Each channel's epochs in an order of their own; rotated by a number of epochs of their
        own (keeps slow drifts); multiplied by 1 or -1; turned by a phase.
    n_channels, n_epochs : int
    """
    check_scheme(scheme)
    shape = (n_channels, n_epochs)
    order = np.broadcast_to(np.arange(n_epochs), shape)
    turn = np.ones(shape, dtype=np.complex64)
    if scheme == "permute":
        order = rng.permuted(np.array(order), axis=1)
    elif scheme == "shift":
        order = (order + rng.integers(0, max(n_epochs, 1), (n_channels, 1))) % max(n_epochs, 1)
    elif scheme == "sign":
        turn = (1 - 2 * rng.integers(0, 2, shape)).astype(np.complex64)
    else:
        turn = np.exp(2j * np.pi * rng.random(shape)).astype(np.complex64)
    return EpochDraw(np.ascontiguousarray(order, dtype=np.int64), turn)


@kernel(
    device="brainforge.kernels.device.surrogates:rotated",
    tolerance=0.0,
    takes={"signal": "int16|int32|float32|float64|complex64|complex128 (..., channel, time)"},
)
def rotated(signal: npt.NDArray[Any], shifts: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return each channel delayed around its end by a number of samples of its own.

    Parameters
    ----------
    signal : array, axes (..., channel, time)
    shifts : int64 array, axes (..., channel)
        On the host; any integers.

    Returns
    -------
    array, shape and dtype of ``signal``

    Raises
    ------
    KernelInputError
        Where there is not one shift for each channel.
    """
    check_shifts(signal, shifts)
    rows = np.ascontiguousarray(signal).reshape(shifts.size, signal.shape[-1])
    out = np.empty_like(rows)
    for row, to, shift in zip(rows, out, shifts.reshape(-1)):
        at = int(shift) % max(len(row), 1)
        to[at:], to[:at] = row[: len(row) - at], row[len(row) - at :]
    return out.reshape(signal.shape)


@kernel(
    device="brainforge.kernels.device.surrogates:exchanged",
    tolerance=0.0,
    takes={"signals": "int16|int32|float32|float64|complex64|complex128 (epoch, channel, time)"},
)
def exchanged(signals: npt.NDArray[Any], order: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """Return epochs put together of channels from different ones.

    Parameters
    ----------
    signals : array, axes (epoch, channel, time)
    order : int64 array, axes (channel, place)
        On the host: the epoch that each channel takes into each place.

    Returns
    -------
    array, axes (place, channel, time)

    Raises
    ------
    KernelInputError
        Where ``order`` names epochs that are not there.
    """
    rows = exchanged_rows(signals, order)
    flat = np.ascontiguousarray(signals).reshape(math.prod(signals.shape[:2]), signals.shape[2])
    return np.take(flat, rows.reshape(-1), axis=0).reshape(*rows.shape, signals.shape[2])


def check_shifts(signal: Any, shifts: npt.NDArray[np.int64]) -> None:
    """Raise KernelInputError unless there is a shift for each channel."""
    if signal.ndim < 1 or shifts.shape != tuple(signal.shape[:-1]):
        raise KernelInputError(
            where="shifts",
            expected=f"one for each channel of a signal of shape {tuple(signal.shape)}",
            got=f"shape {shifts.shape}",
        )


def exchanged_rows(signals: Any, order: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Return which row of (epoch x channel) comes into each (place, channel)."""
    n_epochs, n_channels = signals.shape[:2]
    fits = signals.ndim == 3 and order.ndim == 2 and len(order) == n_channels
    if not fits or (order.size and not 0 <= order.min() <= order.max() < n_epochs):
        raise KernelInputError(
            where="order",
            expected=f"epochs 0 to {n_epochs - 1} for each of {n_channels} channels",
            got=f"shape {order.shape}",
        )
    return (order * n_channels + np.arange(n_channels)[:, None]).T
