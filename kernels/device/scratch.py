"""How much memory a twin may use for what it does not keep; set once a session."""

from __future__ import annotations

#: bytes of one intermediate array where nobody has said otherwise
DEFAULT = 512 << 20
#: less is of no use: a batch holds at least one row anyway
SMALLEST = 1 << 20

_bytes = DEFAULT


def set_scratch(n_bytes: int) -> None:
    """Set the size of one intermediate array; a twin may hold a few of them at a time."""
    global _bytes
    _bytes = max(min(n_bytes, DEFAULT), SMALLEST)


def batch(item_bytes: int) -> int:
    """Return how many items of ``item_bytes`` to work on at a time, at least one."""
    return max(_bytes // max(item_bytes, 1), 1)
