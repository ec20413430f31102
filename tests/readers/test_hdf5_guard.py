"""HDF5 files that reach outside themselves are refused before anything reads them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from brainforge.errors import ReadError
from brainforge.readers import open_recording
from brainforge.readers.hdf5_guard import check_hdf5


def test_a_plain_file_passes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.snirf", "w") as file:
        file["a/b"] = np.zeros(5)
        file["a/again"] = h5py.SoftLink("/a")
        file["empty"] = h5py.Empty("f4")
    check_hdf5(tmp_path / "x.snirf")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        ("link", "a link into"),
        ("storage", "kept in another"),
        ("virtual", "kept in"),
        ("bomb", "values"),
    ],
)
def test_reaching_out_is_refused(tmp_path: Path, kind: str, word: str) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"12345678")
    path = tmp_path / "x.snirf"
    with h5py.File(path, "w") as file:
        if kind == "link":
            file["nirs/data"] = h5py.ExternalLink(str(secret), "/x")
        elif kind == "storage":
            file.create_dataset("nirs", (8,), "u1", external=[(str(secret), 0, 8)])
        elif kind == "virtual":
            layout = h5py.VirtualLayout((5,), "f4")
            layout[:] = h5py.VirtualSource(str(secret), "x", (5,))
            file.create_virtual_dataset("nirs", layout)
        else:
            file.create_dataset("nirs", (10**10,), "f8", chunks=(1000,), compression="gzip")
    with pytest.raises(ReadError, match=word):
        open_recording(path)


def test_a_damaged_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.snirf", "w") as file:
        file["a"] = np.zeros(500)
    data = (tmp_path / "x.snirf").read_bytes()
    (tmp_path / "x.snirf").write_bytes(data[:200])
    with pytest.raises(ReadError):
        open_recording(tmp_path / "x.snirf")
