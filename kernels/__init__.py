"""Pure numerical functions: arrays in, arrays out. They know nothing of signals or patients.

Compiled on first use, never at import. Each has a float64 reference in ``tests/reference``.
"""
