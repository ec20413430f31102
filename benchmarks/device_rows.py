"""What is measured on a GPU: kernels with twins, and the whole job with its stages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.material import EPOCH_S, H_FREQ, L_FREQ, LONG_EPOCH_S, Material
from benchmarks.stages.connectivity import METHODS
from brainforge.backend import Backend
from brainforge.block import Block
from brainforge.kernels.apply import apply_matrix
from brainforge.kernels.decimate import decimate, polyphase
from brainforge.kernels.fir_design import design_fir
from brainforge.kernels.gram import gram
from brainforge.kernels.muscle import muscle_plan, window_amplitude
from brainforge.kernels.overlap_save import FirPlan, overlap_save
from brainforge.kernels.psd import WelchPlan, welch_sums
from brainforge.kernels.raw_statistics import raw_statistics
from brainforge.measures.aec import AecMeasure
from brainforge.measures.bands import BANDS
from brainforge.measures.connectivity import ConnectivityMeasure

Call = Callable[[Any], Any]


@dataclass(frozen=True)
class KernelRow:
    """A kernel on realistic data.

    Parameters
    ----------
    name : str
        In the catalogue.
    data : callable
        From the material, the host array that goes to the device.
    call : callable
        From the material, a function of that array, wherever it is.
    """

    name: str
    data: Callable[[Material], Any]
    call: Callable[[Material], Call]


def _counts(material: Material) -> Any:
    return material.counts_blocks[0].data


def _working(material: Material) -> Any:
    return material.working


def _decimate(material: Material) -> Call:
    phases = polyphase(np.hanning(113) / 56.0, 4)
    n_out = (_counts(material).shape[1] - 113) // 4
    return lambda x: decimate(x, phases, n_out)


def _overlap_save(material: Material) -> Call:
    taps = design_fir(250.0, L_FREQ, H_FREQ, l_trans=1.0, h_trans=20.0)
    plan = FirPlan(taps, 2048)
    return lambda x: overlap_save(x, plan)


def _muscle(material: Material) -> Call:
    plan = muscle_plan(material.sfreq)
    assert plan is not None
    n = (_counts(material).shape[1] - plan.reach) // plan.window
    return lambda x: window_amplitude(x, plan, n)


def _welch(material: Material) -> Call:
    plan = WelchPlan(250.0, 1000, 500)
    return lambda x: welch_sums(x, plan)


def _raw_statistics(material: Material) -> Call:
    rails = np.full((material.n_channels, 2), 32000.0) * [-1, 1]
    return lambda x: raw_statistics(x, rails)


def _apply(material: Material) -> Call:
    matrix = np.linalg.qr(np.random.default_rng(5).standard_normal([material.n_channels] * 2))[0]
    return lambda x: apply_matrix(matrix, x)


KERNELS = (
    KernelRow("decimate.decimate", _counts, _decimate),
    KernelRow("raw_statistics.raw_statistics", _counts, _raw_statistics),
    KernelRow("muscle.window_amplitude", _counts, _muscle),
    KernelRow("overlap_save.overlap_save", _working, _overlap_save),
    KernelRow("psd.welch_sums", _working, _welch),
    KernelRow("gram.gram", _working, lambda material: gram),
    KernelRow("apply.apply_matrix", _working, _apply),
)


@dataclass(frozen=True)
class MeasureRow:
    """A measure over the working signal that is on the device already.

    Parameters
    ----------
    name, title : str
    target_s : float
        For 30 minutes of 306 channels.
    make : callable
        From the material and the backend, an empty measure.
    """

    name: str
    title: str
    target_s: float
    make: Callable[[Material, Backend], Any]

    def run(self, material: Material, backend: Backend, blocks: Sequence[Block]) -> Any:
        """Return what the measure gives for blocks, wherever their samples are."""
        measure = self.make(material, backend)
        for block in blocks:
            measure.update(block)
        return measure.result().values


def _spectral(mode: str) -> Callable[[Material, Backend], Any]:
    return lambda material, backend: ConnectivityMeasure(
        material.working_info, backend, methods=METHODS, picks=material.working_info.names,
        mode=mode, epoch_durations=dict.fromkeys(BANDS, EPOCH_S),
    )  # fmt: skip


def _aec(material: Material, backend: Backend) -> Any:
    info = material.working_info
    return AecMeasure(info, backend, bands=BANDS, picks=info.names, epoch_duration=LONG_EPOCH_S)


MEASURES = (
    MeasureRow("fourier", "five measures, Fourier", 0.015, _spectral("fourier")),
    MeasureRow("multitaper", "five measures, seven tapers", 0.040, _spectral("multitaper")),
    MeasureRow("aec", "orthogonalised AEC, five bands", 0.100, _aec),
)


@dataclass(frozen=True)
class StageRow:
    """A part of the whole job: ``key`` of the result's timings, seconds wanted at most."""

    name: str
    title: str
    key: str
    target_s: float | None


STAGES = (
    StageRow("ingest", "job: counts to the device", "ingest_s", 0.050),
    StageRow("preprocess", "job: preprocess", "preprocess_s", 0.030),
    StageRow("artifacts", "job: ICA fit, classify, apply", "artifacts_s", 0.150),
    StageRow("connectivity", "job: connectivity and AEC", "connectivity_s", 0.115),
    StageRow("report", "job: report", "report_s", 0.300),
    StageRow("whole", "job: 30 min, 306 channels, warm", "total_s", 1.0),
)
#: rows that a GPU has to be lent for longer
PATIENTS = "50 patients of 30 min one after the other"
PATIENTS_TARGET_S = 23.7
