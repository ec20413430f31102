from __future__ import annotations

import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest

from brainforge.acquisition import connect
from brainforge.acquisition.connect import discover, make_driver, open_source, split_host_port
from brainforge.acquisition.live_source import LiveSource
from brainforge.errors import InputError
from tests.acquisition.scripted_driver import ScriptedDriver

FORMS = ", ".join(scheme.form for scheme in connect.SCHEMES.values())


@pytest.mark.parametrize(
    ("text", "got"),
    [
        ("", "nothing"),
        ("   ", "nothing"),
        ("serial:/dev/ttyS0", "'serial'"),
        ("LSL:meg", "'LSL'"),
        ("/data/rec.fif", "'/data/rec.fif'"),
        ("lsl", "nothing behind lsl:"),
        ("lsl:", "nothing behind lsl:"),
        ("unix:", "nothing behind unix:"),
        ("replay:", "nothing behind replay:"),
        ("tcp:", "no host and port"),
        ("tcp:localhost", "no port"),
        ("tcp:localhost:", "no port"),
        ("tcp::5000", "no port"),
        ("fieldtrip:localhost:0", "port '0'"),
        ("fieldtrip:localhost:65536", "port '65536'"),
        ("fieldtrip:localhost:1.5", "port '1.5'"),
        ("tcp:localhost:-1", "port '-1'"),
        ("tcp:localhost:٣٣", "port '٣٣'"),
    ],
)
def test_what_is_no_source_gets_one_line_with_the_forms(text: str, got: str) -> None:
    with pytest.raises(InputError) as caught:
        open_source(text)
    assert str(caught.value) == " ".join(
        f"source {text!r}: expected one of {FORMS}, got {got}".split()
    )
    assert "\n" not in str(caught.value)


def test_host_and_port_may_be_of_either_internet() -> None:
    assert split_host_port("127.0.0.1:1972", "") == ("127.0.0.1", 1972)
    assert split_host_port("[::1]:80", "") == ("::1", 80)


class Stub(ModuleType):
    """A driver module."""

    def __init__(self, name: str, missing: str | None = None) -> None:
        super().__init__(name)
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.missing = missing

    def driver(self, address: str, **options: Any) -> ScriptedDriver:
        if self.missing:
            raise ModuleNotFoundError(f"No module named {self.missing!r}", name=self.missing)
        self.asked.append((address, options))
        return ScriptedDriver([])


@pytest.mark.parametrize(
    ("text", "module", "address"),
    [
        ("lsl:My MEG: 2", "lsl", "My MEG: 2"),
        ("fieldtrip:host:1972", "fieldtrip.driver", "host:1972"),
        ("tcp:[::1]:5000", "tcp", "[::1]:5000"),
        ("unix:/run/a:b.sock", "tcp", "unix:/run/a:b.sock"),
        ("replay:/data/rec:1.fif", "replay_driver", "/data/rec:1.fif"),
        ("phantom", "phantom_driver", ""),
        ("phantom:seed=3", "phantom_driver", "seed=3"),
    ],
)
def test_the_driver_gets_the_address(
    text: str, module: str, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"brainforge.acquisition.{module}"
    stub = Stub(name)
    monkeypatch.setitem(sys.modules, name, stub)
    source = open_source(text, block_s=0.1, speed=2)
    assert isinstance(source, LiveSource)
    assert stub.asked == [(address, {"speed": 2})]


def test_a_package_that_is_missing_is_named_with_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    name = "brainforge.acquisition.lsl"
    monkeypatch.setitem(sys.modules, name, Stub(name, missing="pylsl"))
    expected = r'the package pylsl, got none installed; pip install "brainforge\[lsl\]"'
    with pytest.raises(InputError, match=expected):
        make_driver("lsl:MEG")


def test_discovery_says_what_could_not_be_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [{"source": "lsl:A"}, {"source": "lsl:B"}]
    for scheme in connect.SCHEMES.values():
        monkeypatch.setitem(sys.modules, scheme.module, ModuleType(scheme.module))
    found = ModuleType("found")
    found.discover = lambda: rows  # type: ignore[attr-defined]
    failing = ModuleType("failing")

    def no_network() -> list[dict[str, Any]]:
        raise OSError("no network")

    failing.discover = no_network  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, connect.SCHEMES["lsl"].module, found)
    monkeypatch.setitem(sys.modules, connect.SCHEMES["fieldtrip"].module, failing)
    assert discover() == [*rows, {"scheme": "fieldtrip", "error": "no network"}]


def test_the_recorders_start_loads_nothing_heavy() -> None:
    code = (
        "import sys, brainforge.acquisition.connect;"
        "heavy = {'scipy', 'numba', 'mne', 'zarr', 'h5py', 'pylsl', 'pandas'};"
        "print(sorted(heavy & {m.split('.')[0] for m in sys.modules}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("scheme", sorted(connect.SCHEMES))
def test_every_driver_has_the_entry_point(scheme: str) -> None:
    if connect.SCHEMES[scheme].extra:
        pytest.importorskip("pylsl")
    assert callable(connect._load(scheme, scheme).driver)
