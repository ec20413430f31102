"""Described: a driver whose stream lacks what its user knows: sensors, mains, subject, bads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from brainforge.acquisition.driver import Driver, Packet
from brainforge.info import Info


@dataclass(frozen=True)
class Description:
    """What a user says of a stream; the same as `brainforge.open` takes for a file.

    Parameters
    ----------
    sensors : str | None
        Path of a table of names, kinds, units, calibrations and geometry.
    line_freq : float | None
        Mains frequency in Hz.
    subject : str | None
        A pseudonym.
    bads : tuple of str
        Channels to mark bad.
    """

    sensors: str | None = None
    line_freq: float | None = None
    subject: str | None = None
    bads: tuple[str, ...] = ()

    def applied(self, info: Info) -> Info:
        """Return the Info with all that is said here.

        Raises
        ------
        InputError
            The table or a name does not fit the stream.
        """
        from brainforge.readers.open import with_options

        if self.sensors is not None:
            from brainforge.readers.sensors_tsv import apply_sensors

            info, _ = apply_sensors(info, Path(self.sensors))
        return with_options(
            info, line_freq=self.line_freq, subject=self.subject, bads=tuple(self.bads)
        )


class Described:
    """A Driver that passes everything on and completes the Info.

    Parameters
    ----------
    driver : Driver
    description : Description
    """

    def __init__(self, driver: Driver, description: Description) -> None:
        self._driver, self._description = driver, description
        self.name, self.counter_bits = driver.name, driver.counter_bits

    def open(self, resume: int | None) -> Info:
        """Connect and return the completed Info."""
        info = self._description.applied(self._driver.open(resume))
        self.counter_bits = self._driver.counter_bits  # some learn it from the sender
        return info

    def receive(self, timeout: float) -> list[Packet]:
        """Return what has come."""
        return self._driver.receive(timeout)

    def close(self) -> None:
        """Let go of the connection."""
        self._driver.close()

    def wake(self) -> None:
        """Let a waiting `receive` return."""
        self._driver.wake()
