"""Found beside planted: what agrees is said to agree, what does not is not."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from brainforge.cli.truth import compare
from brainforge.result import BadChannel, Connectivity, EventTrain

TRUTH: dict[str, Any] = {
    "phantom": {"sfreq": 1000.0},
    "bad_channels": [{"name": "A", "kind": "dead"}, {"name": "B", "kind": "noisy"}],
    "heartbeats": [1000, 2000, 3000, 4000],
    "blinks": [],
    "couplings": [
        {"band": "alpha", "sensors": ["C000", "C019"], "distance_m": 0.1, "strength": 0.9},
        {"band": "alpha", "sensors": ["C001", "C002"], "distance_m": 0.05, "strength": 0.9},
        {"band": "beta", "sensors": ["C000", "A"], "distance_m": 0.1, "strength": 0.9},
    ],
}


def _bad(name: str, reason: str) -> BadChannel:
    return BadChannel(name, reason, "because", 1.0, 0.5)


def _train(kind: str, samples: list[int]) -> EventTrain:
    return EventTrain(kind, np.array(samples), 60.0, "C000")


def _result(bads: list[BadChannel], beats: list[int], blinks: list[int], edge: float = 1.0) -> Any:
    names = tuple(f"C{i:03d}" for i in range(20))
    values = np.full((20, 20), 0.1, dtype=np.float32)
    values[0, 19] = values[19, 0] = edge
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    found = Connectivity(
        names,
        bands,
        {"alpha": 30, "beta": 30},
        {"wpli2_debiased": {"alpha": values, "beta": values}},
    )
    return SimpleNamespace(
        quality=SimpleNamespace(bads=bads),
        artifacts=SimpleNamespace(ecg=_train("ecg", beats), eog=_train("eog", blinks)),
        connectivity=found,
    )


def test_everything_found() -> None:
    checks = compare(
        TRUTH, _result([_bad("A", "flat"), _bad("B", "noisy")], [1050, 1990, 3000, 4010], [])
    )
    assert all(check.ok for check in checks)
    assert [check.what for check in checks] == [
        "channel A",
        "channel B",
        "other bad channels",
        "heartbeats",
        "blinks",
        "alpha coupling C000 – C019",
    ]
    assert checks[0].planted == checks[0].found == "flat"
    assert checks[3].found == "4 of them"


@pytest.mark.parametrize(
    ("result", "what"),
    [
        (_result([_bad("A", "flat")], [1000, 2000, 3000, 4000], []), "channel B"),
        (
            _result([_bad(n, "flat") for n in "ABC"], [1000, 2000, 3000, 4000], []),
            "other bad channels",
        ),
        (_result([_bad(n, "flat") for n in "AB"], [1000, 2000, 3000], []), "heartbeats"),
        (_result([_bad(n, "flat") for n in "AB"], [1200, 2200, 3200, 4200], []), "heartbeats"),
        (_result([_bad(n, "flat") for n in "AB"], [1000, 2000, 3000, 4000], [5]), "blinks"),
        (
            _result([_bad(n, "flat") for n in "AB"], [1000, 2000, 3000, 4000], [], edge=0.0),
            "alpha coupling C000 – C019",
        ),
    ],
)
def test_what_is_not_found_is_said(result: Any, what: str) -> None:
    assert [check.what for check in compare(TRUTH, result) if not check.ok] == [what]


def test_only_what_was_looked_for_is_compared() -> None:
    result = _result([], [], [])
    result.artifacts = result.connectivity = None
    assert [check.what for check in compare(TRUTH, result)] == [
        "channel A",
        "channel B",
        "other bad channels",
    ]
