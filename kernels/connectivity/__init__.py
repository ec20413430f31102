"""Connectivity measures: accumulate, merge, finish. Names follow mne-connectivity."""
