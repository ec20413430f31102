"""Small host arrays that twins need again and again, kept on the device once they are there."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any

from brainforge.kernels.namespace import namespace, to_device

#: entries kept; windows, indices and the like of the kernels in use
MOST = 64

_kept: OrderedDict[tuple[Hashable, ...], Any] = OrderedDict()
_lock = Lock()


def constant(key: tuple[Hashable, ...], make: Callable[[], Any], like: Any) -> Any:
    """Return a host array as it is on the device of ``like``.

    Parameters
    ----------
    key : tuple
        Names the values: equal keys, equal values.
    make : callable
        Returns the host array; called where it is not on the device yet.
    like : array
        On a device.
    """
    where = (*key, namespace(like).__name__, str(like.device))
    with _lock:
        if where in _kept:
            _kept.move_to_end(where)
            return _kept[where]
    made = to_device(make(), like=like)
    with _lock:
        _kept[where] = made
        while len(_kept) > MOST:
            _kept.popitem(last=False)
    return made
