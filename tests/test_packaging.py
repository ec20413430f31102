"""The package that is shipped: declared = on disk = in the wheel, locks without addresses."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import brainforge

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
LOCKS = sorted(ROOT.glob("requirements*.lock"))
#: root folders that are packages under another name
MAPPED = {name: f for name, f in SETUPTOOLS["package-dir"].items() if name != "brainforge"}


def _folders() -> dict[str, Path]:
    """Folder of every package found on disk, by import name."""
    found = {}
    for name, folder in SETUPTOOLS["package-dir"].items():
        top = ROOT / folder
        for init in sorted(top.rglob("__init__.py")):
            inside = init.parent.relative_to(top)
            # Python 3.13's rglob follows the links from brainforge/, older ones do not
            if name == "brainforge" and inside.parts and (top / inside.parts[0]).is_symlink():
                continue
            found[".".join((name, *inside.parts))] = init.parent
    return found


def _shipped() -> set[str]:
    """Every source and data file as the wheel has to name it."""
    names = set()
    for name, folder in _folders().items():
        prefix = name.replace(".", "/")
        names |= {f"{prefix}/{f.name}" for f in folder.glob("*.py")}
        for pattern in SETUPTOOLS["package-data"].get(name, []):
            files = (f for f in folder.glob(pattern) if f.is_file())
            names |= {f"{prefix}/{f.relative_to(folder).as_posix()}" for f in files}
    return names


def test_declared_packages_are_those_on_disk() -> None:
    assert sorted(SETUPTOOLS["packages"]) == sorted(_folders())


def test_version_is_the_same_in_both_places() -> None:
    assert PROJECT["project"]["version"] == brainforge.__version__


def test_no_data_file_is_forgotten() -> None:
    """Whatever lies in a package and is no Python is declared as package data."""
    tops = {ROOT / folder: name for name, folder in SETUPTOOLS["package-dir"].items()}
    declared = _shipped()
    for top, name in tops.items():
        for file in top.rglob("*"):
            inside = file.relative_to(top)
            linked = name == "brainforge" and (top / inside.parts[0]).is_symlink()
            cached = "__pycache__" in inside.parts
            if linked or cached or not file.is_file() or file.suffix == ".py":
                continue
            assert f"{name.replace('.', '/')}/{inside.as_posix()}" in declared


def test_symlinks_are_relative_and_right() -> None:
    for name, folder in MAPPED.items():
        link = ROOT / "brainforge" / name.removeprefix("brainforge.")
        assert link.is_symlink(), link
        assert link.readlink().as_posix() == f"../{folder}"
        assert (link / "__init__.py").is_file()
    links = {p.name for p in (ROOT / "brainforge").iterdir() if p.is_symlink()}
    assert links == set(MAPPED.values())


def test_every_requirement_has_a_floor() -> None:
    project = PROJECT["project"]
    texts = [*project["dependencies"], *PROJECT["build-system"]["requires"]]
    texts += [r for extra in project["optional-dependencies"].values() for r in extra]
    for requirement in map(Requirement, texts):
        operators = {s.operator for s in requirement.specifier}
        assert requirement.name == "brainforge" or operators & {">=", "==", "~="}, requirement


def test_every_requirement_is_explained() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text().lower()
    project = PROJECT["project"]
    texts = [*project["dependencies"]]
    texts += [r for extra in project["optional-dependencies"].values() for r in extra]
    names = {Requirement(t).name for t in texts} - {"brainforge"}
    assert not [n for n in sorted(names) if f"`{n}`" not in page]


@pytest.mark.parametrize("lock", LOCKS, ids=lambda p: p.name)
def test_locks_name_versions_and_hashes_and_no_address(lock: Path) -> None:
    text = lock.read_text()
    assert "//" not in text
    assert not re.search(r"(?m)^\s*--(?!hash=sha256:)", text)
    pins = re.findall(r"(?m)^([a-z0-9][a-z0-9._-]*)(\[[^\]]*\])?==\S+.*\\$", text)
    assert len(pins) == len(re.findall(r"(?m)^[a-z0-9]", text)) > 30


def test_locks_agree_with_each_other() -> None:
    assert len(LOCKS) == 4

    def pins(lock: Path) -> set[str]:
        return set(re.findall(r"(?m)^([a-z0-9][^ ]*==[^ \n]+)", lock.read_text()))

    everything = pins(ROOT / "requirements-test.lock")
    run = pins(ROOT / "requirements.lock")
    assert run <= everything
    for name in ("cuda12", "cuda13"):
        assert run <= pins(ROOT / f"requirements-{name}.lock")


def test_import_is_light() -> None:
    code = (
        "import sys, time; t = time.process_time(); import brainforge, brainforge.cli;"
        "import json; print(json.dumps([time.process_time() - t, sorted(sys.modules)]))"
    )
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-P", "-c", code], cwd=ROOT))
        for _ in range(3)
    ]
    heavy = {"scipy.signal", "mne", "numba", "plotly", "zarr", "xarray", "pandas", "matplotlib"}
    assert not heavy & set(runs[0][1])
    # processor time, because a shared machine stretches the wall clock
    assert min(seconds for seconds, _ in runs) < 0.3


@pytest.fixture(autouse=True, scope="module")
def _as_a_user() -> Iterator[None]:
    """Take the project's folder off the path of processes: pip would find it installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        yield


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, so that nothing stale in the checkout gets in."""
    copy, out = tmp_path_factory.mktemp("copy") / "src", tmp_path_factory.mktemp("wheel")
    ignore = shutil.ignore_patterns(".*", "__pycache__", "build", "*.egg-info", "node_modules")
    shutil.copytree(ROOT, copy, symlinks=True, ignore=ignore)
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", out, copy],
        check=True,
        capture_output=True,
    )
    (made,) = out.glob("*.whl")
    return made


def test_wheel_holds_every_file_and_claims_one_name(wheel: Path) -> None:
    names = {n for n in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in n}
    assert names == _shipped()


def test_wheel_imports_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    clean = tmp_path / "venv"
    venv.create(clean, with_pip=False)
    python = clean / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "--quiet"]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True)
    # its dependencies come from the environment of the tests, so nothing is fetched; a path
    # in a .pth file does not bring along that environment's editable install of this project
    site = subprocess.check_output(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True
    )
    Path(site.strip(), "rest.pth").write_text(sysconfig.get_path("purelib"))
    modules = sorted(
        n.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for n in _shipped()
        if n.endswith(".py") and "__main__" not in n and "/testing/" not in n
    )
    code = (
        "import importlib, brainforge, sys\n"
        f"for name in {modules!r}: importlib.import_module(name)\n"
        "print(brainforge.__file__)"
    )
    done = subprocess.run(
        [python, "-I", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip().startswith(str(clean))
