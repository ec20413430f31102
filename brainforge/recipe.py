"""Recipe: what is done to a recording, declared. TOML in, content hash of the resolved form out.

A recipe file may leave anything out; what it leaves out takes the default written here. The
hash is taken over the *resolved* recipe, so two files that mean the same have the same hash.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
import typing
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from brainforge.errors import InputError

#: band -> (lowest, highest frequency in Hz, length of an epoch in seconds)
DEFAULT_BANDS: dict[str, tuple[float, float, float]] = {
    "delta": (2.0, 4.0, 4.0),
    "theta": (4.0, 8.0, 2.0),
    "alpha": (8.0, 13.0, 2.0),
    "beta": (13.0, 30.0, 2.0),
    "gamma": (30.0, 45.0, 2.0),
}


@dataclass(frozen=True)
class FilterRecipe:
    """Band-pass and notches, one FIR of about 3.3 s, then the working rate."""

    l_freq: float = 1.0
    h_freq: float = 100.0
    notch: bool = True
    working_rate_min: float = 250.0


@dataclass(frozen=True)
class QualityRecipe:
    """Which channels and stretches are not to be believed."""

    find_bads: bool = True
    muscle: bool = True
    repair: bool = True


@dataclass(frozen=True)
class FieldRecipe:
    """Correction of interference fields: auto, hfc, ssp, sss, amm or none; ``order`` is HFC's."""

    method: str = "auto"
    order: int = 1
    references: bool = True


@dataclass(frozen=True)
class ArtifactRecipe:
    """Removal of heart, eye and muscle components: auto, ica, ssp or none."""

    method: str = "auto"
    max_components: int = 40
    seed: int = 0


@dataclass(frozen=True)
class SpectraRecipe:
    """Welch spectra: length of a segment in seconds and share of overlap."""

    segment_s: float = 4.0
    overlap: float = 0.5


@dataclass(frozen=True)
class ConnectivityRecipe:
    """All-to-all connectivity between MEG channels, Fourier spectra on fixed epochs."""

    enabled: bool = True
    measures: tuple[str, ...] = ("coh", "imcoh", "plv", "pli", "wpli", "wpli2_debiased")
    aec: bool = True
    aec_epoch_s: float = 10.0
    min_epochs: int = 30


@dataclass(frozen=True)
class GraphRecipe:
    """Graph metrics of one measure at a fixed density of edges."""

    enabled: bool = True
    measure: str = "wpli2_debiased"
    density: float = 0.1


