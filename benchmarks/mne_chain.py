"""The main job as MNE-Python does it, stage by stage: ``python -m benchmarks.mne_chain FIF``.

Prints JSON: seconds by stage and the peak memory of the process. The stages and their settings
are those of the product's recipe ``resting``; ``n_jobs=1`` throughout, since two are slower.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.material import H_FREQ, L_FREQ, LINE_FREQ
from benchmarks.stages.ica import GRADIENT_SHARE, N_COMPONENTS, peer_ica
from brainforge.measures.bands import BANDS

METHODS = ["coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased"]
AEC_EPOCH_S = 10.0
#: AEC takes the peer about a second an epoch and band; the rest is counted
AEC_EPOCHS, AEC_BAND = 3, "alpha"


class Chain:
    """Seconds by the product's names of its stages."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str, times: float = 1.0) -> Iterator[None]:
        """Add the seconds of what is inside, ``times`` over, to a stage."""
        begun = time.perf_counter()
        yield
        spent = (time.perf_counter() - begun) * times
        self.seconds[name] = self.seconds.get(name, 0.0) + spent


def run(fif: Path, out: Path) -> dict[str, Any]:
    """Run all stages on a FIF file; the report goes to the folder ``out``."""
    import mne

    mne.set_log_level("error")
    chain = Chain()
    with chain.stage("ingest_s"):
        raw = mne.io.read_raw_fif(fif, preload=True)
    with chain.stage("preprocess_s"):
        raw = _preprocess(mne, raw)
    with chain.stage("artifacts_s"):
        ica, raw = _artifacts(raw)
    with chain.stage("preprocess_s"):
        raw.compute_psd("welch", n_fft=1000, n_overlap=500, window="hann", n_jobs=1)
    _connectivity(mne, raw, chain)
    with chain.stage("report_s"):
        report = mne.Report("benchmark")
        report.add_raw(raw, "cleaned", psd=True, butterfly=True)
        report.add_ica(ica, "components", inst=None)
        report.save(out / "mne_report.html", open_browser=False, overwrite=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {
        "seconds": chain.seconds,
        "duration_s": raw.times[-1] + 1 / raw.info["sfreq"],
        "peak_rss_bytes": peak,
    }


def _preprocess(mne: Any, raw: Any) -> Any:
    mne.preprocessing.annotate_muscle_zscore(raw.copy(), threshold=5, ch_type="mag", n_jobs=1)
    raw.filter(L_FREQ, H_FREQ, n_jobs=1)
    raw.notch_filter(np.arange(LINE_FREQ, H_FREQ + 1, LINE_FREQ), n_jobs=1)
    raw.resample(250.0, n_jobs=1)
    raw.compute_psd("welch", n_fft=1000, n_overlap=500, window="hann", n_jobs=1)
    raw.info["bads"] = mne.preprocessing.find_bad_channels_lof(raw)
    raw.add_proj(mne.preprocessing.compute_proj_hfc(raw.info, order=1)).apply_proj()
    if raw.info["bads"]:
        # a sphere about the sensors' centre stands for the head
        origin = np.mean([ch["loc"][:3] for ch in raw.info["chs"]], axis=0)
        raw.interpolate_bads(origin=tuple(origin))
    return raw


def _artifacts(raw: Any) -> tuple[Any, Any]:
    tol = GRADIENT_SHARE / float(np.sqrt(raw.n_times))
    ica = peer_ica(min(N_COMPONENTS, len(raw.ch_names) // 2), tol)
    ica.fit(raw)
    positions = np.array([ch["loc"][:3] for ch in raw.info["chs"]])
    frontal = raw.ch_names[int(np.argmax(positions[:, 1]))]
    heart, _ = ica.find_bads_ecg(raw)
    eyes, _ = ica.find_bads_eog(raw, ch_name=frontal)
    return ica, ica.apply(raw, exclude=sorted({*heart, *eyes}))


def _connectivity(mne: Any, raw: Any, chain: Chain) -> None:
    import mne_connectivity

    sfreq = raw.info["sfreq"]
    for epoch_s, names in ((4.0, ["delta"]), (2.0, [b for b in BANDS if b != "delta"])):
        with chain.stage("connectivity_s"):
            epochs = mne.make_fixed_length_epochs(raw, epoch_s, preload=True, proj=False)
            mne_connectivity.spectral_connectivity_epochs(
                epochs.get_data(), method=METHODS, mode="fourier", sfreq=sfreq, faverage=True,
                fmin=[BANDS[b][0] for b in names], fmax=[BANDS[b][1] for b in names], n_jobs=1,
            )  # fmt: skip
    n = int(raw.n_times / sfreq / AEC_EPOCH_S)
    some = min(AEC_EPOCHS, n)
    if not some:
        return
    with chain.stage("aec_s", times=len(BANDS)):
        band = raw.copy().filter(*BANDS[AEC_BAND], n_jobs=1)
        epochs = mne.make_fixed_length_epochs(band, AEC_EPOCH_S, preload=True, proj=False)
        epochs.apply_hilbert()
    with chain.stage("aec_s", times=len(BANDS) * n / some):
        mne_connectivity.envelope_correlation(
            epochs.get_data()[:some], orthogonalize="pairwise", absolute=False
        )


def main() -> int:
    fif = Path(sys.argv[1])
    print(json.dumps(run(fif, fif.parent)))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
