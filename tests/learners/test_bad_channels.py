"""Bad channels: what is planted is found, for its own reason, and nothing besides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainforge.backend import Backend
from brainforge.block import Block, RawBlock
from brainforge.info import Channel, Info
from brainforge.learners.bad_channels import BadChannelParams, find_bad_channels
from brainforge.measures.gram import GramMeasure
from brainforge.measures.raw_quality import RawQualityMeasure

SFREQ, CHUNK, N_CHUNKS = 250.0, 1250, 12
MAGS = tuple(f"M{i:02d}" for i in range(40))
GRADS = tuple(f"G{i:02d}" for i in range(30))
#: fT and fT/cm a count
CAL = {"mag": 1e-15, "grad": 1e-13}
INFO = Info(
    SFREQ,
    (
        *(Channel(n, "mag", cal=CAL["mag"], rails=(-8000, 8000)) for n in MAGS),
        *(Channel(n, "grad", cal=CAL["grad"]) for n in GRADS),
    ),
)


def simulate(seed: int, spoil=None) -> np.ndarray:
    """Return counts, axes (channel, sample): few smooth sources seen by all, and white noise."""
    rng = np.random.default_rng(seed)
    n = len(INFO.channels)
    sources = rng.standard_normal((8, CHUNK * N_CHUNKS))
    scale = np.where([c.kind == "mag" for c in INFO.channels], 150.0, 20.0)[:, None]
    x = scale * (rng.standard_normal((n, 8)) @ sources)
    noise = 0.5 * scale * rng.standard_normal(x.shape)
    if spoil is not None:
        x, noise = spoil(x, noise, rng)
    return np.round(np.clip(x + noise, -8000, 8000)).astype(np.int16)


def judge(counts: np.ndarray, info: Info = INFO, params: BadChannelParams | None = None):
    quality, gram = RawQualityMeasure(info, Backend(n_threads=1)), GramMeasure(info, Backend())
    cal = np.array([c.working_cal for c in info.channels])[:, None]
    for at in range(0, counts.shape[1], CHUNK):
        raw = RawBlock(counts[:, at : at + CHUNK], info, at)
        masks = quality.judge(raw)
        gram.update(Block((raw.data * cal).astype(np.float32), info, at, masks))
    found = find_bad_channels(info, quality.result(), gram.result(), params or BadChannelParams())
    return {b.name: b for b in found}


@pytest.mark.parametrize("seed", range(5))
def test_every_planted_fault_is_found_and_none_besides(seed):
    drift = np.repeat(np.linspace(1, 0.8, N_CHUNKS), CHUNK)

    def spoil(x, noise, rng):
        x[3] = noise[3] = 0  # flat
        x[8] *= drift
        noise[12] *= 8
        x[15, ::200] = 9000  # railed
        x[41] *= 1 + 0.25 * np.linspace(0, 1, x.shape[1]) ** 2
        noise[45] *= 8
        noise[50] *= 1.3
        # shares nothing with the others, yet is no louder
        noise[20] = 2.9 * noise[20]
        x[20] = 0
        return x, noise

    got = {name: bad.reason for name, bad in judge(simulate(seed, spoil)).items()}
    assert got == {
        "M03": "flat",
        "M08": "gain_drift",
        "M12": "noisy",
        "M15": "railed",
        "M20": "uncorrelated",
        "G01": "gain_drift",
        "G05": "noisy",
    }


@pytest.mark.parametrize("seed", range(5))
def test_sound_channels_are_not_accused(seed):
    assert judge(simulate(100 + seed)) == {}


def test_evidence_says_value_threshold_and_unit():
    def spoil(x, noise, rng):
        noise[12] *= 10
        return x, noise

    bad = judge(simulate(7, spoil))["M12"]
    assert bad.unit == "fT"
    assert bad.value > bad.threshold > 0
    assert "do not predict of it is" in bad.evidence
    assert "times the median of 40 magnetometers" in bad.evidence
    assert bad.evidence.endswith("fT).")


def test_an_outlier_by_its_distance_alone():
    def spoil(x, noise, rng):
        x[30] *= 12
        return x, noise

    # others hardly predict what is so much larger, so ask for more noise to call it that
    found = judge(simulate(9, spoil) // 2, params=BadChannelParams(noise_ratio=40))
    assert {k: b.reason for k, b in found.items()} == {"M30": "outlier"}


def test_marked_channels_stay_marked_and_judge_nobody():
    def spoil(x, noise, rng):
        noise[0] *= 50
        return x, noise

    info = INFO.with_bads(("M00", "G00"))
    got = judge(simulate(3, spoil), info)
    assert {k: b.reason for k, b in got.items()} == {"M00": "marked", "G00": "marked"}


def test_channels_join_by_name():
    def spoil(x, noise, rng):
        noise[12] *= 8
        x[3] = noise[3] = 0
        return x, noise

    counts = simulate(5, spoil)
    order = np.random.default_rng(0).permutation(len(INFO.channels))
    shuffled = replace(INFO, channels=tuple(INFO.channels[i] for i in order))
    want, got = judge(counts), judge(counts[order], shuffled)
    assert set(want) == set(got) == {"M03", "M12"}
    assert got["M12"].value == pytest.approx(want["M12"].value, rel=1e-5)


def test_all_flat_and_too_few_channels():
    assert {b.reason for b in judge(np.zeros((70, 2 * CHUNK), np.int16)).values()} == {"flat"}
    one = INFO.pick(("M00",))
    assert judge(simulate(1)[:1], one) == {}


def test_non_finite_channels():
    few = INFO.pick(MAGS[:10])
    data = simulate(2)[:10].astype(np.float64)
    data[4, :5000] = np.nan
    assert {k: b.reason for k, b in judge(data, few).items()} == {"M04": "non_finite"}


@pytest.mark.shared_data
def test_the_real_recording_has_one_noisy_channel(shared_data):
    import mne

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error").pick("meg")
    cals = np.array([c["cal"] * c["range"] for c in raw.info["chs"]])
    counts = np.round(raw.get_data() / cals[:, None]).astype(np.int16)
    kinds = raw.get_channel_types()
    info = Info(
        raw.info["sfreq"],
        tuple(Channel(n, k, cal=c) for n, k, c in zip(raw.ch_names, kinds, cals)),
    )
    work = raw.filter(1, 100, verbose="error").resample(300, verbose="error").get_data()
    work *= np.where(np.array(kinds) == "mag", 1e15, 1e13)[:, None]
    quality = RawQualityMeasure(info, Backend())
    gram = GramMeasure(replace(info, sfreq=300.0, decim=2), Backend())
    for at in range(0, counts.shape[1], 6000):
        quality.update(RawBlock(counts[:, at : at + 6000], info, at))
    for at in range(0, work.shape[1], 3000):
        part = work[:, at : at + 3000].astype(np.float32)
        gram.update(Block(part, gram.info, at))
    found = find_bad_channels(info, quality.result(), gram.result())
    assert [(b.name, b.reason) for b in found] == [("MEG 2443", "noisy")]
