"""ZapLine: mains removed by spatial filters that follow its field, window by window."""

from __future__ import annotations

from dataclasses import dataclass

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.stages.working import working_info
from brainforge.stages.zapline_step import ZapLineStep


@dataclass(frozen=True)
class ZapLine:
    """Remove the mains and its harmonics by ZapLine: RawBlocks or Blocks in, Blocks out.

    Parameters
    ----------
    line_freq : float | None
        Mains frequency in Hz; None for that of the Info.
    n_remove : int | None
        Components to remove in every window; None for those that stand out of chance.
    window_s : float
        Length of a window in seconds.
    half_width : float
        How far from a harmonic a bin still counts as mains, in Hz.

    Notes
    -----
    Windows begin at multiples of half their length on the absolute sample index and overlap by
    half; each fades into the next with squared sines, so that the spatial filter moves without a
    step. The numbers do not depend on how the stream was cut. A stretch's first and last half
    window are of one window alone. Gaps up to 50 ms are bridged by straight lines and stay
    masked, as masked samples do; longer gaps end the stretch.

    de Cheveigné (2020, NeuroImage 207:116356); `brainforge.kernels.zapline`.
    """

    line_freq: float | None = None
    n_remove: int | None = None
    window_s: float = 10.0
    half_width: float = 0.5

    def bind(self, info: Info, backend: Backend) -> ZapLineStep:
        """Check the parameters against ``info`` and return the running step."""
        if backend.name != "cpu":
            raise InputError(where="backend", expected="cpu", got=backend.name)
        line = self.line_freq or info.line_freq
        if line is None or not 0 < line < info.sfreq / 2:
            raise InputError(
                where="line_freq",
                expected=f"a mains frequency below {info.sfreq / 2:g} Hz",
                got="none" if line is None else f"{line:g} Hz",
            )
        cell = round(self.window_s * info.sfreq / 2)
        if cell < 10 * info.sfreq / line:
            raise InputError(
                where="window_s",
                expected=f"at least {20 / line:.2g} s: twenty cycles",
                got=f"{self.window_s:g} s",
            )
        if self.n_remove is not None and self.n_remove < 0:
            raise InputError(where="n_remove", expected="0 or more", got=str(self.n_remove))
        return ZapLineStep(
            info,
            working_info(info),
            line,
            cell,
            n_remove=self.n_remove,
            half_width=self.half_width,
        )
