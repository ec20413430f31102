"""Each finding against planted truths, and each reason to abstain."""

import json
from dataclasses import replace

import numpy as np
import pytest

from brainforge.finding import Finding
from brainforge.findings import (
    alpha_peak,
    asymmetry,
    band_power,
    heart_rate,
    network,
    quality,
    slowing,
)
from brainforge.findings.asymmetry import mirror_pairs
from brainforge.findings.intervals import bootstrap_interval, median_interval
from brainforge.findings.network import mean_strength, strongest_edges
from brainforge.result import EventTrain
from tests.report.make_result import (
    make_band_power,
    make_connectivity,
    make_graph,
    make_info,
    make_quality,
    make_result,
    make_spectra,
)


@pytest.fixture(params=["mag306", "vectorview"])
def info(request):
    return make_info(request.param)


def rng():
    return np.random.default_rng(11)


def inside(finding: Finding, truth: float) -> bool:
    low, high = finding.uncertainty
    return low <= truth <= high


@pytest.mark.parametrize("alpha", [8.3, 9.75, 11.6])
def test_alpha_peak_is_where_it_was_planted(info, alpha):
    found = alpha_peak(make_spectra(info, rng(), alpha=alpha), info, evidence=(0, 60))
    assert found.value == pytest.approx(alpha, abs=0.1)
    assert inside(found, alpha)
    assert found.details["exponent"] == pytest.approx(1.0, abs=0.15)
    assert found.evidence == (0, 60)


def test_alpha_peak_abstains_without_a_peak(info):
    spectra = make_spectra(info, rng())
    f = np.maximum(spectra.freqs, 0.5)
    flat = np.broadcast_to(100 / f, spectra.after.shape)
    flat = flat * rng().gamma(120, 1 / 120, flat.shape)
    found = alpha_peak(replace(spectra, after=flat), info)
    assert found.abstained
    assert "background" in found.text


def test_alpha_peak_abstains_on_coarse_bins(info):
    spectra = make_spectra(info, rng())
    coarse = replace(spectra, freqs=spectra.freqs[::4], after=spectra.after[:, ::4])
    assert "coarse" in alpha_peak(coarse, info).text


def test_alpha_peak_without_geometry_takes_all_sensors():
    info = make_info(geometry=False)
    found = alpha_peak(make_spectra(info, rng()), info)
    assert found.details["sensors"] == "all"
    assert found.value == pytest.approx(10.2, abs=0.1)


def test_bad_channels_change_nothing(info):
    spectra = make_spectra(info, rng())
    marked = info.with_bads(info.names[:30])
    wild = spectra.after.copy()
    want = alpha_peak(replace(spectra, after=wild), marked)
    wild[:30] = 1e9
    got = alpha_peak(replace(spectra, after=wild), marked)
    assert got == want
    power = make_band_power(replace(spectra, after=wild))
    assert band_power(power, marked).value == band_power(make_band_power(spectra), marked).value


def test_channel_order_changes_nothing(info):
    spectra = make_spectra(info, rng())
    power = make_band_power(spectra)
    order = rng().permutation(info.n_channels)
    names = tuple(power.channel_names[i] for i in order)
    mixed = replace(
        power,
        channel_names=names,
        absolute=power.absolute[:, order],
        relative=power.relative[:, order],
    )
    for finding in (band_power, slowing, asymmetry):
        assert finding(mixed, info).value == pytest.approx(finding(power, info).value, rel=1e-9)


def test_band_power_by_region(info):
    power = make_band_power(make_spectra(info, rng()))
    found = band_power(power, info)
    table = found.details["regions"]
    assert set(table) >= {"frontal", "occipital", "left_temporal", "right_temporal"}
    assert table["occipital"]["alpha"]["relative"] > table["frontal"]["alpha"]["relative"]
    assert sum(v["relative"] for v in table["occipital"].values()) == pytest.approx(1, abs=0.05)
    assert inside(found, found.value)


def test_slowing_ratio_is_the_definition(info):
    power = make_band_power(make_spectra(info, rng()))
    ones = replace(power, absolute=np.outer([3.0, 2.0, 4.0, 1.0, 9.0], np.ones(info.n_channels)))
    found = slowing(ones, info)
    assert found.value == pytest.approx(1.0)
    assert found.uncertainty == pytest.approx((1.0, 1.0))


def test_power_findings_abstain(info):
    power = make_band_power(make_spectra(info, rng()))
    nothing = replace(power, absolute=np.full_like(power.absolute, np.nan))
    for finding in (band_power, slowing, asymmetry):
        assert finding(nothing, info).abstained
    no_beta = replace(power, bands={k: v for k, v in power.bands.items() if k != "beta"})
    assert "no beta" in slowing(no_beta, info).text
    assert "not known" in asymmetry(power, replace(info, dev_head_t=None)).text


@pytest.mark.parametrize("log_ratio", [-0.4, 0.0, 0.25])
def test_asymmetry_is_what_was_planted(info, log_ratio):
    power = make_band_power(make_spectra(info, rng()))
    side = np.sign(info.positions()[:, 0])
    noise = rng().normal(0, 0.02, info.n_channels)
    level = np.exp(0.5 * log_ratio * side + noise)
    found = asymmetry(replace(power, absolute=np.ones((5, 1)) * level), info)
    assert found.value == pytest.approx(log_ratio, abs=0.02)
    assert inside(found, log_ratio)
    assert found.details["head_offset_mm"] == pytest.approx(-2.0)
    if log_ratio:
        assert ("right" if log_ratio > 0 else "left") in found.text


