"""Sessions under test keep their LSL streams to themselves."""

from tests.lsl_config import pytest_unconfigure

__all__ = ["pytest_unconfigure"]
