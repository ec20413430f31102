"""FusedFir: band-pass, notches and decimation in one linear-phase response."""

from __future__ import annotations

from dataclasses import dataclass, replace

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.two_stage import TwoStage, design_two_stage
from brainforge.stages.fir_step import FusedFirStep
from brainforge.units import SIGNAL_KINDS, to_si

#: a decimated signal keeps at least this rate, in Hz
WORKING_RATE = 250.0
#: gaps and masked stretches up to this many seconds are bridged by straight lines
MAX_BRIDGE_S = 0.05
#: length of a cell of the absolute grid in seconds, about
CELL_S = 10.0


@dataclass(frozen=True)
class FusedFir:
    """Zero-phase band-pass and notch filter that decimates: RawBlocks in, Blocks out.

    Parameters
    ----------
    l_freq, h_freq : float | None
        Edges of the pass band in Hz. An upper edge that does not fit under the Nyquist rate
        of the output shrinks (`fit_band`). ``h_freq`` None needs ``decim`` 1.
    line_freq : float | None
        Mains frequency in Hz whose harmonics are notched; None for none.
    notch : tuple of float | None
        Notched frequencies in Hz instead of the harmonics of ``line_freq``.
    notch_width, notch_trans : float
        Stop band of a notch and each of its transitions, in Hz.
    l_trans, h_trans : float | None
        Transition widths in Hz; None for MNE's rule, but not more than half of what is left
        below the output's Nyquist rate where the signal is decimated.
    decim : int | None
        Source samples per output sample; None for the largest that leaves 250 Hz.
    grid : int | None
        Cell of the absolute grid in source samples, a multiple of ``decim``; None for 10 s.
        Output blocks end at multiples of ``grid / decim``.
    offsets : tuple of (str, float)
        Counts taken off before float32, by channel name. Channels that are not named get the
        median of the first cell.

    Notes
    -----
    Every continuous segment is continued at both ends by odd reflection, as MNE does, so that
    no sample is lost; where the reflection runs out of samples its last value is held. Gaps up
    to 50 ms are bridged by straight lines and stay masked; longer ones end the segment.
    Masked and non-finite samples are bridged likewise for the filter's input, longer ones
    held at the value before them (`brainforge.bridging.bridge`). They stay masked in the
    output, widened by the main lobe of the impulse response (to its first zeros). The
    numbers do not depend on how the stream was cut.
    """

    l_freq: float | None = 1.0
    h_freq: float | None = 100.0
    line_freq: float | None = None
    notch: tuple[float, ...] | None = None
    notch_width: float = 0.5
    notch_trans: float = 1.0
    l_trans: float | None = None
    h_trans: float | None = None
    decim: int | None = None
    grid: int | None = None
    offsets: tuple[tuple[str, float], ...] = ()

    def decimation(self, sfreq: float) -> int:
        """Return the source samples per output sample at a source rate of ``sfreq`` Hz."""
        if self.decim is not None:
            return self.decim
        return max(int(sfreq / WORKING_RATE + 1e-9), 1)

    def cell(self, sfreq: float) -> int:
        """Return the cell of the absolute grid in source samples."""
        k = self.decimation(sfreq)
        return self.grid or k * max(round(CELL_S * sfreq / k), 1)

    def design(self, sfreq: float) -> TwoStage:
        """Return the filters for a source rate of ``sfreq`` Hz."""
        notch = self.notch
        if notch is None:
            n = int(sfreq / 2 / self.line_freq) if self.line_freq else 0
            notch = tuple((i + 1) * (self.line_freq or 0.0) for i in range(n))
        return design_two_stage(
            sfreq,
            self.decimation(sfreq),
            self.l_freq,
            self.h_freq,
            l_trans=self.l_trans,
            h_trans=self.h_trans,
            notch=notch,
            notch_width=self.notch_width,
            notch_trans=self.notch_trans,
        )

    def bind(self, info: Info, backend: Backend) -> FusedFirStep:
        """Check the parameters against ``info`` and return the running step."""
        names = info.names_of(*SIGNAL_KINDS)
        if not names:
            raise InputError(
                where="channels",
                expected=f"at least one of kind {', '.join(SIGNAL_KINDS)}",
                got=f"none among {info.n_channels}",
            )
        grid, k = self.cell(info.sfreq), self.decimation(info.sfreq)
        if grid < 1 or grid % k:
            raise InputError(where="grid", expected=f"a multiple of {k} samples", got=f"{grid}")
        for name, _ in self.offsets:
            info.index(name)
        design = self.design(info.sfreq)
        edges = (info.highpass, self.l_freq or 0.0), (info.lowpass, self.h_freq or 0.0)
        out = replace(
            info.pick(names),
            sfreq=info.sfreq / k,
            decim=info.decim * k,
            highpass=max(edges[0]),
            lowpass=min((e for e in edges[1] if e), default=0.0),
            channels=tuple(_in_working_units(info.channel(name)) for name in names),
        )
        return FusedFirStep(
            info,
            out,
            design,
            grid,
            max_bridge=round(MAX_BRIDGE_S * info.sfreq),
            offsets=dict(self.offsets),
            n_threads=backend.threads,
        )


def _in_working_units(channel: Channel) -> Channel:
    return replace(channel, cal=to_si(channel.kind), offset=0.0, rails=None)
