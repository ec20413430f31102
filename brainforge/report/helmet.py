"""The helmet on paper: a flat map of the sensors and pictures interpolated between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.findings.geometry import device_to_head, flat_map
from brainforge.findings.sites import Sites, sites_of
from brainforge.info import Info
from brainforge.report.colours import png

Floats = npt.NDArray[np.float64]
_GRID = 60
_MIN_SITES = 8
_SMOOTHING = 1e-3
PROJECTION = (
    "The helmet seen from above and rolled out flat (azimuthal equidistant projection): nose "
    "up, left is left."
)


@dataclass(frozen=True)
class HeadMap:
    """Sites of one kind with their places on the flat map.

    Parameters
    ----------
    sites : Sites
    xy : float64 array, axes (site, xy)
        1 is 90 degrees from the vertex.
    """

    sites: Sites
    xy: Floats

    @property
    def radius(self) -> float:
        """Radius of the helmet's outline."""
        return float(np.hypot(*self.xy.T).max()) * 1.06

    @cached_property
    def _axis(self) -> Floats:
        return np.linspace(-self.radius, self.radius, _GRID)

    @cached_property
    def _grid(self) -> Floats:
        x, y = np.meshgrid(self._axis, self._axis)
        return np.column_stack([x.ravel(), y.ravel()])

    @cached_property
    def _operator(self) -> Floats:
        """Thin-plate spline from sites to grid (Perrin et al. 1987), axes (grid, site)."""
        n = len(self.xy)
        system = np.zeros((n + 3, n + 3))
        system[:n, :n] = _thin_plate(self.xy, self.xy) + _SMOOTHING * np.eye(n)
        system[:n, n:] = np.column_stack([np.ones(n), self.xy])
        system[n:, :n] = system[:n, n:].T
        target = np.column_stack(
            [_thin_plate(self._grid, self.xy), np.ones(len(self._grid)), self._grid]
        )
        return np.linalg.solve(system, target.T).T[:, :n]

    @cached_property
    def _outside(self) -> npt.NDArray[np.bool_]:
        """Grid points beyond the outline or far from every sensor."""
        to_sites = np.linalg.norm(self._grid[:, None] - self.xy[None], axis=2).min(axis=1)
        between = np.linalg.norm(self.xy[:, None] - self.xy[None], axis=2)
        np.fill_diagonal(between, np.inf)
        far = 2.2 * np.median(between.min(axis=1))
        return (np.hypot(*self._grid.T) > self.radius) | (to_sites > max(far, 0.12))

    def image(self, values: Floats) -> Floats:
        """Interpolate values (site,) onto the map's grid, axes (row from the bottom, column).

        Sites without a value are first filled from the others by inverse distance.
        """
        known = np.isfinite(values)
        if not known.any():
            return np.full((_GRID, _GRID), np.nan)
        filled = values.copy()
        if not known.all():
            apart = np.linalg.norm(self.xy[~known][:, None] - self.xy[known][None], axis=2)
            weight = 1 / np.maximum(apart, 1e-6) ** 4
            filled[~known] = weight @ values[known] / weight.sum(axis=1)
        picture = self._operator @ filled
        picture[self._outside] = np.nan
        return picture.reshape(_GRID, _GRID)

    def picture(self, values: Floats, low: float, high: float, colours: tuple[str, ...]) -> str:
        """Return the interpolated map as the data URI of a PNG."""
        return png(self.image(values), low, high, colours)

    def image_spec(self, source: Any) -> dict[str, Any]:
        """Return a Plotly layout image that lies under the sensors."""
        r = self.radius
        place = {"x": -r, "y": r, "sizex": 2 * r, "sizey": 2 * r, "sizing": "stretch"}
        return {"source": source, "xref": "x", "yref": "y", "layer": "below", **place}

    def outline(self) -> list[dict[str, Any]]:
        """Return Plotly shapes: the rim, the nose and the ears."""
        r = self.radius
        pen = {"line": {"color": "--outline", "width": 1.3}, "xref": "x", "yref": "y"}
        rim = {"type": "circle", "x0": -r, "x1": r, "y0": -r, "y1": r, **pen}
        a, b, tip = 0.11 * r, 0.995 * r, 1.1 * r
        nose = {
            "type": "path",
            "path": f"M {-a:.3f} {b:.3f} L 0 {tip:.3f} L {a:.3f} {b:.3f}",
            **pen,
        }
        ears = [
            {
                "type": "path",
                "path": f"M {s * b:.3f} {0.13 * r:.3f} Q {s * 1.1 * r:.3f} {0.15 * r:.3f} "
                f"{s * 1.07 * r:.3f} 0 Q {s * 1.1 * r:.3f} {-0.15 * r:.3f} {s * b:.3f} {-0.13 * r:.3f}",
                **pen,
            }
            for s in (-1, 1)
        ]
        return [rim, nose, *ears]

    def axes(self) -> dict[str, Any]:
        """Return hidden, equal Plotly axes around the outline."""
        r = 1.13 * self.radius
        hidden = {"visible": False, "fixedrange": True}
        return {
            "xaxis": {**hidden, "range": [-r, r], "constrain": "domain"},
            "yaxis": {**hidden, "range": [-r, r], "scaleanchor": "x", "constrain": "domain"},
        }


def _thin_plate(a: Floats, b: Floats) -> Floats:
    square = ((a[:, None] - b[None]) ** 2).sum(axis=2)
    return square * np.log(np.maximum(square, 1e-12))


def head_map(info: Info, names: Sequence[str], kind: str, *, bads: bool = False) -> HeadMap | None:
    """Return the flat map of the named channels of one kind; None below eight known places."""
    sites = sites_of(info, names, kind, bads=bads)
    positions = device_to_head(info, sites.positions)
    known = np.isfinite(positions).all(axis=1)
    if known.sum() < _MIN_SITES:
        return None
    kept = Sites(
        kind,
        tuple(m for m, k in zip(sites.members, known) if k),
        sites.positions[known],
    )
    xy = flat_map(positions[known])
    spread = np.linalg.svd(xy - xy.mean(axis=0), compute_uv=False)
    return HeadMap(kept, xy) if spread[1] > 1e-6 * spread[0] else None