def test_mirror_pairs_are_mutual_and_near():
    positions = np.array(
        [[-0.05, 0.0, 0.1], [0.051, 0.0, 0.1], [0.09, 0, 0.05], [0, 0.1, 0], [np.nan] * 3]
    )
    assert mirror_pairs(positions) == [(0, 1)]


def train(samples):
    return EventTrain("ecg", np.asarray(samples), 60.0, "MAG001")


def test_heart_rate():
    rng_ = rng()
    beats = np.cumsum(rng_.normal(1.04, 0.03, 60))
    found = heart_rate(train((beats * 1000).astype(int)), 1000.0)
    assert found.value == pytest.approx(57.7, abs=0.6)
    assert inside(found, 60 / 1.04)
    assert found.uncertainty[1] - found.uncertainty[0] < 2.5


def test_heart_rate_leaves_out_gaps():
    samples = [0, 1000, 2000, 3000, 9000, 10000, 11000]
    plain = heart_rate(train(samples), 1000.0)
    gapped = heart_rate(train(samples), 1000.0, gaps=[(3500, 8000)])
    assert plain.details["n_intervals"] == 6
    assert gapped.details["n_intervals"] == 5
    assert gapped.value == 60.0


@pytest.mark.parametrize("beats", [None, train([]), train([1, 2, 3, 4])])
def test_heart_rate_abstains(beats):
    found = heart_rate(beats, 1000.0)
    assert found.abstained
    assert "5 are needed" in found.text


def test_network_summary(info):
    connectivity = make_connectivity(info, rng())
    graph = make_graph(connectivity, rng())
    found = network(connectivity, graph)
    matrix = connectivity.values["wpli2_debiased"]["alpha"]
    upper = matrix[np.triu_indices(len(matrix), 1)]
    assert found.value == pytest.approx(np.abs(upper).mean(), rel=1e-6)
    assert inside(found, found.value)
    n = len(connectivity.channel_names)
    edge = found.details["bands"]["alpha"]["edges"][0]
    assert {edge["from"], edge["to"]} == {
        connectivity.channel_names[4],
        connectivity.channel_names[n - 5],
    }
    assert found.details["bands"]["alpha"]["efficiency"] == 0.41


def test_network_is_collecting_below_30_epochs(info):
    found = network(make_connectivity(info, rng(), n_epochs=12))
    assert found.abstained
    assert "collecting" in found.text
    assert "12" in found.text


def test_vertex_jackknife_error_is_that_of_independent_pairs():
    n, errors, means = 40, [], []
    for seed in range(200):
        v = np.triu(np.random.default_rng(seed).uniform(0, 1, (n, n)), 1)
        mean, error = mean_strength(v + v.T)
        means.append(mean)
        errors.append(error)
    assert np.mean(errors) == pytest.approx(np.std(means), rel=0.15)


def test_strongest_edges_are_sorted_and_unique():
    v = np.zeros((4, 4))
    v[0, 1] = v[1, 0] = 0.2
    v[2, 3] = v[3, 2] = -0.9
    v[0, 3] = np.nan
    assert strongest_edges(v, 10).tolist() == [[2, 3], [0, 1]]
    assert strongest_edges(np.zeros((0, 0)), 3).shape == (0, 2)


def test_quality_counts(info):
    q = make_quality(info, rng())
    found = quality(q)
    assert found.value == pytest.approx(100 * 0.9915 * 302 / 306)
    assert found.details["bad_by_reason"] == {"flat": 1, "noisy": 1, "railed": 1, "gain_drift": 1}
    assert "gain drift" in found.text


def test_median_interval_is_that_of_the_binomial():
    from scipy.stats import binom

    for n in [*range(6, 120), 301, 1000, 2500]:
        low, high = median_interval(np.arange(n))
        assert n - 1 - high == low
        # at most 2.5 % below, and one order statistic further in would be too many
        assert binom.cdf(low, n, 0.5) <= 0.0253
        assert binom.cdf(low + 1, n, 0.5) > 0.0247


def test_intervals_cover_the_truth():
    inside_median = inside_boot = 0
    for seed in range(200):
        values = np.random.default_rng(seed).normal(0, 1, 31)
        low, high = median_interval(values)
        inside_median += low <= 0 <= high
        low, high = bootstrap_interval(values, np.mean)
        inside_boot += low <= 0 <= high
    assert inside_median >= 184
    assert inside_boot >= 178
    assert median_interval(np.array([1.0, 2.0])) is None
    assert bootstrap_interval(np.array([1.0, np.nan])) is None


def test_every_finding_is_json_and_has_its_method():
    for finding in make_result().findings:
        json.dumps(finding.to_dict(), allow_nan=False)
        assert finding.method
        assert finding.text.endswith(".")
        assert finding.evidence == (0.0, 240.0)
        assert not any(w in finding.text.lower() for w in ("diagnos", "patholog", "abnormal"))
