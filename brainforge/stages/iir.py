"""CausalIir: band-pass and notches for the eyes, every sample at once, nothing waited for."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Info
from brainforge.kernels.fir_design import WIDEST
from brainforge.kernels.iir import design_causal
from brainforge.stages.iir_step import CausalIirStep
from brainforge.stages.working import working_info

#: gaps and masked stretches up to this many seconds are bridged by straight lines
MAX_BRIDGE_S = 0.05
#: harmonics of the mains are notched up to this many times the upper edge
_NOTCHED = 2.0


@dataclass(frozen=True)
class CausalIir:
    """Butterworth band-pass and notches, causal: RawBlocks or Blocks in, Blocks out.

    Parameters
    ----------
    l_freq, h_freq : float | None
        -3 dB edges in Hz; an upper edge above 0.8 of the Nyquist rate moves down to it.
    line_freq : float | None
        Mains frequency in Hz whose harmonics are notched, up to twice ``h_freq``; None for
        none.
    notch : tuple of float | None
        Notched frequencies in Hz instead.
    notch_width : float
        Width of a notch between its -3 dB points, in Hz.
    order : int
        Of each edge.

    Notes
    -----
    A sample goes out with the block that it came in. Only where a channel has just been masked,
    or samples are missing, does the stream wait, at most 50 ms, to see whether the stretch ends:
    then a straight line bridges it. A longer masked stretch is fed as the value before it and
    the channel's filter begins anew behind it; a longer gap begins all channels anew, each as
    if its first value had been there for ever. Masked samples stay masked, and so does what
    follows them for as long as the first lobe of the impulse response. The filter's own delay
    (`CausalIirStep.delay`) is not taken off the time stamps. Any cutting gives the same bits.
    """

    l_freq: float | None = 1.0
    h_freq: float | None = 100.0
    line_freq: float | None = None
    notch: tuple[float, ...] | None = None
    notch_width: float = 2.0
    order: int = 4

    def design(self, sfreq: float) -> npt.NDArray[np.float64]:
        """Return the cascade for a rate of ``sfreq`` Hz, axes (section, 6)."""
        h_freq = self.h_freq and min(self.h_freq, WIDEST * sfreq / 2)
        notch = self.notch
        if notch is None:
            top = min(sfreq / 2, _NOTCHED * (h_freq or np.inf))
            n = int(np.ceil(top / self.line_freq)) - 1 if self.line_freq else 0
            notch = tuple((i + 1) * (self.line_freq or 0.0) for i in range(n))
        return design_causal(
            sfreq,
            self.l_freq,
            h_freq,
            order=self.order,
            notch=notch,
            notch_width=self.notch_width,
        )

    def bind(self, info: Info, backend: Backend) -> CausalIirStep:
        """Check the parameters against ``info`` and return the running step."""
        if backend.name != "cpu":
            raise InputError(where="backend", expected="cpu", got=backend.name)
        sos = self.design(info.sfreq)
        if not len(sos):
            raise InputError(where="filter", expected="an edge or a notch", got="none")
        edges = (info.highpass, self.l_freq or 0.0), (info.lowpass, self.h_freq or 0.0)
        out = replace(
            working_info(info),
            highpass=max(edges[0]),
            lowpass=min((e for e in edges[1] if e), default=0.0),
        )
        longest = round(MAX_BRIDGE_S * info.sfreq)
        return CausalIirStep(info, out, sos, max_bridge=longest, n_threads=backend.threads)
