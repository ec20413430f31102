"""Whether two Results hold the same numbers."""

from __future__ import annotations

import numpy as np

from brainforge.result import Result


def assert_equal_results(a: Result, b: Result) -> None:
    """Compare all figures of two results bit for bit."""
    np.testing.assert_array_equal(a.spectra.before, b.spectra.before)
    np.testing.assert_array_equal(a.spectra.after, b.spectra.after)
    np.testing.assert_array_equal(a.quality.rms, b.quality.rms)
    np.testing.assert_array_equal(a.quality.line_db, b.quality.line_db)
    assert a.quality.bads == b.quality.bads
    assert a.quality.intervals == b.quality.intervals
    assert a.quality.coverage == b.quality.coverage
    np.testing.assert_array_equal(a.traces.after, b.traces.after)
    for train in ("ecg", "eog"):
        one, two = getattr(a.artifacts, train), getattr(b.artifacts, train)
        np.testing.assert_array_equal(one.samples, two.samples)
        np.testing.assert_array_equal(one.average_after, two.average_after)
    assert a.connectivity.n_epochs == b.connectivity.n_epochs
    for measure, bands in a.connectivity.values.items():
        for band, values in bands.items():
            np.testing.assert_array_equal(values, b.connectivity.values[measure][band])
    assert a.findings == b.findings
