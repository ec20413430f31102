"""The helmet on paper: a flat map of the sensors and pictures interpolated between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from brainforge.findings.geometry import device_to_head, flat_map
from brainforge.findings.sites import Sites, sites_of
from brainforge.info import Info
from brainforge.report.colours import png

Floats = npt.NDArray[np.float64]
_GRID = 48
_MIN_SITES = 8
#: beyond so many sensor spacings nothing is drawn
_FAR = 3.0
_SMOOTHING = 1e-3
_MAX_TURN = 30.0
#: places beyond the rim that take the mean of their neighbours, so that the spline stays tame there
_RIM = 40
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
    def _spline(self) -> tuple[Floats, npt.NDArray[np.bool_]]:
        return _spline(np.ascontiguousarray(self.xy).tobytes(), self.radius)

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
        operator, far = self._spline
        picture = operator @ filled
        picture[far] = np.nan
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
        """Return Plotly shapes: a mat that hides what lies beyond the rim, rim, nose, ears."""
        r = self.radius
        pen = {"line": {"color": "--outline", "width": 1.3}, "xref": "x", "yref": "y"}
        a, b, c, tip = 0.11 * r, 0.995 * r, 1.1 * r, 1.1 * r
        nose = f"M {-a:.3f} {b:.3f} L 0 {tip:.3f} L {a:.3f} {b:.3f}"
        paths = [nose] + [
            f"M {s * b:.3f} {0.13 * r:.3f} Q {s * c:.3f} {0.15 * r:.3f} {s * 1.07 * r:.3f} 0 "
            f"Q {s * c:.3f} {-0.15 * r:.3f} {s * b:.3f} {-0.13 * r:.3f}"
            for s in (-1, 1)
        ]
        mat = {
            "type": "path",
            "path": _square(1.02 * r) + _circle(r),
            "fillcolor": "--card",
            "fillrule": "evenodd",
            "line": {"width": 0},
        }
        rim = {"type": "circle", "x0": -r, "x1": r, "y0": -r, "y1": r, **pen}
        return [mat, rim, *({"type": "path", "path": p, **pen} for p in paths)]

    def axes(self) -> dict[str, Any]:
        """Return hidden, equal Plotly axes around the outline."""
        r = 1.13 * self.radius
        hidden = {"visible": False, "fixedrange": True}
        return {
            "xaxis": {**hidden, "range": [-r, r], "constrain": "domain"},
            "yaxis": {**hidden, "range": [-r, r], "scaleanchor": "x", "constrain": "domain"},
        }


def _square(r: float) -> str:
    return f"M {-r:.4f} {-r:.4f} L {r:.4f} {-r:.4f} L {r:.4f} {r:.4f} L {-r:.4f} {r:.4f} Z "


def _circle(r: float) -> str:
    """Return a circle as four Bezier curves."""
    k = 0.5522847498 * r
    arcs = (
        (k, r, r, k, r, 0),
        (r, -k, k, -r, 0, -r),
        (-k, -r, -r, -k, -r, 0),
        (-r, k, -k, r, 0, r),
    )
    return f"M 0 {r:.4f} " + " ".join("C " + " ".join(f"{v:.4f}" for v in a) for a in arcs) + " Z"


def _thin_plate(square: Floats) -> Floats:
    return square * np.log(np.maximum(square, 1e-12))


def _squares(a: Floats, b: Floats) -> Floats:
    """Return squared distances, axes (a, b)."""
    return np.maximum((a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T, 0.0)


@lru_cache(maxsize=8)
def _spline(places: bytes, radius: float) -> tuple[Floats, npt.NDArray[np.bool_]]:
    """Return the thin-plate spline from sites to grid (Perrin et al. 1987), axes (grid, site).

    Also returns which grid points are far from every sensor. Kept, because all maps of a
    report lie on a few helmets.
    """
    xy = np.frombuffer(places, dtype=np.float64).reshape(-1, 2)
    x, y = np.meshgrid(*2 * [np.linspace(-radius, radius, _GRID)])
    grid = np.column_stack([x.ravel(), y.ravel()])
    angle = np.arange(_RIM) * 2 * np.pi / _RIM
    rim = 1.3 * radius * np.column_stack([np.sin(angle), np.cos(angle)])
    weight = 1 / np.maximum(_squares(rim, xy), 1e-6) ** 2
    from_sites = np.vstack([np.eye(len(xy)), weight / weight.sum(axis=1, keepdims=True)])
    spacing = _squares(xy, xy)
    np.fill_diagonal(spacing, np.inf)
    far = _FAR * np.sqrt(np.median(spacing.min(axis=1)))
    away = np.sqrt(_squares(grid, xy).min(axis=1)) > max(far, 0.45)
    operator = _thin_plate_operator(np.vstack([xy, rim]), grid) @ from_sites
    return operator, np.asarray(away, dtype=np.bool_)


def _thin_plate_operator(xy: Floats, grid: Floats) -> Floats:
    n = len(xy)
    between, to_grid = _squares(xy, xy), _squares(grid, xy)
    system = np.zeros((n + 3, n + 3))
    system[:n, :n] = _thin_plate(between) + _SMOOTHING * np.eye(n)
    system[:n, n:] = np.column_stack([np.ones(n), xy])
    system[n:, :n] = system[:n, n:].T
    target = np.column_stack([_thin_plate(to_grid), np.ones(len(grid)), grid])
    operator: Floats = np.linalg.solve(system, target.T).T[:, :n].astype(np.float64)
    return operator


def map_positions(info: Info, positions: Floats) -> Floats:
    """Return positions in the frame that maps are drawn in.

    The helmet's own frame, in which its sensors lie evenly, unless that is turned by more
    than 30 degrees against the head: then the head's.
    """
    if info.dev_head_t is None:
        return positions
    turn = np.asarray(info.dev_head_t, dtype=np.float64)[:3, :3]
    angle = np.degrees(np.arccos(np.clip((np.trace(turn) - 1) / 2, -1, 1)))
    return device_to_head(info, positions) if angle > _MAX_TURN else positions


def head_map(info: Info, names: Sequence[str], kind: str, *, bads: bool = False) -> HeadMap | None:
    """Return the flat map of the named channels of one kind; None below eight known places."""
    sites = sites_of(info, names, kind, bads=bads)
    positions = map_positions(info, sites.positions)
    known = np.asarray(np.isfinite(positions).all(axis=1), dtype=np.bool_)
    if known.sum() < _MIN_SITES:
        return None
    kept = Sites(
        kind,
        tuple(m for m, k in zip(sites.members, known.tolist()) if k),
        sites.positions[known],
    )
    xy = flat_map(positions[known])
    spread = np.linalg.svd(xy - xy.mean(axis=0), compute_uv=False)
    return HeadMap(kept, xy) if spread[1] > 1e-6 * spread[0] else None
