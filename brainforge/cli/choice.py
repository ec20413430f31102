"""The backend that a command's options and the settings ask for."""

from __future__ import annotations

from brainforge.backend import Backend
from brainforge.config import Settings, parse_backend, parse_threads


def chosen_backend(
    settings: Settings, threads: int | None = None, backend: str | None = None
) -> Backend:
    """Return the backend; options come before settings.

    Raises
    ------
    InputError
        For options out of range, or a device that is asked for and cannot be used.
    """
    from brainforge.device import choose

    name = settings.backend if backend is None else parse_backend(backend, "--backend")
    n_threads = settings.threads if threads is None else parse_threads(threads, "--threads")
    return choose(name, n_threads=n_threads, memory=round(settings.device_memory * 2**30))
