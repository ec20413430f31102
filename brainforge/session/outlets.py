"""Outlets: what the pipeline gives back to the lab's own tools, over Lab Streaming Layer."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.lsl_out import FeatureOutlet, MarkerOutlet, SignalOutlet
from brainforge.acquisition.notice import Notice
from brainforge.info import Info
from brainforge.units import MEG_KINDS, working_unit

#: notices remembered, so that each is sent once
REMEMBERED = 256


class Outlets:
    """Streams ``PREFIX`` (cleaned signals), ``PREFIX-features`` and ``PREFIX-markers``.

    Where the recipe declares a neurofeedback value it goes out as ``PREFIX-feedback``.

    Parameters
    ----------
    prefix : str
    info : Info
        Of the cleaned signals, at the source's rate.
    sfreq : float
        Rate at which they are sent, in Hz.
    bands : tuple of str
        Whose power is sent, the median over good channels of each kind.
    about : mapping
        What was done to the signals, into the stream's description.
    """

    def __init__(
        self,
        prefix: str,
        info: Info,
        sfreq: float,
        bands: tuple[str, ...],
        about: Mapping[str, Any],
    ) -> None:
        kinds = tuple(k for k in MEG_KINDS if info.names_of(k))
        self._powers = [(kind, band) for kind in kinds for band in bands]
        names = [f"{kind} {band} power" for kind, band in self._powers]
        units = [f"{working_unit(kind)}^2/Hz" for kind, _ in self._powers]
        self._prefix, self._about = prefix, dict(about)
        self._feedback: FeatureOutlet | None = None
        self._told: dict[tuple[Any, ...], None] = {}
        with ExitStack() as stack:
            self._signals = stack.enter_context(
                SignalOutlet(prefix, replace(info, sfreq=sfreq), about=about)
            )
            self._features = stack.enter_context(
                FeatureOutlet(f"{prefix}-features", names, units, about=about)
            )
            self._markers = stack.enter_context(MarkerOutlet(f"{prefix}-markers"))
            self._stack = stack.pop_all()

    def cleaned(self, data: npt.NDArray[np.float32], stamp: float) -> None:
        """Send cleaned samples, axes (channel, sample); ``stamp`` is that of the last one."""
        self._signals.push(data, stamp)

    def features(self, status: Mapping[str, Any]) -> None:
        """Send what a snapshot of topic ``status`` says; what is not known is NaN."""
        power = status["band_power"]
        values = [power.get(kind, {}).get(band) for kind, band in self._powers]
        row = [np.nan if value is None else float(value) for value in values]
        self._features.push(row, float(status["arrival"]))

    def feedback(self, value: Mapping[str, Any]) -> None:
        """Send the neurofeedback value; NaN where it is not to be believed."""
        if self._feedback is None:
            self._feedback = self._stack.enter_context(
                FeatureOutlet(
                    f"{self._prefix}-feedback", ["value"], [value["unit"]], about=self._about
                )
            )
        number = value["value"]
        row = [np.nan if number is None else float(number)]
        self._feedback.push(row, float(value["arrival"]))

    def marker(self, event: Mapping[str, Any], stamp: float) -> None:
        """Send a trigger as ``CHANNEL CODE``."""
        self._markers.push(f"{event['channel']} {event['code']}".strip(), stamp)

    def notices(self, notices: list[dict[str, Any]], stamp: float) -> None:
        """Send the recorder's notices that have not been sent yet."""
        for document in notices:
            key = (document["what"], document["start"], document["stop"], document["cause"])
            if key in self._told:
                continue
            self._told[key] = None
            if len(self._told) > REMEMBERED:
                del self._told[next(iter(self._told))]
            self._markers.push_notice(Notice.from_dict(document), stamp)

    def close(self) -> None:
        """End the streams."""
        self._stack.close()
