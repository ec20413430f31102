"""Asr: artifact subspaces of a live signal reconstructed, block by block."""

from __future__ import annotations

from dataclasses import dataclass

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.stages.asr_step import AsrStep
from brainforge.stages.working import working_info

#: time between two assessments in seconds
HOP_S = 0.05


@dataclass(frozen=True)
class Asr:
    """Artifact Subspace Reconstruction: high-passed RawBlocks or Blocks in, Blocks out.

    Parameters
    ----------
    cutoff : float
        Deviations above the mean of clean windows at which a direction is cut.
    window_s : float
        Length of the windows that are judged, in seconds.
    lookahead_s : float
        How far the window reaches beyond what it is applied to, in seconds: the delay.
    calibration_s : float | None
        The first so many seconds of the stream (gaps and masked stretches not counted) go
        through as they are, and from them it is learned what is clean. None where a model is
        learned elsewhere and handed over (`AsrStep.adopt`): a live session does it in the
        background, since it takes seconds for hundreds of channels.
    most : float
        Share of the directions that may be cut at a time.

    Notes
    -----
    Assessed every 50 ms at multiples of that on the absolute sample index, so any cutting of
    the stream gives the same numbers. The window and its filter begin anew behind a gap of more
    than 50 ms; what was learned stays. Masked stretches are bridged for the arithmetic and stay
    masked.

    Mullen et al. (2015, IEEE Trans Biomed Eng 62:2553-2567); `brainforge.kernels.asr` says what
    is done otherwise.
    """

    cutoff: float = 5.0
    window_s: float = 0.5
    lookahead_s: float = 0.25
    calibration_s: float | None = 60.0
    most: float = 0.66

    def bind(self, info: Info, backend: Backend) -> AsrStep:
        """Check the parameters against ``info`` and return the running step."""
        if backend.name != "cpu":
            raise InputError(where="backend", expected="cpu", got=backend.name)
        hop = max(round(HOP_S * info.sfreq), 1)
        ahead = round(self.lookahead_s * info.sfreq / hop)
        if not (self.cutoff > 0 and 0 < self.most <= 1):
            raise InputError(
                where="cutoff, most",
                expected="above 0, and a share",
                got=f"{self.cutoff:g} and {self.most:g}",
            )
        if not 0 <= ahead * hop <= self.window_s * info.sfreq:
            raise InputError(
                where="lookahead_s",
                expected=f"0 to {self.window_s:g} s, the window",
                got=f"{self.lookahead_s:g} s",
            )
        least = 20 * self.window_s
        if self.calibration_s is not None and self.calibration_s < least:
            raise InputError(
                where="calibration_s",
                expected=f"at least {least:g} s: twenty windows",
                got=f"{self.calibration_s:g} s",
            )
        return AsrStep(self, info, working_info(info), hop, ahead)
