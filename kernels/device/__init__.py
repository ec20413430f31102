"""Device twins of the kernels, in files of the same names, and the CUDA sources behind some.

A twin takes and gives arrays of one namespace on one device. Most are portable bodies of the
array API; where that would be bound by memory or by launches, the twin launches CUDA source
of ``cuda/``.
"""
