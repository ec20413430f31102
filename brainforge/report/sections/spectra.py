"""Section: power spectra before and after cleaning, and the alpha fit."""

from __future__ import annotations

from typing import Any

import numpy as np

from brainforge.report.arrays import ArrayPool
from brainforge.report.layouts import axis, layout
from brainforge.report.page import Chart, Control, Part, Section
from brainforge.report.text import KIND_NAMES, density, label
from brainforge.result import Result
from brainforge.units import working_unit


def build(result: Result, pool: ArrayPool) -> Section:
    """Build the section of spectra."""
    spectra = result.spectra
    lead = "Amplitude density of the signal as recorded and after cleaning, good channels only."
    if not len(spectra.freqs) or not spectra.channel_names:
        return Section("spectra", "Spectra", lead, absent="No spectrum was computed.")
    parts: list[Part] = []
    for kind in ("mag", "grad", "eeg"):
        names = _usable(result, kind)
        if names:
            parts.append(_kind(result, pool, kind, names))
    fit = next((f for f in result.findings if f.name == "alpha_peak"), None)
    if fit is not None and "log_power" in fit.details:
        parts.append(Part("Rhythms over the 1/f background", charts=(_fit(fit.details, result),)))
    absent = "No good channel holds a spectrum." * (not parts)
    return Section("spectra", "Spectra", lead, tuple(parts), absent)


def _usable(result: Result, kind: str) -> list[str]:
    """Return the good channels of a kind with a known spectrum before and after."""
    spectra, info = result.spectra, result.info
    known = np.isfinite(np.hstack([spectra.before, spectra.after])).any(axis=1)
    return [
        n
        for n, k in zip(spectra.channel_names, list(known))
        if k and n in info.names and info.channel(n).kind == kind and not info.channel(n).bad
    ]


def _kind(result: Result, pool: ArrayPool, kind: str, names: list[str]) -> Part:
    spectra = result.spectra
    row = {n: i for i, n in enumerate(spectra.channel_names)}
    rows = np.array([row[n] for n in names])
    use = (spectra.freqs >= max(0.5, spectra.freqs[1])) & (spectra.freqs <= _top(result))
    freqs = spectra.freqs[use]
    group = f"psd-{kind}"
    x = pool.put(f"{group}/freqs", freqs, "f4")
    x_one = pool.put(f"{group}/freqs-one", _thin(freqs, freqs[None])[0], "f4")
    data: list[dict[str, Any]] = []
    span: list[float] = []
    # only what the filters let through sets the range
    inside = (freqs >= 1) & (freqs <= 0.95 * (result.info.lowpass or freqs[-1]))
    for state in ("before", "after"):
        amplitude = np.sqrt(getattr(spectra, state)[np.ix_(rows, np.flatnonzero(use))])
        low, mid, high = np.nanpercentile(amplitude, [5, 50, 95], axis=0)
        pool.put_log(f"{group}/{state}", _thin(freqs, amplitude))
        data += _band(pool, group, state, x, (low, mid, high))
        data.append(_one(group, state, x_one))
        span += [float(np.nanmin(low[inside])), float(np.nanmax(high[inside]))]
    low, high = np.log10(max(min(span), 1e-3)) - 0.1, np.log10(max(span)) + 0.15
    unit = density(working_unit(kind))
    mains = "Dotted: mains and harmonics. " * bool(result.quality.line_freq)
    end = float(freqs[-1])
    shapes, notes = _mains(result, end)
    chart = Chart(
        group,
        f"{KIND_NAMES[kind].capitalize() if kind != 'eeg' else 'EEG'} ({len(names)})",
        f"Median amplitude density of {len(names)} {KIND_NAMES[kind]} over frequency on "
        "logarithmic axes, before and after cleaning, with the 5 to 95 % range over channels.",
        "Line: median over good channels; shade: 5th to 95th percentile. Choose a channel to lay "
        "it over (256 logarithmic steps, every other bin above 30 Hz). "
        + mains
        + "Method: Welch's averaged periodograms (Welch 1967).",
        data,
        layout(
            axis("Frequency (Hz)", type="log", range=[0, float(np.log10(end))],
                 tickvals=[1, 2, 5, 10, 20, 50, 100, 200]),
            axis(f"Amplitude density ({unit})", type="log", range=[low, high],
                 tickvals=_decades(low, high)),
            shapes=shapes,
            annotations=notes,
            hovermode="x unified",
        ),
        height=420,
        group=group,
    )  # fmt: skip
    options = (("-1", "none"), *((str(i), n) for i, n in enumerate(names)))
    control = Control(group, "channel", "Lay over channel", options, "select")
    return Part(KIND_NAMES[kind].capitalize(), controls=(control,), charts=(chart,))


