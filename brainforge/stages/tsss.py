"""Tsss: separation in space and time, in windows of an absolute grid that fade over."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from brainforge.backend import Backend
from brainforge.errors import InputError
from brainforge.info import Channel, Info
from brainforge.kernels.tsss_solve import least_samples
from brainforge.learners.multipole import MAX_CONDITION, learn_multipoles
from brainforge.stages.tsss_step import TsssStep
from brainforge.units import SIGNAL_KINDS, to_si


@dataclass(frozen=True)
class Tsss:
    """Signal space separation or adaptive multipoles with their temporal step: Blocks out.

    Parameters
    ----------
    model : str
        ``"sss"`` or ``"amm"``.
    orders : tuple of 2 int | None
        Highest degrees inside and outside; None for the papers' (8, 3) and (9, 2).
    origin : tuple of 3 float | None
        Of ``"sss"``, metres, head frame; None to find it (`learners.head_origin`).
    max_condition : float | None
        Of ``"sss"``: inside fields are left out until the condition number is under this.
    correlation : float
        Time courses that the inside part and the residual share with at least this subspace
        correlation are taken off; over 0, up to 1.
    window_s : float
        Length of a window in seconds. Windows begin at multiples of half of it on the absolute
        grid of samples and fade into each other (Hann). The first of a segment begins with the
        segment, the last reaches to its end, so that none is shorter.

    Notes
    -----
    Takes RawBlocks or Blocks, of channels calibrated in ``info``. Channels of other kinds, and
    MEG channels without geometry, come out as they are, in working units, zero where masked.
    Bad MEG channels and masked samples are replaced by what the good channels say and stay
    masked; where so few are left that nothing can be said the stretch is zero and masked in all
    channels. A gap ends a segment. A segment too short for the temporal step is separated in
    space only (`TsssStep.windows` tells). The numbers do not depend on how the stream was cut.
    """

    model: str = "sss"
    orders: tuple[int, int] | None = None
    origin: tuple[float, float, float] | None = None
    max_condition: float | None = MAX_CONDITION
    correlation: float = 0.98
    window_s: float = 10.0

    def bind(self, info: Info, backend: Backend) -> TsssStep:
        """Check the parameters against ``info`` and return the running step.

        Raises
        ------
        InputError
            Where geometry or channels do not allow the model, or a window holds too few
            independent samples to tell subspaces apart.
        """
        if not 0 < self.correlation <= 1:
            raise InputError(
                where="correlation", expected="over 0 and up to 1", got=f"{self.correlation:g}"
            )
        found = learn_multipoles(
            info,
            model=self.model,
            orders=self.orders,
            origin=self.origin,
            max_condition=self.max_condition,
        )
        # a signal limited to a band has fewer independent samples than it has samples
        share = min(1.0, 2 * info.lowpass / info.sfreq) if info.lowpass else 1.0
        least = int(np.ceil(least_samples(found.split) / share))
        window = 2 * round(self.window_s * info.sfreq / 2)
        if window < least:
            raise InputError(
                where="window_s",
                expected=f"at least {least / info.sfreq:.2f} s, 3 independent samples for every "
                f"dimension of {found.split.n_inside} + {found.split.n_residual}",
                got=f"{self.window_s:g} s",
                fix="use longer windows or the spatial separation alone",
            )
        names = info.names_of(*SIGNAL_KINDS)
        out = replace(
            info.pick(names),
            channels=tuple(_in_working_units(info.channel(n)) for n in names),
        )
        return TsssStep(info, out, found, window, least, self.correlation, backend.threads)


def _in_working_units(channel: Channel) -> Channel:
    return replace(channel, cal=to_si(channel.kind), offset=0.0, rails=None)
