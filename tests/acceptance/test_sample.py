"""The bundled real recording, from its archive to its findings: what has to be found in it.

Truths: MNE's sample recording, 24 s; MEG 2443 is bad and not flagged; 23 heartbeats (57.6 per
min) without an ECG channel; 4 blinks; 31 events.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

import brainforge as bf
from brainforge.result import Result


@pytest.fixture(scope="module")
def result() -> Result:
    return bf.process(bf.datasets.sample(), recipe="resting")


def test_the_one_bad_channel_is_found_and_called_noisy(result: Result) -> None:
    assert [(b.name, b.reason) for b in result.quality.bads] == [("MEG 2443", "noisy")]
    assert result.quality.bads[0].value > result.quality.bads[0].threshold


def test_heartbeats_and_blinks_are_found(result: Result) -> None:
    assert result.artifacts is not None
    assert abs(result.artifacts.ecg.n_events - 23) <= 1
    assert abs(result.artifacts.ecg.rate_per_min - 57.6) < 3
    assert result.artifacts.eog.n_events == 4


def test_heart_and_eye_fields_are_removed(result: Result, capsys: pytest.CaptureFixture) -> None:
    assert result.artifacts is not None
    eog, ecg = result.artifacts.eog.reduction_db, result.artifacts.ecg.reduction_db
    with capsys.disabled():
        print(f"\n  peak RMS falls by {eog:.1f} dB (blinks) and {ecg:.1f} dB (heart)")
    assert eog >= 10
    assert ecg >= 6


def test_removal_leaves_the_evoked_response_and_the_brain_alone(result: Result) -> None:
    # what is removed is a few components; the alpha band of the back of the head stays
    assert result.artifacts is not None
    assert len(result.artifacts.removed) <= 4
    names = result.spectra.channel_names
    back = [i for i, n in enumerate(names) if n.startswith(("MEG 20", "MEG 21", "MEG 23"))
            and n[-1] != "1"]  # fmt: skip
    alpha = (result.spectra.freqs >= 8) & (result.spectra.freqs < 13)
    kept = result.spectra.after[back][:, alpha].sum() / result.spectra.before[back][:, alpha].sum()
    assert 0.7 < kept <= 1.05


def test_every_channel_joins_by_name_whatever_the_order() -> None:
    sample = bf.datasets.sample()
    seed = 11
    print("seed", seed)
    order = np.random.default_rng(seed).permutation(sample.info.n_channels)
    shuffled = _reordered(sample, order)
    a, b = bf.process(sample), bf.process(shuffled)
    assert [x.name for x in a.quality.bads] == [x.name for x in b.quality.bads]
    at = {n: i for i, n in enumerate(b.spectra.channel_names)}
    rows = [at[n] for n in a.spectra.channel_names]
    np.testing.assert_allclose(b.spectra.before[rows], a.spectra.before, rtol=1e-4)
    np.testing.assert_allclose(b.spectra.after[rows], a.spectra.after, rtol=2e-2, atol=1e-3)
    at = {n: i for i, n in enumerate(b.connectivity.channel_names)}
    rows = [at[n] for n in a.connectivity.channel_names]
    for measure in ("coh", "wpli"):
        np.testing.assert_allclose(
            b.connectivity.values[measure]["alpha"][np.ix_(rows, rows)],
            a.connectivity.values[measure]["alpha"],
            atol=2e-2,
        )


def _reordered(recording, order):
    from dataclasses import dataclass, replace

    @dataclass(frozen=True)
    class Reordered:
        reader: object

        def read(self, start: int, stop: int) -> np.ndarray:
            return self.reader.read(start, stop)[order]

    info = recording.info.pick([recording.info.names[i] for i in order])
    return replace(recording, info=info, reader=Reordered(recording.reader))


def test_the_report_and_the_figures_are_complete(result: Result, tmp_path) -> None:
    path = result.report(tmp_path / "report.html")
    text = path.read_text("utf-8")
    assert "MEG 2443" in text
    assert result.provenance["recipe"]["hash"] in text
    assert {f.name for f in result.findings} >= {
        "alpha_peak", "band_power", "asymmetry", "heart_rate", "network", "quality",
    }  # fmt: skip
    json.dumps(result.provenance)
    assert result.finding("network").abstained  # 24 s are too few epochs to summarise
    assert set(result.timings) >= {"ingest_s", "preprocess_s", "artifacts_s", "connectivity_s"}