def _top(result: Result) -> float:
    """Return the highest frequency worth showing, Hz: a little above the low-pass."""
    return 1.2 * result.info.lowpass if result.info.lowpass else np.inf


def _thin(freqs: Any, values: Any) -> Any:
    """Keep every bin up to 30 Hz and every other above, axes (channel, frequency)."""
    high = np.flatnonzero(freqs > 30)
    return np.delete(values, high[1::2], axis=1)


def _decades(low: float, high: float) -> list[float]:
    """Return ticks at 1, 2 and 5 times the powers of ten between two logarithms."""
    steps = (1.0, 2.0, 5.0) if high - low < 2.2 else (1.0,)
    powers = range(int(np.floor(low)), int(np.ceil(high)) + 1)
    return [round(m * 10.0**p, 9) for p in powers for m in steps]


def _band(
    pool: ArrayPool, group: str, state: str, x: dict[str, str], curves: tuple[Any, Any, Any]
) -> list[dict[str, Any]]:
    low, mid, high = (
        pool.put(f"{group}/{state}/{q}", c, "f4") for q, c in zip(("low", "mid", "high"), curves)
    )
    edge = {"type": "scatter", "mode": "lines", "x": x, "line": {"width": 0}, "hoverinfo": "skip"}
    colour = f"--{state}"
    return [
        {**edge, "y": low, "showlegend": False},
        {**edge, "y": high, "showlegend": False, "fill": "tonexty", "fillcolor": f"{colour}/0.16"},
        {
            "type": "scatter",
            "mode": "lines",
            "x": x,
            "y": mid,
            "name": state,
            "line": {"color": colour, "width": 2},
            "hovertemplate": "%{y:.3g}",
        },
    ]


def _one(group: str, state: str, x: dict[str, str]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": {"$a": f"{group}/{state}", "row": "@channel"},
        "name": f"chosen channel, {state}",
        "line": {"color": f"--{state}", "width": 1.2, "dash": "dot"},
        "hovertemplate": "%{y:.3g}",
    }


def _mains(result: Result, end: float) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    line = result.quality.line_freq
    if not line:
        return [], []
    lines = [line * k for k in range(1, int(end // line) + 1)]
    shapes = [
        {
            "type": "line",
            "x0": f,
            "x1": f,
            "y0": 0,
            "y1": 1,
            "yref": "paper",
            "layer": "below",
            "line": {"color": "--muted", "width": 1, "dash": "dot"},
        }
        for f in lines
    ]
    notes = [
        {
            "x": float(np.log10(f)),
            "y": 1,
            "yref": "paper",
            "yanchor": "top",
            "xanchor": "right",
            "text": f"{f:g} Hz",
            "showarrow": False,
            "font": {"size": 10, "color": "--muted"},
        }
        for f in lines[:2]
    ]
    return shapes, notes


def _fit(details: dict[str, Any], result: Result) -> Chart:
    finding = result.finding("alpha_peak")
    curves = (
        ("log_power", "median spectrum", {"color": "--after", "width": 2}),
        ("log_model", "model", {"color": "--ink", "width": 1.2, "dash": "dot"}),
        ("log_background", "1/f background", {"color": "--muted", "width": 1.4, "dash": "dash"}),
    )
    freqs = [round(float(f), 4) for f in details["freqs"]]
    data: list[dict[str, Any]] = [
        {
            "type": "scatter",
            "mode": "lines",
            "x": freqs,
            "y": [round(10 * float(v), 3) for v in details[key]],
            "name": name,
            "line": line,
            "hovertemplate": "%{y:.1f} dB",
        }
        for key, name, line in curves
    ]
    shapes = []
    if finding.value is not None and finding.uncertainty is not None:
        low, high = finding.uncertainty
        band = {"type": "rect", "yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
        shapes.append(
            {**band, "x0": low, "x1": high, "fillcolor": "--accent/0.18", "line": {"width": 0}}
        )
    return Chart(
        "alpha-fit",
        f"Alpha over the 1/f background ({label(str(details['sensors']))} sensors)",
        f"Median log power spectrum with the fitted 1/f background. {finding.text}",
        "Power parted into a background falling with frequency (exponent "
        f"{details['exponent']:.2f}) and Gaussian peaks (Donoghue et al. 2020); the shade is the "
        "95 % interval of the alpha peak.",
        data,
        layout(
            axis("Frequency (Hz)", tickvals=[2, 4, 8, 10, 13, 20, 30, 40]),
            axis("Power (dB, relative)"),
            shapes=shapes,
            hovermode="x unified",
        ),
        height=340,
    )
