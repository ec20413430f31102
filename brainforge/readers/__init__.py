"""Readers: one file per format; all of them give a Recording."""

from brainforge.readers.open import open_recording

__all__ = ["open_recording"]
