"""The errors that Brain-Forge raises on purpose, and the exit code each of them gives.

Every message is one line that says what was expected, what arrived and what to do.
"""

from __future__ import annotations


class BrainForgeError(Exception):
    """Base of all errors raised on purpose."""

    exit_code = 1


class InputError(BrainForgeError, ValueError):
    """A file, an array or an option is not what it has to be.

    Parameters
    ----------
    expected : str
        What was expected.
    got : str
        What arrived.
    fix : str
        What the user can do about it.
    where : str
        The file, argument or channel at fault.
    """

    exit_code = 2

    def __init__(self, *, expected: str, got: str, fix: str = "", where: str = "") -> None:
        self.expected, self.got, self.fix, self.where = expected, got, fix, where
        text = f"expected {expected}, got {got}"
        if where:
            text = f"{where}: {text}"
        if fix:
            text = f"{text}; {fix}"
        super().__init__(" ".join(text.split()))


class ReadError(InputError):
    """A recording cannot be read."""


class KernelInputError(InputError):
    """An array handed to a kernel breaks its contract; ``where`` names the argument."""


class OutputError(BrainForgeError, OSError):
    """An output could not be written: it exists, the disk is full, the folder is read-only."""

    exit_code = 2


class DeviceError(BrainForgeError):
    """A device ran out of memory, failed or went away; the work can be done elsewhere.

    Parameters
    ----------
    text : str
        What happened, in one line.
    memory : bool
        Whether it was memory that ran out: smaller chunks may do.
    """

    def __init__(self, text: str, *, memory: bool = False) -> None:
        self.memory = memory
        super().__init__(" ".join(text.split()))
