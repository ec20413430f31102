"""Graph metrics of a connectivity result, band by band."""

from __future__ import annotations

import numpy as np

from brainforge.errors import InputError
from brainforge.kernels.graph import graph_metrics
from brainforge.result import Connectivity, Graph


def graph_of(
    connectivity: Connectivity, measure: str = "wpli2_debiased", density: float = 0.1
) -> Graph:
    """Return the graph metrics of one measure at a fixed density.

    Of a signed antisymmetric measure (imcoh) the absolute values are taken.

    Parameters
    ----------
    connectivity : Connectivity
    measure : str
        Among ``connectivity.values``.
    density : float
        Share of the pairs that are kept, the strongest first.

    Raises
    ------
    InputError
        Where the measure is not there, or is directed.
    """
    if measure not in connectivity.values:
        raise InputError(
            where="graph",
            expected=f"a measure among {', '.join(connectivity.values)}",
            got=repr(measure),
        )
    by_band = {
        band: graph_metrics(np.abs(m) if measure in ("imcoh", "cohy") else m, density)
        for band, m in connectivity.values[measure].items()
    }
    names = connectivity.channel_names
    return Graph(
        measure=measure,
        density=density,
        channel_names=names,
        nodal={band: metrics.nodal for band, metrics in by_band.items()},
        whole={band: metrics.whole for band, metrics in by_band.items()},
        hubs={band: tuple(names[i] for i in metrics.hubs) for band, metrics in by_band.items()},
    )
