"""Fixtures for all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# processes that tests start find tests and benchmarks, also where Python keeps the folder off
# its path
_ROOT = str(Path(__file__).resolve().parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(
    [_ROOT, *(p for p in [os.environ.get("PYTHONPATH")] if p)]
)

SHARED_DATA = Path(__file__).resolve().parents[1].parent / "shared" / "data"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real recordings; the test is skipped where it is absent."""
    if not SHARED_DATA.is_dir():
        pytest.skip("the real recordings are not here: expected them in ../shared/data")
    return SHARED_DATA
