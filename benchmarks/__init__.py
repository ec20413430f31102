"""Benchmarks: every stage beside its peer, and the whole job. Not part of the wheel.

``python -m benchmarks.peers`` times stages, ``python -m benchmarks.job`` the whole job,
``python -m benchmarks.page`` writes docs/performance.md from their results;
``python -m benchmarks`` (`make bench`) does all three.
"""
