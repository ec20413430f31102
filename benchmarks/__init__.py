"""Benchmarks: every stage beside its peer, and the whole job. Not part of the wheel.

``python -m benchmarks.peers`` times stages beside their peers over lengths and channels,
``python -m benchmarks.job`` the whole job, ``python -m benchmarks.start`` the first start,
``python -m benchmarks.device`` a GPU, and ``python -m benchmarks.page`` writes
docs/performance.md and README's figures from their results.
"""
