"""What a Result leaves on disk besides the report: connectivity as Zarr that xarray opens."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.errors import InputError, OutputError
from brainforge.operator import Operator
from brainforge.result import Connectivity, Graph


def save_connectivity(
    connectivity: Connectivity,
    path: str | Path,
    *,
    graph: Graph | None = None,
    operator: Operator | None = None,
) -> Path:
    """Write one array per measure and band, with channel names as coordinates.

    Parameters
    ----------
    connectivity : Connectivity
    path : str | Path
        A folder ``*.zarr`` that must not exist; it appears only when it is complete.
    graph : Graph | None
        Written as attributes where given.
    operator : Operator | None
        The matrix that cleaned the signal, written as ``cleaning_operator``, float64, axes
        (cleaned_channel, filtered_channel), where given.

    Returns
    -------
    Path
        The Zarr group; arrays are named ``MEASURE_BAND``, axes (channel, channel_to),
        float32, attributes ``measure``, ``band``, ``band_hz``, ``n_epochs``.

    Raises
    ------
    OutputError
        It exists already, or the disk is full.
    """
    path = Path(path)
    if path.exists():
        raise OutputError(f"{path}: expected a new folder, got one that exists; choose another")
    try:
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
    except OSError as error:
        raise OutputError(f"{path.parent}: expected a writable folder, got {error}") from error
    try:
        _write(connectivity, part, graph)
        if operator is not None:
            _write_operator(operator, part)
        _consolidate(part)
        os.chmod(part, 0o755)
        part.rename(path)
    except OSError as error:
        raise OutputError(f"{path}: could not be written, {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def _write(connectivity: Connectivity, path: Path, graph: Graph | None) -> None:
    import zarr

    group: Any = zarr.open_group(path, mode="w", zarr_format=3)
    names = np.array(connectivity.channel_names, dtype=str)
    for axis in ("channel", "channel_to"):
        _array(group, axis, names, (axis,), {})
    for measure, bands in connectivity.values.items():
        for band, values in bands.items():
            attrs = {
                "measure": measure,
                "band": band,
                "band_hz": list(connectivity.bands[band]),
                "n_epochs": connectivity.n_epochs.get(
                    f"{measure}_{band}", connectivity.n_epochs[band]
                ),
                "method": connectivity.methods.get(measure, ""),
            }
            data = np.asarray(values, dtype=np.float32)
            _array(group, f"{measure}_{band}", data, ("channel", "channel_to"), attrs)
    if graph is not None:
        group.attrs["graph"] = json.loads(
            json.dumps({"measure": graph.measure, "density": graph.density, "whole": graph.whole})
        )


def _write_operator(operator: Operator, path: Path) -> None:
    import zarr

    group: Any = zarr.open_group(path, mode="r+")
    names = np.array(operator.names, dtype=str)
    axes = ("cleaned_channel", "filtered_channel")
    for axis in axes:
        _array(group, axis, names, (axis,), {})
    attrs = {"digest": operator.digest, "description": operator.description}
    _array(group, "cleaning_operator", operator.matrix, axes, attrs)


def _consolidate(path: Path) -> None:
    import zarr

    with warnings.catch_warnings():
        # xarray warns about a store without it, zarr about one with it: readers come first
        warnings.filterwarnings("ignore", "Consolidated metadata is currently not part")
        zarr.consolidate_metadata(zarr.open_group(path, mode="r+").store)


def _array(group: Any, name: str, data: Any, axes: tuple[str, ...], attrs: dict[str, Any]) -> None:
    if data.dtype.kind == "U":
        # variable-length strings have a specification for Zarr v3, fixed-length ones have not
        array = group.create_array(
            name, shape=data.shape, dtype="string", dimension_names=axes, attributes=attrs
        )
        array[:] = data.astype(object)
    else:
        # attributes with the array: each one set later would write the metadata again
        group.create_array(name, data=data, dimension_names=axes, attributes=attrs)


def load_connectivity(path: str | Path) -> Connectivity:
    """Read back what :func:`save_connectivity` wrote.

    Raises
    ------
    InputError
        The folder is not such a group.
    """
    import zarr

    try:
        group: Any = zarr.open_group(Path(path), mode="r")
        names = tuple(str(n) for n in group["channel"][:])
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            where=str(path), expected="a connectivity group of Brain-Forge", got=str(error)
        ) from error
    values: dict[str, dict[str, np.ndarray]] = {}
    bands: dict[str, tuple[float, float]] = {}
    n_epochs: dict[str, int] = {}
    methods: dict[str, str] = {}
    for _, array in group.arrays():
        if "measure" not in array.attrs:
            continue
        measure, band = str(array.attrs["measure"]), str(array.attrs["band"])
        values.setdefault(measure, {})[band] = array[:]
        low, high = array.attrs["band_hz"]
        bands[band] = (float(low), float(high))
        n_epochs.setdefault(band, int(array.attrs["n_epochs"]))
        methods[measure] = str(array.attrs["method"])
    return Connectivity(names, bands, n_epochs, values, methods)
