"""Result: everything that processing one recording gives, as arrays with names.

Axes are written in the docstrings; channel axes follow ``channel_names`` of the same object.
Spectra, traces and topographies are in the working units (fT, fT/cm, µV), named in ``units``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from brainforge.finding import Finding
from brainforge.info import Info
from brainforge.operator import Operator

if TYPE_CHECKING:
    from pathlib import Path

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class BadChannel:
    """A channel left out, and the evidence for it.

    ``reason`` is one of: flat, noisy, railed, uncorrelated, outlier (LOF), gain_drift, marked
    (by the file or the user). ``value`` and ``threshold`` are in ``unit``.
    """

    name: str
    reason: str
    evidence: str
    value: float
    threshold: float
    unit: str = ""


@dataclass(frozen=True)
class Interval:
    """A masked or noteworthy stretch in seconds from the recording's start."""

    start: float
    stop: float
    cause: str
    channels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Quality:
    """What the samples were worth.

    ``rms``, ``peak_to_peak``, ``line_db`` (mains over neighbouring bins), ``noise_floor``
    (amplitude density, working unit/sqrt(Hz)) have axes (channel,); NaN where not computed.
    ``coverage`` is the share of the time axis that holds believed samples (0..1).
    """

    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    rms: Array
    peak_to_peak: Array
    line_db: Array
    noise_floor: Array
    bads: tuple[BadChannel, ...]
    intervals: tuple[Interval, ...]
    coverage: float
    line_freq: float | None


@dataclass(frozen=True)
class Spectra:
    """Power spectral densities, axes (channel, frequency), in unit**2/Hz, before and after."""

    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    freqs: Array
    before: Array
    after: Array


@dataclass(frozen=True)
class BandPower:
    """Band power of the cleaned signal, ``absolute`` in unit**2 and ``relative`` (share of
    the total over the bands); axes (band, channel).
    """  # noqa: D205

    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    bands: dict[str, tuple[float, float]]
    absolute: Array
    relative: Array


@dataclass(frozen=True)
class EventTrain:
    """Heartbeats or blinks found. ``samples`` are absolute source samples; ``source`` says
    from which channel or component they were found. ``reduction_db`` is the fall of the peak
    RMS of the event-locked average over the ten most affected channels; NaN where unknown.
    ``average_before``/``average_after``: axes (channel, lag), ``lags`` in seconds.
    """  # noqa: D205

    kind: str
    samples: Array
    rate_per_min: float
    source: str
    reduction_db: float = float("nan")
    channel_names: tuple[str, ...] = ()
    lags: Array = field(default_factory=lambda: np.zeros(0))
    average_before: Array = field(default_factory=lambda: np.zeros((0, 0)))
    average_after: Array = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def n_events(self) -> int:
        """Number of events."""
        return len(self.samples)


@dataclass(frozen=True)
class Component:
    """An independent (or signal-space) component.

    ``kind`` is brain, ecg, eog, muscle, line or other; ``scores`` holds the figure of each
    classifier; ``topography`` axes (channel,) over ``Artifacts.channel_names``, working units
    per unit variance of the component; ``psd`` over ``Artifacts.freqs``; ``excerpt`` a stretch
    of its time course at ``Artifacts.excerpt_sfreq``.
    """

    index: int
    kind: str
    removed: bool
    reason: str
    scores: dict[str, float]
    topography: Array
    psd: Array
    excerpt: Array


@dataclass(frozen=True)
class Artifacts:
    """What was found to be heart, eyes, muscle and mains, and what was removed.

    ``method`` is "ica" or "ssp"; ``n_fitted`` the number of components fitted.
    """

    method: str
    channel_names: tuple[str, ...]
    ecg: EventTrain
    eog: EventTrain
    components: tuple[Component, ...]
    freqs: Array
    excerpt_sfreq: float
    n_fitted: int
    muscle: tuple[Interval, ...] = ()
    text: str = ""

    @property
    def removed(self) -> tuple[Component, ...]:
        """The components that were removed."""
        return tuple(c for c in self.components if c.removed)


@dataclass(frozen=True)
class Traces:
    """An excerpt of a few or all channels before and after cleaning, axes (channel, time)."""

    channel_names: tuple[str, ...]
    units: tuple[str, ...]
    times: Array
    before: Array
    after: Array


@dataclass(frozen=True)
class Connectivity:
    """All-to-all connectivity: ``values[measure][band]`` is (channel, channel), float32.

    Symmetric with a zero diagonal unless the measure is directed. ``n_epochs[band]`` is the
    number of epochs the band rests on.
    """

    channel_names: tuple[str, ...]
    bands: dict[str, tuple[float, float]]
    n_epochs: dict[str, int]
    values: dict[str, dict[str, Array]]
    methods: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Graph:
    """Graph metrics per band, at a fixed density, of one measure.

    ``nodal[band][metric]`` has axes (channel,): strength, clustering, local efficiency, ...;
    ``whole[band][metric]`` is a float: efficiency, path_length, modularity, ...;
    ``hubs[band]`` the names of the strongest nodes.
    """

    measure: str
    density: float
    channel_names: tuple[str, ...]
    nodal: dict[str, dict[str, Array]]
    whole: dict[str, dict[str, float]]
    hubs: dict[str, tuple[str, ...]]


@dataclass(frozen=True)
class Result:
    """The outcome of processing one recording. Parts that a recipe leaves out are None.

    ``operator`` is the one matrix that cleaned the MEG channels of the working signal.
    ``steps`` are sentences on what was done to the signal, in order (filters with their edges,
    field correction, removed components, repaired channels); ``warnings`` what a reader has
    to know; ``timings`` seconds by stage; ``provenance`` JSON-ready.
    """

    info: Info
    recording: dict[str, Any]
    recipe: str
    quality: Quality
    spectra: Spectra
    findings: tuple[Finding, ...]
    band_power: BandPower | None = None
    artifacts: Artifacts | None = None
    traces: Traces | None = None
    connectivity: Connectivity | None = None
    graph: Graph | None = None
    operator: Operator | None = None
    steps: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    timings: dict[str, float] = field(default_factory=dict)
    peak_rss_bytes: int = 0
    provenance: dict[str, Any] = field(default_factory=dict)

    def finding(self, name: str) -> Finding:
        """Return a finding by name; KeyError where the recipe does not make it."""
        return next(f for f in self.findings if f.name == name)

    def report(self, path: str | Path, *, overwrite: bool = False) -> Path:
        """Write the self-contained HTML report and return its path."""
        from brainforge.report import write_report

        return write_report(self, path, overwrite=overwrite)