@dataclass(frozen=True)
class LiveRecipe:
    """The immediate path of a live session: for eyes and feedback.

    It changes no number that is kept, so it is no part of a recipe's hash. Mains is notched in
    the causal filter; there is no ZapLine here, whose windows of 10 s would make all late.
    """

    #: the causal band-pass, Hz, and notches at the mains' harmonics
    l_freq: float = 1.0
    h_freq: float = 100.0
    notch: bool = True
    #: seconds of good samples before the first calibration, between two, and those it looks at
    calibration_s: float = 30.0
    refresh_s: float = 300.0
    refresh_window_s: float = 120.0
    #: artifact subspace reconstruction from the first calibration on: 0.3 s later
    asr: bool = False
    asr_cutoff: float = 5.0
    #: trigger-locked averages, seconds around an event; codes beyond so many are counted only
    epoch_tmin: float = -0.2
    epoch_tmax: float = 0.8
    max_conditions: int = 8
    #: the neurofeedback value: none, power, coh, imcoh or wpli, of a band, in channels or regions;
    #: connectivity is that between ``feedback_picks`` and ``feedback_with``
    feedback: str = "none"
    feedback_band: str = "alpha"
    feedback_picks: tuple[str, ...] = ("occipital",)
    feedback_with: tuple[str, ...] = ("frontal",)
    feedback_window_s: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """A resolved recipe. Frozen; serialises to TOML and to a content hash."""

    name: str
    description: str = ""
    mode: str = "full"
    bands: dict[str, tuple[float, float, float]] = field(
        default_factory=lambda: dict(DEFAULT_BANDS)
    )
    filter: FilterRecipe = field(default_factory=FilterRecipe)
    quality: QualityRecipe = field(default_factory=QualityRecipe)
    field_correction: FieldRecipe = field(default_factory=FieldRecipe)
    artifacts: ArtifactRecipe = field(default_factory=ArtifactRecipe)
    spectra: SpectraRecipe = field(default_factory=SpectraRecipe)
    connectivity: ConnectivityRecipe = field(default_factory=ConnectivityRecipe)
    graph: GraphRecipe = field(default_factory=GraphRecipe)
    live: LiveRecipe = field(default_factory=LiveRecipe)

    @property
    def hash(self) -> str:
        """sha256 over the resolved recipe without its name, its description and ``live``.

        What a live session shows while it runs is not what is kept of it: the same samples give
        the same result whatever was shown.
        """
        content = asdict(self)
        del content["name"], content["description"], content["live"]
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """Return the resolved recipe, JSON-ready."""
        return asdict(self)

    def to_toml(self) -> str:
        """Return the resolved recipe as TOML that reads back to an equal recipe."""
        scalars = [
            f"{k} = {_toml(v)}" for k, v in self.to_dict().items() if not isinstance(v, dict)
        ]
        tables = [
            "\n".join([f"[{k}]", *(f"{a} = {_toml(b)}" for a, b in v.items())])
            for k, v in self.to_dict().items()
            if isinstance(v, dict)
        ]
        return "\n\n".join(["\n".join(scalars), *tables]) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_toml(v) for v in value) + "]"
    return json.dumps(value, ensure_ascii=False)


_CHOICES = {
    ("", "mode"): ("full", "short"),
    ("field_correction", "method"): ("auto", "hfc", "ssp", "sss", "amm", "none"),
    ("artifacts", "method"): ("auto", "ica", "ssp", "none"),
    ("live", "feedback"): ("none", "power", "coh", "imcoh", "wpli"),
}
_RANGES: dict[tuple[str, str], tuple[float, float]] = {
    ("filter", "l_freq"): (0.1, 1000.0),
    ("filter", "h_freq"): (1.0, 10000.0),
    ("filter", "working_rate_min"): (50.0, 10000.0),
    ("field_correction", "order"): (1, 3),
    ("artifacts", "max_components"): (2, 200),
    ("spectra", "segment_s"): (0.5, 60.0),
    ("spectra", "overlap"): (0.0, 0.9),
    ("connectivity", "aec_epoch_s"): (4.0, 120.0),
    ("connectivity", "min_epochs"): (2, 100000),
    ("graph", "density"): (0.001, 1.0),
    ("live", "l_freq"): (0.1, 1000.0),
    ("live", "h_freq"): (1.0, 10000.0),
    ("live", "calibration_s"): (15.0, 600.0),
    ("live", "refresh_s"): (30.0, 86400.0),
    ("live", "refresh_window_s"): (15.0, 600.0),
    ("live", "asr_cutoff"): (1.0, 100.0),
    ("live", "epoch_tmin"): (-5.0, 0.0),
    ("live", "epoch_tmax"): (0.05, 5.0),
    ("live", "max_conditions"): (1, 64),
    ("live", "feedback_window_s"): (0.25, 2.0),
}


def _typed(value: Any, kind: Any, where: str) -> Any:
    """Return ``value`` as ``kind``; an error names the key."""
    origin = typing.get_origin(kind)
    if origin is tuple:
        inner = typing.get_args(kind)
        if isinstance(value, (list, tuple)) and (inner[-1] is Ellipsis or len(value) == len(inner)):
            return tuple(_typed(v, inner[0], where) for v in value)
    elif origin is dict:
        if isinstance(value, dict):
            return {
                str(k): _typed(v, typing.get_args(kind)[1], f"{where}.{k}")
                for k, v in value.items()
            }
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif isinstance(value, kind) and isinstance(value, bool) == (kind is bool):
        return value
    name = str(kind) if origin else getattr(kind, "__name__", str(kind))
    raise InputError(
        where=f"recipe key {where}", expected=f"a value of type {name}", got=repr(value)
    )


