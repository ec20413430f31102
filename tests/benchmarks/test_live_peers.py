"""The live peers run at a small size: what is said of accuracy must hold, times are not judged."""

from __future__ import annotations

import pytest

from benchmarks import live_peers


@pytest.fixture(scope="module")
def result():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(live_peers, "PEER_BLOCKS", 80)
        return live_peers.measure(15.0, n_channels=16)


def test_every_row_has_both_sides_and_its_accuracy(result, capsys):
    assert len(result["rows"]) == 4
    for row in result["rows"]:
        assert row["ours_ms"] > 0
        assert row["ratio"] == pytest.approx(row["peer_ms"] / row["ours_ms"])
        assert row["accuracy"]
    live_peers.print_result(result)
    assert "sosfilt" in capsys.readouterr().out


def test_accuracy_holds(result):
    biquads, connectivity, mains, artifacts = (row["accuracy"] for row in result["rows"])
    assert biquads["largest difference"] < 1e-12
    assert connectivity["planted pair"] == pytest.approx(
        connectivity["planted pair, of the peer"], abs=0.1
    )
    assert connectivity["planted pair"] > 0.9
    assert (
        connectivity["independent pairs, mean"]
        < connectivity["independent pairs, mean, of the peer"]
    )
    assert mains["line removed, dB"] > 20
    assert mains["error over brain"] < mains["error of the peer over brain"]
    assert artifacts["error in bursts over brain"] < artifacts["of the peer"]
    assert artifacts["error in bursts over brain"] < 0.5
