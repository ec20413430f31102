"""Measures: accumulators that update, merge and give a result."""
