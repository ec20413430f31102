"""Fixtures of the recorder's tests."""

from __future__ import annotations

import pytest

from tests.acquisition.recorder.lab import Lab


@pytest.fixture
def lab(tmp_path):
    """Return a folder with a recording and the processes that record it."""
    lab = Lab(tmp_path)
    yield lab
    lab.close()
