"""The page of kernels is the declared table."""

from __future__ import annotations

from benchmarks.kernel_table import PAGE, page


def test_the_page_is_true():
    assert PAGE.read_text(encoding="utf-8") == page(), "run python -m benchmarks.kernel_table"
