from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from brainforge.acquisition.driver import Ended, Packet
from brainforge.acquisition.fieldline_bridge import FieldLineBridge, channel_of, main, run
from brainforge.acquisition.tcp import driver
from brainforge.errors import InputError

NAMES = ("00:01:50", "00:02:28", "00:00:0")


def sample(counter: int, value: int = 0, names: tuple[str, ...] = NAMES) -> dict[str, Any]:
    """Return one sample in the form in which their callback gives it."""
    frames = {
        name: {"data": value + i, "sensor": name, "data_type": 50} for i, name in enumerate(names)
    }
    return {"timestamp": counter * 25_000, "data_frames": frames}


class StandIn:
    """Stands for a FieldLineService: what public programs call of it, and no more."""

    def __init__(self, give: Callable[[Callable[[dict[str, Any]], None]], None]) -> None:
        self._give, self.calls = give, []
        self._thread: threading.Thread | None = None

    def load_sensors(self) -> dict[int, list[int]]:
        return {0: [1, 2]}

    def start_adc(self, chassis: int) -> None:
        self.calls.append(f"start {chassis}")

    def stop_adc(self, chassis: int) -> None:
        self.calls.append(f"stop {chassis}")

    def get_calibration_value(self, name: str) -> dict[str, float]:
        return {"calibration": 1e-3 if name.endswith(":0") else 2e-15}

    def read_data(self, data_callback: Callable[[dict[str, Any]], None] | None = None) -> None:
        if data_callback is None:
            assert self._thread is not None
            self._thread.join()
            return
        self._thread = threading.Thread(target=self._give, args=(data_callback,))
        self._thread.start()


def received(address: str, stop: threading.Event, n: int) -> tuple[Any, list[Packet]]:
    link = driver(address)
    info = link.open(resume=0)
    packets: list[Packet] = []
    try:
        while True:
            packets += link.receive(1.0)
            if sum(len(p.data) for p in packets) >= n:
                stop.set()
    except Ended:
        return info, packets
    finally:
        link.close()


def test_samples_arrive_with_names_units_and_the_device_s_count() -> None:
    counters = [*range(1000, 1055), *range(1060, 1100)]
    stop, found = threading.Event(), []

    def give(callback: Callable[[dict[str, Any]], None]) -> None:
        for counter in counters:
            # their order may change from sample to sample
            names = NAMES if counter % 2 else NAMES[::-1]
            data = sample(counter, 0, names)
            for name in names:
                data["data_frames"][name]["data"] = counter + NAMES.index(name)
            callback(data)

    service = StandIn(give)
    seen = threading.Thread(
        target=run, args=(service, "tcp:127.0.0.1:0"),
        kwargs={"adc": [0], "adc_kind": "stim", "stop": stop, "say": found.append},
    )  # fmt: skip
    seen.start()
    until = time.monotonic() + 10.0
    while not found:
        assert time.monotonic() < until
        time.sleep(0.001)
    info, packets = received(found[0], stop, 80)
    seen.join()
    assert set(info.names) == set(NAMES)
    assert (info.channel("00:01:50").kind, info.channel("00:00:0").kind) == ("mag", "stim")
    assert info.channel("00:02:28").cal == 2e-15
    assert np.concatenate([p.counters for p in packets]).tolist() == counters
    values = np.concatenate([p.data for p in packets])
    for name in NAMES:
        expected = np.array(counters) + NAMES.index(name)
        assert np.array_equal(values[:, info.index(name)], expected)
    assert service.calls == ["start 0", "stop 0"]


def test_other_channels_in_mid_stream_are_refused() -> None:
    bridge = FieldLineBridge(lambda name: 1e-15, "tcp:127.0.0.1:0", linger_s=0.0)
    for counter in range(30):
        bridge.callback(sample(counter))
    bridge.check()
    bridge.callback(sample(30, names=NAMES[:2]))
    with pytest.raises(InputError, match="expected 3 channels, got 2"):
        bridge.check()
    bridge.close()


def test_numbers_that_are_not_whole_stay_as_they_are() -> None:
    bridge = FieldLineBridge(lambda name: 1e-15, "tcp:127.0.0.1:0", packet=1, linger_s=0.0)
    for counter in range(3):
        data = sample(counter)
        data["data_frames"][NAMES[0]]["data"] = 0.25
        bridge.callback(data)
    bridge.check()
    assert bridge.bridge is not None
    link = driver(bridge.bridge.address)
    link.open(resume=0)
    (packet, *_) = link.receive(5.0)
    link.close()
    assert packet.data[0].tolist() == [0.25, 1.0, 2.0]
    bridge.close()


def test_a_fraction_among_whole_numbers_is_refused_not_cut() -> None:
    bridge = FieldLineBridge(lambda name: 1e-15, "tcp:127.0.0.1:0", linger_s=0.0)
    bridge.callback(sample(0))
    data = sample(1)
    data["data_frames"][NAMES[0]]["data"] = 0.25
    bridge.callback(data)
    with pytest.raises(InputError, match="expected int32, got float64"):
        bridge.check()
    bridge.close()


def test_no_samples_is_said() -> None:
    with pytest.raises(InputError, match=r"expected samples within 0\.05 s, got none"):
        run(StandIn(lambda callback: None), "tcp:127.0.0.1:0", first_s=0.05)


def test_an_unknown_type_of_channel_is_refused() -> None:
    with pytest.raises(InputError, match="a type of 0, 28 or 50"):
        channel_of("00:01:99", 1.0)


def test_without_their_api_one_line_says_so(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "fieldline_api", None)
    with pytest.raises(SystemExit) as caught:
        main(["--ip", "192.0.2.1"])
    assert caught.value.code == 2
    assert "expected FieldLine's API" in capsys.readouterr().err


def test_from_the_command_line_with_the_stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    class Service(StandIn):
        def __init__(self, addresses: list[str]) -> None:
            assert addresses == ["192.0.2.1", "192.0.2.2"]
            super().__init__(lambda callback: callback(sample(0, names=("00:01:99",))))

        def __enter__(self) -> Service:
            return self

        def __exit__(self, *_: object) -> None: ...

    module = types.ModuleType("fieldline_api.fieldline_service")
    module.FieldLineService = Service  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "fieldline_api", types.ModuleType("fieldline_api"))
    monkeypatch.setitem(sys.modules, "fieldline_api.fieldline_service", module)
    with pytest.raises(SystemExit) as caught:
        main(["--ip", "192.0.2.1", "--ip", "192.0.2.2", "--address", "tcp:127.0.0.1:0"])
    assert caught.value.code == 2