def _build(cls: Any, table: dict[str, Any], section: str = "") -> Any:
    """Build a frozen dataclass from a TOML table, refusing what it does not know."""
    hints = typing.get_type_hints(cls)
    known = [f.name for f in fields(cls)]
    values: dict[str, Any] = {}
    for key, value in table.items():
        where = f"{section}.{key}" if section else key
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            raise InputError(
                where=f"recipe key {where}",
                expected=f"one of {', '.join(known)}",
                got=repr(key),
                fix=f"did you mean {close[0]!r}?" if close else "remove it",
            )
        if is_dataclass(hints[key]):
            values[key] = _build(hints[key], _typed(value, dict, where), key)
            continue
        values[key] = _typed(value, hints[key], where)
        _check(section, key, values[key])
    return cls(**values)


def _check(section: str, key: str, value: Any) -> None:
    where = f"recipe key {section}.{key}" if section else f"recipe key {key}"
    choices = _CHOICES.get((section, key))
    if choices and value not in choices:
        raise InputError(where=where, expected=f"one of {', '.join(choices)}", got=repr(value))
    limits = _RANGES.get((section, key))
    if limits and not limits[0] <= value <= limits[1]:
        raise InputError(where=where, expected=f"{limits[0]:g} to {limits[1]:g}", got=f"{value:g}")
    if key == "bands" and not section:
        for name, (low, high, epoch_s) in value.items():
            if not (0 < low < high and epoch_s * low >= 2):
                raise InputError(
                    where=f"recipe band {name}",
                    expected="0 < low < high and an epoch of at least 2 cycles of low",
                    got=f"{low:g}-{high:g} Hz in {epoch_s:g} s",
                )


def recipe_from_toml(text: str, where: str = "recipe") -> Recipe:
    """Return the resolved recipe that a TOML text declares.

    Raises
    ------
    InputError
        Not TOML, an unknown key, a wrong type or a value out of range; names the key.
    """
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise InputError(where=where, expected="a TOML file", got=str(error)) from None
    if "name" not in table:
        raise InputError(where=where, expected="a key 'name'", got="none")
    recipe: Recipe = _build(Recipe, table)
    for name, edges in (("filter", recipe.filter), ("live", recipe.live)):
        if edges.l_freq >= edges.h_freq:
            raise InputError(
                where=f"recipe {name}",
                expected="l_freq below h_freq",
                got=f"{edges.l_freq:g} and {edges.h_freq:g} Hz",
            )
    if recipe.live.feedback != "none" and recipe.live.feedback_band not in recipe.bands:
        raise InputError(
            where="recipe key live.feedback_band",
            expected=f"one of {', '.join(recipe.bands)}",
            got=repr(recipe.live.feedback_band),
        )
    return recipe


def list_recipes() -> tuple[str, ...]:
    """Return the names of the recipes that come with Brain-Forge."""
    folder = resources.files("brainforge") / "recipes"
    return tuple(sorted(f.name[:-5] for f in folder.iterdir() if f.name.endswith(".toml")))


def load_recipe(name_or_path: str | Path | Recipe) -> Recipe:
    """Return a recipe by its name, from a TOML file, or as it is.

    Raises
    ------
    InputError
        Neither a recipe's name nor a readable TOML file.
    """
    if isinstance(name_or_path, Recipe):
        return name_or_path
    text = str(name_or_path)
    if text in list_recipes():
        content = (resources.files("brainforge") / "recipes" / f"{text}.toml").read_text("utf-8")
        return recipe_from_toml(content, f"recipe {text}")
    path = Path(text)
    if path.suffix == ".toml" and path.is_file():
        return recipe_from_toml(path.read_text("utf-8"), str(path))
    raise InputError(
        where="recipe",
        expected=f"one of {', '.join(list_recipes())} or the path of a TOML file",
        got=repr(text),
    )
