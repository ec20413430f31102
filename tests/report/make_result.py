"""A rich synthetic Result for tests: deterministic, with planted truths and hard names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from brainforge.findings import resting_findings
from brainforge.findings.geometry import directions
from brainforge.info import Channel, Info
from brainforge.result import (
    Artifacts,
    BadChannel,
    BandPower,
    Component,
    Connectivity,
    EventTrain,
    Graph,
    Interval,
    Quality,
    Result,
    Spectra,
    Traces,
)
from brainforge.units import working_unit

BANDS = {
    "delta": (2.0, 4.0),
    "theta": (4.0, 8.0),
    "alpha": (8.0, 13.0),
    "beta": (13.0, 30.0),
    "gamma": (30.0, 45.0),
}
MEASURES = ("wpli2_debiased", "coh", "imcoh", "aec", "plv", "pli", "wpli")
METRICS = ("strength", "clustering", "local_efficiency", "betweenness")
NASTY = '<script>alert("x")</script>&amp;%{y}'
DEV_HEAD = ((1.0, 0.0, 0.0, 0.002), (0.0, 1.0, 0.0, -0.004), (0.0, 0.0, 1.0, 0.045), (0, 0, 0, 1.0))
Array = np.ndarray[Any, Any]


def helmet(n_sites: int, radius: float = 0.115) -> Array:
    """Places on a helmet (device frame, m), symmetric about the midline, axes (site, xyz)."""
    half = (n_sites + 1) // 2
    k = np.arange(half)
    z = 1 - (k + 0.5) / half * 1.36
    angle = np.pi * ((k * 0.6180339887) % 1.0)
    flat = np.sqrt(1 - z**2)
    right = np.column_stack([flat * np.sin(angle), flat * np.cos(angle), z])
    right[:, 0] = np.maximum(right[:, 0], 0.12)
    both = np.stack([right, right * [-1, 1, 1]], axis=1).reshape(-1, 3)[:n_sites]
    return radius * both / np.linalg.norm(both, axis=1, keepdims=True)


def make_info(layout: str = "mag306", *, geometry: bool = True, nasty: bool = True) -> Info:
    """Info of 306 magnetometers (``mag306``) or of 102 triplets (``vectorview``)."""
    vectorview = layout == "vectorview"
    places = helmet(102 if vectorview else 306)
    channels = []
    for s, place in enumerate(places):
        for end in "123" if vectorview else "1":
            grad = vectorview and end != "1"
            name = f"MEG {s:03d}{end}" if vectorview else f"MAG{s:03d}"
            out = place / np.linalg.norm(place)
            channels.append(
                Channel(
                    name,
                    "grad" if grad else "mag",
                    position=tuple(place) if geometry else None,
                    orientation=tuple(out) if geometry else None,
                )
            )
    if nasty:
        channels[7] = replace(channels[7], name=NASTY)
    return Info(
        300.0,
        tuple(channels),
        line_freq=50.0,
        highpass=1.0,
        lowpass=100.0,
        dev_head_t=DEV_HEAD if geometry else None,
        subject="sub-017",
        meas_date="2026-03-04T10:11:12Z",
        device="synthetic helmet",
        decim=4,
    )


def _back(info: Info) -> Array:
    """How far back each channel lies, 0..1."""
    positions = info.positions()
    if not np.isfinite(positions).all():
        return np.linspace(0, 1, info.n_channels)
    unit, _, _ = directions(positions)
    return np.clip(0.5 - 0.6 * unit[:, 1], 0, 1) ** 2


def make_spectra(info: Info, rng: np.random.Generator, *, alpha: float = 10.2) -> Spectra:
    """1/f with an alpha peak at the back, beta, and mains before cleaning."""
    freqs = np.arange(0, 125.01, 0.5)
    f = np.maximum(freqs, 0.5)
    scale = np.array([40.0 if c.kind == "mag" else 20.0 for c in info.channels])[:, None]
    log = -1.0 * np.log10(f) + np.zeros((info.n_channels, 1))
    gain = 1.1 * _back(info)[:, None] + 0.15
    log = log + gain * np.exp(-0.5 * ((f - alpha) / 1.1) ** 2)
    log = log + 0.25 * np.exp(-0.5 * ((f - 20.5) / 2.5) ** 2)
    after = scale**2 * 10**log + 1.0
    after = after * rng.gamma(120, 1 / 120, after.shape)
    before = after * (1 + 3 * np.exp(-f / 3))
    for line in (50.0, 100.0):
        before += (300 * scale**2) * np.exp(-0.5 * ((freqs - line) / 0.4) ** 2)
    after[:, freqs > 100] *= 0.02
    return Spectra(
        info.names,
        tuple(working_unit(c.kind) for c in info.channels),
        freqs,
        before.astype(np.float32),
        after.astype(np.float32),
    )


def make_band_power(spectra: Spectra) -> BandPower:
    """Integrate the cleaned spectra over the bands."""
    step = spectra.freqs[1]
    absolute = np.stack(
        [
            spectra.after[:, (spectra.freqs >= lo) & (spectra.freqs < hi)].sum(axis=1) * step
            for lo, hi in BANDS.values()
        ]
    )
    return BandPower(
        spectra.channel_names, spectra.units, BANDS, absolute, absolute / absolute.sum(axis=0)
    )


def make_quality(info: Info, rng: np.random.Generator, *, bads: bool = True) -> Quality:
    n = info.n_channels
    names = info.names
    found = (
        BadChannel(names[3], "flat", "RMS below the converter's step", 0.02, 0.4, "fT"),
        BadChannel(names[7], "noisy", "RMS 9.1 times the median", 9.1, 5.0, ""),
        BadChannel(names[60], "railed", "12 % of samples at the rail", 12.0, 1.0, "%"),
        BadChannel(names[98], "gain_drift", "gain fell by 24 %", 24.0, 20.0, "%"),
    )
    gap = Interval(131.0, 133.5, "gap")
    rail = Interval(60.0, 64.0, "railed", (names[60],))
    return Quality(
        names,
        tuple(working_unit(c.kind) for c in info.channels),
        rng.gamma(9, 60, n),
        rng.gamma(9, 400, n),
        rng.normal(24, 4, n),
        rng.gamma(30, 0.4, n),
        found if bads else (),
        (gap, rail, Interval(210.0, 210.4, "non_finite")) if bads else (),
        0.9915 if bads else 1.0,
        50.0,
    )


def _bump(lags: Array, widths: tuple[float, ...], heights: tuple[float, ...]) -> Array:
    return sum(
        h * np.exp(-0.5 * ((lags - 0.02 * i) / w) ** 2)
        for i, (w, h) in enumerate(zip(widths, heights))
    )


def make_train(kind: str, info: Info, rng: np.random.Generator, duration: float) -> EventTrain:
    sfreq = info.sfreq * info.decim
    period = 1.04 if kind == "ecg" else 5.3
    times = np.arange(1.3, duration - 1, period)
    times = times + rng.normal(0, 0.02, len(times))
    lags = np.arange(-0.4, 0.6, 1 / 100)
    weight = rng.normal(0, 1, info.n_channels)[:, None] * 400
    wave = (
        _bump(lags, (0.012, 0.02, 0.06), (1.0, -0.4, 0.3))
        if kind == "ecg"
        else _bump(lags, (0.1,), (2.5,))
    )
    noise = rng.normal(0, 12, (info.n_channels, len(lags)))
    return EventTrain(
        kind,
        (times * sfreq).astype(np.int64),
        60 / period,
        "component 2" if kind == "ecg" else "component 0",
        13.4 if kind == "ecg" else 18.9,
        info.names,
        lags,
        (weight * wave + noise).astype(np.float32),
        (0.15 * weight * wave + noise).astype(np.float32),
    )


def make_artifacts(info: Info, rng: np.random.Generator, duration: float) -> Artifacts:
    positions = info.positions()
    unit = positions / 0.115 if np.isfinite(positions).all() else rng.normal(size=positions.shape)
    freqs = np.arange(0, 125.01, 0.5)
    kinds = ["eog", "brain", "ecg", "muscle", "brain", "line", *["other"] * 24]
    components = []
    for i, kind in enumerate(kinds):
        axis = rng.normal(size=3)
        axis = np.array([0.1, 1.0, -0.4]) if kind == "eog" else axis / np.linalg.norm(axis)
        topography = 80 * np.tanh(2 * unit @ axis) * (1 + 0.2 * rng.normal(size=len(unit)))
        removed = kind in ("eog", "ecg", "muscle", "line")
        t = np.arange(0, 12, 0.01)
        excerpt = rng.normal(size=len(t)) * 0.4
        if kind in ("eog", "ecg"):
            excerpt += 4 * np.exp(
                -0.5 * (((t - 1.3) % (5.3 if kind == "eog" else 1.04)) / 0.05) ** 2
            )
        reason = {
            "eog": "time course follows the blinks (r = 0.91, threshold 0.5)",
            "ecg": "phase-locked to the heartbeats (CTPS 0.44, threshold 0.20)",
            "muscle": "rising spectrum 7-45 Hz, focal (score 0.83, threshold 0.50)",
            "line": "94 % of its power at 50 Hz",
        }.get(kind, "")
        components.append(
            Component(
                i,
                kind,
                removed,
                reason,
                {"ecg": 0.05 * i, "eog": 0.9 / (1 + i), "muscle": 0.1},
                topography,
                10 ** (-np.log10(np.maximum(freqs, 0.5)) + rng.normal(0, 0.05, len(freqs))),
                excerpt,
            )
        )
    return Artifacts(
        "ica",
        info.names,
        make_train("ecg", info, rng, duration),
        make_train("eog", info, rng, duration),
        tuple(components),
        freqs,
        100.0,
        30,
        tuple(Interval(a, a + 1.7, "muscle") for a in (22.0, 150.0, 187.0)),
        "Picard ICA on 30 principal components; 4 removed.",
    )


def make_traces(info: Info, rng: np.random.Generator, seconds: float = 12.0) -> Traces:
    t = 40 + np.arange(int(seconds * info.sfreq)) / info.sfreq
    gain = (0.3 + _back(info))[:, None]
    after = 180 * gain * np.sin(2 * np.pi * 10.2 * t + rng.uniform(0, 6, (info.n_channels, 1)))
    after *= 1 + 0.6 * np.sin(2 * np.pi * 0.3 * t)
    after = after + rng.normal(0, 120, (info.n_channels, len(t)))
    heart = 900 * np.exp(-0.5 * ((((t - 1.3) % 1.04) - 0.2) / 0.015) ** 2)
    blink = 2500 * np.exp(-0.5 * ((((t - 1.3) % 5.3) - 0.5) / 0.12) ** 2)
    before = after + rng.normal(0, 1, (info.n_channels, 1)) * heart + (1 - gain) * blink
    units = tuple(working_unit(c.kind) for c in info.channels)
    return Traces(info.names, units, t, before.astype(np.float32), after.astype(np.float32))


def make_connectivity(info: Info, rng: np.random.Generator, n_epochs: int = 118) -> Connectivity:
    names = info.names_of("mag")
    n = len(names)
    x = rng.normal(size=(n, 3)) if info.channels[0].position is None else info.positions(names)
    near = np.exp(-np.linalg.norm(x[:, None] - x[None], axis=2) / 0.05)
    values: dict[str, dict[str, Array]] = {}
    for m, measure in enumerate(MEASURES):
        values[measure] = {}
        for b, band in enumerate(BANDS):
            v = (0.5 if m else 0.12) * near + rng.gamma(2, 0.02, (n, n))
            v = np.triu(v, 1)
            v[4, n - 5] = 0.71 + 0.01 * b
            v = (v + v.T) * (1 if measure != "imcoh" else 0.5)
            values[measure][band] = v.astype(np.float32)
    methods = {"wpli2_debiased": "Debiased squared wPLI (Vinck et al. 2011)"}
    return Connectivity(names, BANDS, dict.fromkeys(BANDS, n_epochs), values, methods)


def make_graph(connectivity: Connectivity, rng: np.random.Generator) -> Graph:
    n = len(connectivity.channel_names)
    nodal = {b: {m: rng.gamma(4, 0.2, n) for m in METRICS} for b in connectivity.bands}
    whole = {
        b: {"efficiency": 0.41, "path_length": 2.31, "modularity": 0.36, "clustering": 0.52}
        for b in connectivity.bands
    }
    hubs = {
        b: tuple(connectivity.channel_names[i] for i in np.argsort(-nodal[b]["strength"])[:8])
        for b in connectivity.bands
    }
    return Graph("wpli2_debiased", 0.1, connectivity.channel_names, nodal, whole, hubs)


def make_result(
    layout: str = "mag306",
    *,
    geometry: bool = True,
    nasty: bool = True,
    full: bool = True,
    n_epochs: int = 118,
    duration: float = 240.0,
    seed: int = 7,
) -> Result:
    """Build a Result. ``full=False`` leaves out every optional part; few ``n_epochs`` abstain."""
    rng = np.random.default_rng(seed)
    info = make_info(layout, geometry=geometry, nasty=nasty)
    quality = make_quality(info, rng)
    info = info.with_bads([b.name for b in quality.bads])
    spectra = make_spectra(info, rng)
    parts: dict[str, Any] = {}
    if full:
        connectivity = make_connectivity(info, rng, n_epochs)
        parts = {
            "band_power": make_band_power(spectra),
            "artifacts": make_artifacts(info, rng, duration),
            "traces": make_traces(info, rng),
            "connectivity": connectivity,
            "graph": make_graph(connectivity, rng),
        }
    findings = resting_findings(
        info,
        quality,
        spectra,
        source_sfreq=info.sfreq * info.decim,
        duration=duration,
        band_power_part=parts.get("band_power"),
        artifacts=parts.get("artifacts"),
        connectivity=parts.get("connectivity"),
        graph=parts.get("graph"),
    )
    return Result(
        info=info,
        recording={
            "path": "/data/rest.fif",
            "n_channels": info.n_channels,
            "sfreq": info.sfreq * info.decim,
            "duration_s": duration,
            "sha256": "ab" * 32,
        },
        recipe="resting" if full else "short",
        quality=quality,
        spectra=spectra,
        findings=findings,
        steps=(
            "Band-pass 1-100 Hz, notches at 50 and 100 Hz, decimation by 4 (one FIR of 3.3 s)",
            "Field correction: HFC of order 2 (8 components)",
            "Removed 4 of 30 independent components (eyes, heart, muscle, mains)",
            "Interpolated 4 bad channels",
        ),
        warnings=("One channel railed for 4 s.",) if full else (),
        timings={"ingest_s": 3.1, "preprocess_s": 4.2, "artifacts_s": 2.4, "total_s": 11.2},
        peak_rss_bytes=1_400_000_000,
        provenance={
            "recipe_hash": "cd" * 32,
            "recipe_toml": '[recipe]\nname = "resting"\n',
            "versions": {"brainforge": "0.1.0", "numpy": "2.4.6"},
            "machine": {"cpu": "x86_64", "cores": 2},
            "nested": {"list": [1, 2, {"a": NASTY}]},
        },
        **parts,
    )
