"""The live stages beside their peers, on one core: biquads, coherence, ZapLine, ASR.

``python -m benchmarks.live_peers [--seconds 60] [--json PATH]``. Both sides get the same samples
in the same run, taking turns where they are short. Accuracy stands beside every ratio: what was
planted is known.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import signal

from benchmarks.live_block import BLOCK, N_CHANNELS, SFREQ, one_core
from benchmarks.machine import account
from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.info import Channel, Info
from brainforge.kernels.asr import AsrState, Removal, asr_assess, asr_remove
from brainforge.kernels.asr_fit import AsrModel, asr_calibrate
from brainforge.kernels.iir import design_causal, sosfilt
from brainforge.kernels.zapline import zapline
from brainforge.measures.bands import BANDS
from brainforge.measures.rolling import RollingMeasure

RESULTS = Path(__file__).parent / "results" / "live_peers.json"
F64 = npt.NDArray[np.float64]
F32 = npt.NDArray[np.float32]
LINE = 50.0
#: the peer's blocks that are timed: each takes a fifth of a second
PEER_BLOCKS = 90
#: blocks that the window reaches ahead, and blocks until it is full
AHEAD, WARM = 5, 20


def brain_like(n: int, sfreq: float, n_channels: int, seed: int) -> F64:
    """Return sources below 40 Hz in many channels, with sensor noise, in fT."""
    rng = np.random.default_rng(seed)
    mix = np.random.default_rng(1).standard_normal((n_channels, 30))
    sos = signal.butter(2, (1, 40), "bandpass", fs=sfreq, output="sos")
    sources = signal.sosfilt(sos, rng.standard_normal((30, n)), axis=1)
    return 60 * mix @ sources + 30 * rng.standard_normal((n_channels, n))


def seconds_of(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return the CPU seconds of this thread for one call, and what it returned."""
    begun = time.thread_time()
    result = call()
    return time.thread_time() - begun, result


