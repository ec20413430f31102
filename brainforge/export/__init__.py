"""Exports: a recording as MNE's Raw, as a FIF file, as a BIDS data set."""

from brainforge.export.bids import export_bids
from brainforge.export.fif import export_fif
from brainforge.export.mne_raw import to_raw

__all__ = ["export_bids", "export_fif", "to_raw"]
