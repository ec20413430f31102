"""Brain-Forge: a real-time engine for OPM and SQUID magnetoencephalography."""

__version__ = "0.1.0"
