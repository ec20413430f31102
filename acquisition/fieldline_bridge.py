"""Bridge of FieldLine's Python callback to the framed live protocol.

``python -m brainforge.acquisition.fieldline_bridge --ip 192.168.2.43 --address tcp:127.0.0.1:5555``
on the computer that reaches the chassis; then ``brainforge live --source tcp:HOST:5555``.

Written from the calls that public programs make of FieldLine's API, and tested with a stand-in for
it. **It has not run on their hardware.** What it relies on: ``FieldLineService(ip_list)`` is a
context manager with ``load_sensors``, ``start_adc``, ``stop_adc``, ``get_calibration_value`` and
``read_data(callback)``; the callback gets one sample of all channels at a time as
``{"timestamp": ticks of 25 MHz, "data_frames": {"00:01:50": {"data": count}, ...}}``; the last part
of a name is 0 for an analog input (volt), 28 for an open-loop and 50 for a closed-loop
magnetometer, whose calibration is tesla a count; 1000 samples a second. That the ticks advance by
exactly 25,000 a sample is what makes the counter: a tick missing is a sample missing.

Their API has no geometry: name positions with ``brainforge live --sensors FILE.tsv``.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from brainforge.acquisition.bridge import Bridge
from brainforge.errors import InputError
from brainforge.info import Channel, Info

TICKS_PER_SECOND: Final = 25_000_000
SFREQ: Final = 1000.0
TICKS: Final = round(TICKS_PER_SECOND / SFREQ)
ANALOG, OPEN_LOOP, CLOSED_LOOP = "0", "28", "50"


def channel_of(name: str, calibration: float, adc_kind: str = "misc") -> Channel:
    """Return the channel that a name of FieldLine's stands for.

    Parameters
    ----------
    name : str
        chassis:sensor:type, ``"00:01:50"``.
    calibration : float
        Tesla or volt a count.
    adc_kind : str
        Kind of the analog inputs; ``stim`` where triggers are wired to them.

    Raises
    ------
    InputError
        A type that is not known.
    """
    kinds = {ANALOG: adc_kind, OPEN_LOOP: "mag", CLOSED_LOOP: "mag"}
    kind = kinds.get(name.rpartition(":")[2])
    if kind is None:
        raise InputError(
            where=f"FieldLine channel {name!r}", expected="a type of 0, 28 or 50", got="another"
        )
    # FIFF coil type of a point magnetometer
    return Channel(name, kind, cal=calibration, coil_type=2000 if kind == "mag" else 0)


class FieldLineBridge:
    """Turns FieldLine's callbacks into packets of a Bridge.

    The channels are those of the first sample; a sample with others is refused.

    Parameters
    ----------
    calibration : callable
        Returns tesla or volt a count of a channel, by its name.
    address : str
        As `Bridge` takes it.
    packet : int
        Samples that are sent together.
    adc_kind : str
        Kind of the analog inputs.
    **options
        For `Bridge`.

    Attributes
    ----------
    bridge : Bridge | None
        Once the first sample has come.
    """

    def __init__(
        self,
        calibration: Callable[[str], float],
        address: str,
        *,
        packet: int = 20,
        adc_kind: str = "misc",
        **options: Any,
    ) -> None:
        self._calibration, self._address, self._options = calibration, address, options
        self._adc_kind = adc_kind
        self._names: tuple[str, ...] = ()
        self._packet = max(packet, 1)
        self._counts: npt.NDArray[Any] = np.empty((0, 0))
        self._n, self._first = 0, -1
        self._failed: BaseException | None = None
        self.bridge: Bridge | None = None
        self.started = threading.Event()

    def callback(self, data: dict[str, Any]) -> None:
        """Take one sample as FieldLine gives it; never waits for the network.

        What goes wrong in it cannot be raised into their thread: `check` tells.
        """
        if self._failed is not None:
            return
        try:
            self._take(data)
        except BaseException as error:
            self._failed = error
        self.started.set()

    def check(self) -> None:
        """Raise what has gone wrong in a callback."""
        if self._failed is not None:
            raise self._failed

    def close(self, reason: str = "") -> None:
        """Send what is left and the end."""
        if self.bridge is not None:
            self._flush()
            self.bridge.close(reason)

    def _take(self, data: dict[str, Any]) -> None:
        frames = data["data_frames"]
        if self.bridge is None:
            self._start(frames)
        if len(frames) != len(self._names):
            raise InputError(
                where="FieldLine", expected=f"{len(self._names)} channels", got=str(len(frames))
            )
        counter = round(int(data["timestamp"]) / TICKS)
        if self._n and counter != self._first + self._n:
            self._flush()  # a packet holds samples that follow each other
        if not self._n:
            self._first = counter
        # by name: the order of a dictionary is not promised
        row = np.array([frames[name]["data"] for name in self._names])
        if not np.can_cast(row.dtype, self._counts.dtype, "same_kind"):
            raise InputError(
                where="FieldLine", expected=f"{self._counts.dtype}", got=f"{row.dtype}"
            )
        self._counts[self._n] = row
        self._n += 1
        if self._n == self._packet:
            self._flush()

    def _start(self, frames: dict[str, Any]) -> None:
        names = tuple(frames)
        channels = [
            channel_of(name, float(self._calibration(name)), self._adc_kind) for name in names
        ]
        whole = all(isinstance(frame["data"], int | np.integer) for frame in frames.values())
        dtype = "int32" if whole else "float64"
        info = Info(SFREQ, tuple(channels), device="FieldLine OPM")
        self._names = names
        self._counts = np.empty((self._packet, len(names)), dtype=dtype)
        # the chassis' ticks go on when this program is started anew
        options = {"session": "FieldLine", **self._options}
        self.bridge = Bridge(info, self._address, dtype, **options)

    def _flush(self) -> None:
        if self._n and self.bridge is not None:
            self.bridge.send(self._counts[: self._n], counter=self._first)
        self._n = 0


def run(
    service: Any,
    address: str,
    *,
    adc: Sequence[int] = (),
    adc_kind: str = "misc",
    first_s: float = 10.0,
    stop: threading.Event | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Stream what a running FieldLineService gives until ``stop`` is set.

    The sensors have to be started and zeroed already, as their recorder does it.

    Parameters
    ----------
    service : FieldLineService
        Entered.
    address : str
    adc : sequence of int
        Chassis whose analog inputs come along.
    adc_kind : str
    first_s : float
        Seconds that the first sample may take.
    stop : Event | None
    say : callable
        Is told the address that was taken.
    """

    def calibration(name: str) -> float:
        return float(service.get_calibration_value(name)["calibration"])

    stop = stop or threading.Event()
    bridge = FieldLineBridge(calibration, address, adc_kind=adc_kind)
    service.load_sensors()
    for chassis in adc:
        service.start_adc(chassis)
    service.read_data(bridge.callback)
    reason = "stopped"
    try:
        bridge.started.wait(first_s)
        bridge.check()
        if bridge.bridge is None:
            raise InputError(
                where="FieldLine", expected=f"samples within {first_s:g} s", got="none",
                fix="start and zero the sensors first",
            )  # fmt: skip
        say(bridge.bridge.address)
        while not stop.wait(0.2):
            bridge.check()
    except BaseException as error:
        reason = f"after {type(error).__name__}"
        raise
    finally:
        service.read_data(None)
        for chassis in adc:
            service.stop_adc(chassis)
        bridge.close(reason)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run from the command line until interrupted."""
    parser = argparse.ArgumentParser(description="Stream FieldLine OPMs to brainforge live.")
    parser.add_argument("--ip", action="append", required=True, help="of a chassis; repeatable")
    parser.add_argument("--address", default="tcp:127.0.0.1:5555")
    parser.add_argument("--adc", action="append", type=int, default=[], help="chassis number")
    parser.add_argument("--adc-kind", choices=("misc", "stim"), default="misc")
    options = parser.parse_args(arguments)
    try:
        service_of = import_module("fieldline_api.fieldline_service").FieldLineService
    except ModuleNotFoundError as error:
        parser.exit(2, f"expected FieldLine's API (fieldline_api), got none: {error}\n")
    try:
        with service_of(options.ip) as service:
            run(service, options.address, adc=options.adc, adc_kind=options.adc_kind)
    except KeyboardInterrupt:
        return
    except InputError as error:
        parser.exit(2, f"{error}\n")


if __name__ == "__main__":
    main()