def in_turns(ours: Callable[[], Any], theirs: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Warm both up and time them in turn; return medians in milliseconds and the ratio."""
    results = ours(), theirs()
    times = [(seconds_of(ours)[0], seconds_of(theirs)[0]) for _ in range(repeats)]
    mine, other = 1e3 * np.median(times, axis=0)
    return {
        "ours_ms": float(mine), "peer_ms": float(other), "ratio": float(other / mine),
        "results": results,
    }  # fmt: skip


def biquads(n_channels: int) -> dict[str, Any]:
    """Filter one block through seven sections, state carried; SciPy's ``sosfilt``."""
    sos = design_causal(SFREQ, 1.0, 100.0, notch=(50.0, 100.0, 150.0))
    x = np.random.default_rng(0).standard_normal((BLOCK, n_channels))
    zero = np.zeros((len(sos), 2, n_channels))
    state, zi = zero.copy(), zero.copy()
    row = in_turns(
        lambda: sosfilt(x, sos, state), lambda: signal.sosfilt(sos, x, axis=0, zi=zi), 400
    )
    del row["results"]
    wrong = np.abs(sosfilt(x, sos, zero.copy()) - signal.sosfilt(sos, x, axis=0)).max()
    return {
        "title": f"biquads, {len(sos)} sections, {BLOCK} x {n_channels}, float64",
        "peer": "scipy.signal.sosfilt",
        **row,
        "accuracy": {"largest difference": float(wrong)},
    }


def mains(n_channels: int) -> dict[str, Any]:
    """Clean one 10-s window at 250 Hz of planted mains; meegkit's ``dss_line``."""
    from meegkit.dss import dss_line

    sfreq, n = 250.0, 2500
    brain = brain_like(n, sfreq, n_channels, 2)
    rng, t = np.random.default_rng(3), np.arange(n) / sfreq
    waves = [np.sin(2 * np.pi * f * (LINE + 0.02) * t + p) for f, p in ((1, 0.3), (1, 1.9), (2, 1))]
    line = 500 * rng.standard_normal((n_channels, 3)) @ np.array(waves)
    x = brain + line
    single = x.astype(np.float32)

    def peer() -> F64:
        with contextlib.redirect_stdout(io.StringIO()):
            return dss_line(x.T.copy(), LINE, sfreq, nremove=3)[0].T

    row = in_turns(lambda: zapline(single, sfreq, LINE)[0], peer, 5)
    ours, theirs = row.pop("results")
    theirs = theirs + x.mean(axis=1, keepdims=True)
    return {
        "title": f"ZapLine, 10 s x {n_channels} at 250 Hz",
        "peer": "meegkit.dss.dss_line",
        **row,
        "accuracy": {
            "line removed, dB": _decibels(line, ours - brain, sfreq),
            "line removed by the peer, dB": _decibels(line, theirs - brain, sfreq),
            "error over brain": _rms(ours - brain) / _rms(brain),
            "error of the peer over brain": _rms(theirs - brain) / _rms(brain),
        },
    }


def _decibels(line: F64, left: F64, sfreq: float) -> float:
    taper = np.hanning(line.shape[1])
    freqs = np.fft.rfftfreq(line.shape[1], 1 / sfreq)
    near = np.abs(freqs - LINE) < 0.5
    power = [(np.abs(np.fft.rfft(taper * v, axis=1)[:, near]) ** 2).sum() for v in (line, left)]
    return float(10 * np.log10(power[0] / power[1]))


def _rms(x: F64) -> float:
    return float(np.sqrt(np.mean(np.square(x))))


def connectivity(n_channels: int) -> dict[str, Any]:
    """Bring coherence of all pairs in five bands up to date; mne-connectivity on 30 epochs."""
    from mne_connectivity import spectral_connectivity_epochs

    info = Info(SFREQ, tuple(Channel(f"M{i}", "mag") for i in range(n_channels)))
    n, window = round(60 * SFREQ), round(2 * SFREQ)
    rng = np.random.default_rng(8)
    x = 50 * rng.standard_normal((n_channels, n), dtype=np.float32)
    sos = signal.butter(4, (8, 13), "bandpass", fs=SFREQ, output="sos")
    x[:2] += 250 * signal.sosfilt(sos, rng.standard_normal(n)).astype(np.float32)
    measure, blocks = RollingMeasure(info, Backend(n_threads=1)), range(0, n, BLOCK)
    seconds = [
        seconds_of(partial(measure.update, Block(x[:, a : a + BLOCK], info, a)))[0] for a in blocks
    ]
    got = measure.result()
    epochs = x.reshape(n_channels, -1, window).transpose(1, 0, 2)
    edges = np.array(list(BANDS.values()))
    peer = partial(
        spectral_connectivity_epochs, epochs, method="coh", mode="fourier", sfreq=SFREQ,
        fmin=tuple(edges[:, 0]), fmax=tuple(edges[:, 1]), faverage=True, verbose=False,
    )  # fmt: skip
    runs = [seconds_of(peer) for _ in range(2)]
    theirs = runs[0][1].get_data("dense")[:, :, got.bands.index("alpha")]
    alpha = got.coherence[got.bands.index("alpha")]
    own = 1e3 * np.array(seconds[-len(seconds) // 2 :])
    other = 1e3 * min(s for s, _ in runs)
    return {
        "title": f"coherence brought up to date by 50 ms, five bands, {n_channels} channels",
        "peer": "mne_connectivity.spectral_connectivity_epochs, fourier, 30 epochs of 2 s",
        "ours_ms": float(np.median(own)),
        "ours_p99_ms": float(np.percentile(own, 99)),
        "peer_ms": other,
        "ratio": float(other / np.median(own)),
        "target_ms": 50.0,
        "accuracy": {
            "planted pair": float(alpha[0]),
            "planted pair, of the peer": float(theirs[1, 0]),
            "independent pairs, mean": float(alpha[1:].mean()),
            "independent pairs, mean, of the peer": float(theirs[2:, :2].mean()),
        },
    }


def bursts(n: int, n_channels: int) -> tuple[F64, npt.NDArray[np.bool_]]:
    """Return planted artifacts of half a second, axes (channel, sample), and where they are."""
    out, where, rng = np.zeros((n_channels, n)), np.zeros(n, bool), np.random.default_rng(6)
    for at in range(1200, n - 600, 1500):
        where[at : at + 500] = True
        shape = np.hanning(500) * np.sin(2 * np.pi * rng.uniform(2, 30) * np.arange(500) / SFREQ)
        out[:, at : at + 500] = 1500 * np.outer(rng.standard_normal(n_channels), shape)
    return out, where


def ours_by_block(model: AsrModel, x: F32) -> tuple[F32, F64]:
    """Clean block by block as the stage does; return what comes out and seconds a block."""
    state, before = AsrState.empty(model, BLOCK), Removal.none(len(x))
    blocks = [x[:, a : a + BLOCK] for a in range(0, x.shape[1], BLOCK)]
    timed = [seconds_of(partial(asr_assess, state, model, block)) for block in blocks]
    seconds, out = np.array([s for s, _ in timed]), []
    for i, block in enumerate(blocks):
        # the window is centred on what it is applied to
        after = timed[min(i + AHEAD, len(timed) - 1)][1]
        took, y = seconds_of(partial(asr_remove, block, before, after))
        before = after
        seconds[i] += took
        out.append(y)
    return np.concatenate(out, axis=1), seconds


def artifacts(seconds: float, n_channels: int) -> dict[str, Any]:
    """Calibrate, then clean block by block with planted bursts; meegkit's ``ASR``."""
    import meegkit.asr

    lesson = brain_like(round(seconds * SFREQ), SFREQ, n_channels, 4)
    n = BLOCK * PEER_BLOCKS
    brain, (burst, where) = brain_like(n, SFREQ, n_channels, 5), bursts(n, n_channels)
    x = brain + burst
    fit_s, model = seconds_of(lambda: asr_calibrate(lesson, SFREQ))
    peer = meegkit.asr.ASR(sfreq=SFREQ, cutoff=5, method="euclid")
    peer_fit_s, _ = seconds_of(lambda: peer.fit(lesson))
    ours, mine = ours_by_block(model, x.astype(np.float32))
    timed = [seconds_of(partial(peer.transform, x[:, a : a + BLOCK])) for a in range(0, n, BLOCK)]
    theirs = np.concatenate([y for _, y in timed], axis=1)
    # until the windows of both are full nothing is judged
    own, other = 1e3 * mine[WARM:], 1e3 * np.array([s for s, _ in timed])[WARM:]
    rest = ~where & (np.arange(n) >= WARM * BLOCK)
    return {
        "title": f"ASR, block of {BLOCK} x {n_channels}, calibrated on {seconds:g} s",
        "peer": "meegkit.asr.ASR, method euclid",
        "ours_ms": float(np.median(own)),
        "ours_p99_ms": float(np.percentile(own, 99)),
        "peer_ms": float(np.median(other)),
        "peer_p99_ms": float(np.percentile(other, 99)),
        "ratio": float(np.median(other) / np.median(own)),
        "fit_s": fit_s,
        "peer_fit_s": peer_fit_s,
        "target_p99_ms": 40.0,
        "accuracy": {
            "planted over brain in bursts": _rms(burst[:, where]) / _rms(brain),
            "error in bursts over brain": _rms((ours - brain)[:, where]) / _rms(brain),
            "of the peer": _rms((theirs - brain)[:, where]) / _rms(brain),
            "error elsewhere over brain": _rms((ours - brain)[:, rest]) / _rms(brain),
            "elsewhere, of the peer": _rms((theirs - brain)[:, rest]) / _rms(brain),
        },
    }


def measure(seconds: float, n_channels: int = N_CHANNELS) -> dict[str, Any]:
    """Return all rows, JSON-ready; ``seconds`` of calibration."""
    found = account()
    with one_core(), warnings.catch_warnings():
        # the peers' warnings are theirs
        warnings.simplefilter("ignore")
        rows = [
            biquads(n_channels),
            connectivity(n_channels),
            mains(n_channels),
            artifacts(seconds, n_channels),
        ]
    return {**found, "clock": "CPU time of the thread, one core, BLAS on one thread", "rows": rows}


def print_result(result: dict[str, Any]) -> None:
    """Print the rows."""
    for row in result["rows"]:
        print(f"{row['title']}: {row['ours_ms']:.3f} ms, {row['peer']} {row['peer_ms']:.3f} ms, "
              f"{row['ratio']:.1f}x")  # fmt: skip
        for name in ("ours_p99_ms", "peer_p99_ms", "fit_s", "peer_fit_s"):
            if name in row:
                print(f"    {name} {row[name]:.3g}")
        for name, value in row["accuracy"].items():
            print(f"    {name}: {value:.3g}")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.live_peers", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", type=Path, default=RESULTS)
    options = parser.parse_args(argv)
    result = measure(options.seconds)
    print_result(result)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
