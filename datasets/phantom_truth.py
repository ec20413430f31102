"""The phantom's ground truth as JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from brainforge.datasets.helmet import HEAD_CENTER, HEAD_RADIUS
from brainforge.datasets.phantom_sources import BANDS, COUPLED, PlantedSource
from brainforge.errors import OutputError

if TYPE_CHECKING:
    from brainforge.datasets.phantom import Phantom
    from brainforge.datasets.phantom_model import PhantomModel

TRUTH_VERSION = 1


def describe(phantom: Phantom, model: PhantomModel) -> dict[str, Any]:
    """Return everything that was planted, JSON-ready, in SI units and absolute samples."""
    from dataclasses import asdict

    names, grid = model.array.names, model.grid
    background = model.background.truth()
    return {
        "version": TRUTH_VERSION,
        "phantom": {**asdict(phantom), "gaps": list(phantom.gaps)},
        "n_samples": grid.n_samples,
        "head": {"center_m": list(HEAD_CENTER), "radius_m": HEAD_RADIUS},
        "bad_channels": model.faults.truth(names),
        "gain_drift": _gain_drift(model),
        "sources": [_source(s, names) for s in model.sources],
        **_pairs(model),
        "heartbeats": _samples(model.heart),
        "blinks": _samples(model.blinks),
        "muscle": [] if model.muscle is None else [
            {"start": b.start, "stop": b.stop, "site": b.site} for b in model.muscle.bursts
        ],
        "movements": background["movements"],
        "line": background["line"],
        "interference": {
            "drift_t": phantom.background_drift,
            "density_at_1hz_t": phantom.interference,
            "homogeneous": 3,
            "gradients": 5,
        },
        "gaps": [{"start": g.start, "stop": g.stop, "cause": g.cause} for g in model.gaps],
        "noise": {"density_t": phantom.sensor_noise, "lsb_t": phantom.lsb},
    }  # fmt: skip


def _samples(component: Any) -> list[int]:
    return [] if component is None else [int(s) for s in component.samples]


def _source(source: PlantedSource, names: tuple[str, ...]) -> dict[str, Any]:
    return {
        "name": source.name,
        "position_m": source.position.tolist(),
        "orientation": source.orientation.tolist(),
        "moment_rms_am": source.moment,
        "bands": list(source.bands),
        "peaks": [{"frequency_hz": f, "sd_hz": w} for f, w in source.peaks],
        "best_sensor": names[source.best_sensor],
        "best_rms_t": float(np.abs(source.gain).max() * source.moment),
    }


def _pairs(model: PhantomModel) -> dict[str, Any]:
    coupled = [
        {
            **_pair(model, c.band, c.leader, c.follower),
            "leader": model.sources[c.leader].name,
            "follower": model.sources[c.follower].name,
            "lag_s": c.lag,
            "phase_deg": 360.0 * c.lag * _peak(model.sources[c.leader], c.band),
            "strength": c.strength,
        }
        for c in model.couplings
    ]
    tied = {frozenset((a, b)) for _, a, b in COUPLED} if coupled else set()
    independent = []
    for band in BANDS if model.sources else ():
        rows = [i for i, s in enumerate(model.sources) if band in s.bands]
        independent += [
            _pair(model, band, a, b)
            for n, a in enumerate(rows)
            for b in rows[n + 1 :]
            if frozenset((a, b)) not in tied
        ]
    return {"couplings": coupled, "independent_pairs": independent}


def _pair(model: PhantomModel, band: str, first: int, second: int) -> dict[str, Any]:
    one, two = model.sources[first], model.sources[second]
    place = model.array.positions
    return {
        "band": band,
        "fmin_hz": BANDS[band][0],
        "fmax_hz": BANDS[band][1],
        "sources": [one.name, two.name],
        "sensors": [model.array.names[one.best_sensor], model.array.names[two.best_sensor]],
        "distance_m": float(np.linalg.norm(place[one.best_sensor] - place[two.best_sensor])),
    }


def _peak(source: PlantedSource, band: str) -> float:
    return source.peaks[source.bands.index(band)][0]


def _gain_drift(model: PhantomModel) -> dict[str, Any] | None:
    row = model.faults.channels.get("gain_drift")
    if row is None:
        return None
    ends = np.linspace(0, max(model.grid.n_samples - 1, 0), 11).astype(int)
    return {
        "name": model.array.names[row],
        "samples": ends.tolist(),
        "gain": [float(model.faults.gain(int(s), int(s) + 1)[0]) for s in ends],
        "loss": model.faults.gain_drift,
    }


def write_truth(path: str | Path, truth: dict[str, Any]) -> Path:
    """Write a ground truth as JSON; the file appears whole or not at all.

    Raises
    ------
    OutputError
        Where the file exists or cannot be written.
    """
    target = Path(path)
    if target.exists():
        raise OutputError(f"{target}: expected a new file, got one that exists; choose another")
    part = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        part.write_text(json.dumps(truth, indent=1, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(target)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{target}: expected a place to write, got {error.strerror}; choose another folder"
        ) from error
    return target
