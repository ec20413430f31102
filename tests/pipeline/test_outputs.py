"""Connectivity on disk: xarray opens it, it reads back, it never half exists."""

from __future__ import annotations

import numpy as np
import pytest
import xarray as xr

from brainforge.errors import InputError, OutputError
from brainforge.operator import Operator
from brainforge.pipeline.outputs import load_connectivity, save_connectivity
from brainforge.result import Connectivity


@pytest.fixture
def connectivity() -> Connectivity:
    rng = np.random.default_rng(5)
    names = ("MEG 0113", "B", "µ")
    bands = {"alpha": (8.0, 13.0), "beta": (13.0, 30.0)}
    values = {
        m: {b: rng.random((3, 3)).astype("f4") for b in bands} for m in ("coh", "wpli2_debiased")
    }
    return Connectivity(names, bands, {"alpha": 40, "beta": 39}, values, {"coh": "as MNE"})


def test_xarray_opens_it_with_channel_names(connectivity: Connectivity, tmp_path) -> None:
    path = save_connectivity(connectivity, tmp_path / "c.zarr")
    with xr.open_zarr(path) as data:
        edge = data["wpli2_debiased_alpha"].sel(channel="B", channel_to="µ")
        assert float(edge) == connectivity.values["wpli2_debiased"]["alpha"][1, 2]
        assert data["coh_beta"].attrs["n_epochs"] == 39


def test_the_operator_that_cleaned_the_signal_goes_with_it(
    connectivity: Connectivity, tmp_path
) -> None:
    operator = Operator(("A", "B"), np.array([[0.5, -0.5], [-0.5, 0.5]]), "mean taken off")
    path = save_connectivity(connectivity, tmp_path / "c.zarr", operator=operator)
    with xr.open_zarr(path) as data:
        matrix = data["cleaning_operator"].sel(cleaned_channel="A", filtered_channel="B")
        assert float(matrix) == -0.5
        assert data["cleaning_operator"].attrs["digest"] == operator.digest
    assert set(load_connectivity(path).values) == {"coh", "wpli2_debiased"}


def test_it_reads_back(connectivity: Connectivity, tmp_path) -> None:
    again = load_connectivity(save_connectivity(connectivity, tmp_path / "c.zarr"))
    assert again.channel_names == connectivity.channel_names
    assert again.bands == connectivity.bands
    np.testing.assert_array_equal(again.values["coh"]["beta"], connectivity.values["coh"]["beta"])


def test_an_existing_output_is_left_alone(connectivity: Connectivity, tmp_path) -> None:
    (tmp_path / "c.zarr").mkdir()
    with pytest.raises(OutputError, match="exists"):
        save_connectivity(connectivity, tmp_path / "c.zarr")
    with pytest.raises(OutputError, match="writable"):
        save_connectivity(connectivity, tmp_path / "nowhere" / "c.zarr")
    assert [p.name for p in tmp_path.iterdir()] == ["c.zarr"]


def test_something_else_is_refused(tmp_path) -> None:
    with pytest.raises(InputError, match="connectivity group"):
        load_connectivity(tmp_path / "nothing.zarr")
