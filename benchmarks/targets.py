"""What every row has to reach on two cores: a ratio to its peer, or a figure of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Target:
    """What is wanted of a row.

    Parameters
    ----------
    ratio : float
        The peer's seconds over the product's, at least.
    seconds : float | None
        The product's seconds, at most.
    gb_s : float | None
        Gigabytes a second, at least, counted as float32.
    """

    ratio: float
    seconds: float | None = None
    gb_s: float | None = None

    @property
    def text(self) -> str:
        """The target in words."""
        parts = [f"{self.ratio:g}×"]
        if self.seconds is not None:
            parts.append(f"{self.seconds:g} s")
        if self.gb_s is not None:
            parts.append(f"{self.gb_s:g} GB/s")
        return ", ".join(parts)


#: rows that are not here have a ratio, and no target
TARGETS = {
    "read_fif_float": Target(4.0, gb_s=4.0),
    "read_fif_int": Target(4.0, gb_s=4.0),
    "read_zarr": Target(1.0, gb_s=4.0),
    "fir_decimate": Target(28.0),
    "fir_full": Target(6.6),
    "psd": Target(35.0),
    "bad_channels": Target(11.0),
    "hfc": Target(60.0),
    "ica": Target(23.0),
    "artifacts": Target(20.0),
    "connectivity": Target(50.0),
    "multitaper": Target(200.0),
    "aec": Target(100.0),
    "report": Target(20.0, seconds=0.5),
}


def judge(row: dict[str, Any]) -> dict[str, Any] | None:
    """Return the target of a row and whether it is met on most threads; None without one.

    A peer that is extrapolated counts: its mark stands beside it. Without any peer, ``met`` is
    None.
    """
    target = TARGETS.get(row["name"])
    if target is None:
        return None
    threads = max(row["ours"]["by_threads"], key=int)
    spent, ratio = row["ours"]["by_threads"][threads]["wall_s"], row["ratio"].get(threads)
    met: bool | None = None
    if ratio is not None:
        met = ratio >= target.ratio
        met &= target.seconds is None or spent <= target.seconds
        met &= target.gb_s is None or row["logical_bytes"] / spent / 1e9 >= target.gb_s
    return {
        "ratio": target.ratio, "seconds": target.seconds, "gb_s": target.gb_s,
        "text": target.text, "met": met,
    }  # fmt: skip
