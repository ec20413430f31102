"""Figures and names as a reader sees them."""

from __future__ import annotations

import math

BAND_ORDER = ("delta", "theta", "alpha", "beta", "gamma")
KIND_NAMES = {
    "mag": "magnetometers",
    "grad": "gradiometers",
    "eeg": "EEG",
    "eog": "EOG",
    "ecg": "ECG",
    "emg": "EMG",
    "ref_mag": "reference magnetometers",
    "ref_grad": "reference gradiometers",
    "misc": "other",
    "stim": "trigger",
}
CAUSES = {
    "gap": "Gap",
    "railed": "Railed",
    "non_finite": "Not a number",
    "muscle": "Muscle",
}


def number(value: float | None, digits: int = 3) -> str:
    """Return a number with some significant digits and a true minus sign."""
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e6:
        return f"{int(value):,}".replace(",", "\u2009").replace("-", "−")
    places = digits - 1 - math.floor(math.log10(abs(value)))
    if places < -6 or places > 8:
        mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
        return f"{mantissa} × 10^{int(power)}".replace("-", "−")
    return f"{round(value, places):,.{max(places, 0)}f}".replace(",", "\u2009").replace("-", "−")


def with_interval(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Return a value and its interval with the digits that the interval's width deserves."""
    width = high - low
    if not (math.isfinite(width) and width > 0):
        return number(value), number(low), number(high)
    # a half-width that begins with 1 earns one digit more
    places = max(0, -math.floor(math.log10(width / 3)))

    def show(v: float) -> str:
        text = f"{v:,.{places}f}".replace(",", "\u2009")
        return text.removeprefix("-") if float(f"{v:.{places}f}") == 0 else text.replace("-", "−")

    return show(value), show(low), show(high)


def clock(seconds: float) -> str:
    """Return a duration, e.g. ``"3 min 05 s"``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {whole % 60:02d} s"


def label(name: str) -> str:
    """Return a channel name that Plotly shows as it is (its labels read a little HTML)."""
    return name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def squared(unit: str) -> str:
    """Return a unit squared, e.g. ``"(fT/cm)²"``."""
    return f"({unit})²" if "/" in unit else f"{unit}²"


def density(unit: str) -> str:
    """Return the unit of an amplitude density, e.g. ``"fT/cm/√Hz"``."""
    return f"{unit}/√Hz"


def words(key: str) -> str:
    """Return a key as words, e.g. ``"gain drift"``."""
    return key.replace("_", " ")
