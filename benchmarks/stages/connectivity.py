"""Spectral connectivity of all pairs, one Hann taper, five measures and bands."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.comparison import Comparison, Figure
from benchmarks.material import EPOCH_S, FT, Material
from brainforge.backend import Backend
from brainforge.measures.bands import BANDS
from brainforge.measures.connectivity import ConnectivityMeasure

METHODS = ("coh", "imcoh", "plv", "pli", "wpli")
#: absolute; a sign of a sample that is within rounding of zero may count the other way for PLI
BOUNDS = {"coh": 1e-5, "imcoh": 1e-5, "plv": 1e-5, "pli": 2e-2, "wpli": 1e-5}
#: epochs the peer is run on at most
PEER_EPOCHS = 160


def build(material: Material) -> Comparison:
    return spectral(
        material, "fourier", f"{', '.join(METHODS)}, Fourier", PEER_EPOCHS, PEER_EPOCHS // 2
    )


def spectral(material: Material, mode: str, title: str, most: int, least: int) -> Comparison:
    """Return the comparison in one mode; the peer gets ``most`` epochs, and ``least`` of them."""
    sfreq = material.working_info.sfreq
    n = material.working.shape[1] // round(EPOCH_S * sfreq)
    sizes = (n,) if n <= most or material.whole else (least, most)

    @cache
    def scaled() -> npt.NDArray[np.float64]:
        # in order one: the peer's own guards against division by zero are absolute
        return material.epochs(EPOCH_S)[: sizes[-1]].astype(np.float64) / FT

    def peer(count: int) -> Any:
        import mne_connectivity

        return mne_connectivity.spectral_connectivity_epochs(
            scaled()[:count], method=list(METHODS), mode=mode, sfreq=sfreq,
            fmin=[low for low, _ in BANDS.values()], fmax=[high for _, high in BANDS.values()],
            faverage=True, n_jobs=1, verbose="error",
        )  # fmt: skip

    ours = _measure(material, mode)

    def figures(theirs: Any, whole: Any) -> list[Figure]:
        got = whole if sizes[-1] == n else ours(2, sizes[-1])
        lower = np.tril_indices(material.n_channels, -1)
        out = []
        for method, result in zip(METHODS, theirs):
            dense = result.get_data("dense")
            worst = max(
                float(np.abs(got.values[method][band][lower] - dense[..., b][lower]).max())
                for b, band in enumerate(BANDS)
            )
            text = f"{method}: largest absolute difference"
            out.append(Figure(text, worst, BOUNDS[method]))
        return out

    return Comparison(
        title=title,
        amount=f"{material.working_size}, {n} epochs of {EPOCH_S:g} s, {len(BANDS)} bands",
        peer=f"mne_connectivity.spectral_connectivity_epochs, {mode}, float64, n_jobs=1",
        ours="ConnectivityMeasure, float32 with float64 sums",
        run_peer=peer,
        run_ours=lambda threads: ours(threads, n),
        figures=figures,
        units=n,
        unit="epochs",
        peer_units=sizes,
        prepare_peer=(scaled,),
    )


def _measure(material: Material, mode: str) -> Callable[[int, int], Any]:
    info = material.working_info
    length = round(EPOCH_S * info.sfreq)

    def run(threads: int, n_epochs: int) -> Any:
        measure = ConnectivityMeasure(
            info, Backend(n_threads=threads), methods=METHODS, picks=info.names, mode=mode,
            epoch_durations=dict.fromkeys(BANDS, EPOCH_S),
        )  # fmt: skip
        for block in cut(material.working_blocks, n_epochs * length):
            measure.update(block)
        return measure.result()

    return run


def cut(blocks: list[Any], stop: int) -> list[Any]:
    """Return the blocks up to the absolute sample ``stop``."""
    from brainforge.block import Block

    return [
        b if b.stop <= stop else Block(b.data[:, : stop - b.start], b.info, b.start, b.masks)
        for b in blocks
        if b.start < stop
    ]
