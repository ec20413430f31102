"""Channel repair: truth on left-out channels, what cannot be repaired, and the fused matrix."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brainforge.learners.field import learn_field_correction
from brainforge.learners.repair import learn_repair
from brainforge.operator import Operator
from tests.helmets import helmet_info

BADS = ("OPM004", "OPM020")


def test_bad_rows_hold_weights_of_good_channels_only():
    info = helmet_info(80)
    operator = learn_repair(info, BADS)
    rows = operator.rows(BADS)
    others = np.setdiff1d(np.arange(80), rows)
    assert not operator.matrix[:, rows].any()
    np.testing.assert_array_equal(operator.matrix[np.ix_(others, others)], np.eye(78))
    assert operator.rank == 78
    assert operator.params == {"repaired": list(BADS), "not_repaired": []}
    assert operator.description.startswith("OPM004, OPM020 replaced by the estimate from 78")


def test_nothing_bad_and_nothing_known():
    info = helmet_info(80)
    assert learn_repair(info).is_identity
    assert learn_repair(info).description == "No channel to repair."
    nowhere = replace(info, channels=tuple(replace(c, position=None) for c in info.channels))
    operator = learn_repair(nowhere, BADS)
    assert operator.is_identity
    assert operator.params["not_repaired"] == sorted(BADS)
    assert "unknown" in operator.description
    few = helmet_info(7)
    assert "at least 10" in learn_repair(few, ("OPM001",)).description
    dead = learn_repair(info, info.names)
    assert dead.is_identity
    assert "no good one is left" in dead.description


def test_only_placed_channels_are_repaired():
    info = helmet_info(80)
    lost = replace(info.channels[4], orientation=None)
    info = replace(info, channels=(*info.channels[:4], lost, *info.channels[5:]))
    operator = learn_repair(info, BADS)
    assert operator.params == {"repaired": ["OPM020"], "not_repaired": ["OPM004"]}
    np.testing.assert_array_equal(operator.matrix[4], np.eye(80)[4])
    assert "OPM004 without a known position as recorded" in operator.description


def test_one_fused_matrix_equals_one_step_after_another():
    info = helmet_info(80).with_bads(BADS)
    field = learn_field_correction(info)
    rng = np.random.default_rng(0)
    good = tuple(n for n in info.names if n not in BADS)
    component = field.pick(good).matrix @ rng.standard_normal((len(good), 2))
    unmixing = np.linalg.pinv(component)
    artifact = Operator(good, np.eye(len(good)) - component @ unmixing).expand(info.names)
    repair = learn_repair(info, after=field)
    fused = repair @ artifact @ field
    x = rng.standard_normal((80, 500)) * 1e3
    steps = repair.matrix @ (artifact.matrix @ (field.matrix @ x))
    assert np.abs(fused.matrix @ x - steps).max() < 1e-12 * np.abs(x).max()
    assert fused.rank == 78 - 3 - 2
    spoilt = x.copy()
    spoilt[fused.rows(BADS)] = 1e9
    np.testing.assert_array_equal(fused.matrix @ spoilt, fused.matrix @ x)


def left_out(info, x, bads, after):
    """Return correlation with the truth of every repaired channel."""
    field = learn_field_correction(info, bads)
    seen = field.matrix @ x if after else x
    truth = learn_field_correction(info).matrix @ x if after else x
    told = learn_repair(info, bads, field if after else None).matrix @ seen
    rows = field.rows(bads)
    return {n: np.corrcoef(told[i], truth[i])[0, 1] for n, i in zip(bads, rows)}


@pytest.mark.shared_data
@pytest.mark.parametrize("after", [False, True])
def test_left_out_channels_of_a_real_recording_are_told_better_than_by_mne(shared_data, after):
    import mne

    from brainforge.readers.open import open_recording

    path = shared_data / "megin306_sample_int16" / "test_raw.fif"
    info = open_recording(path).info
    raw = mne.io.read_raw_fif(path, preload=True, verbose="error").pick("meg")
    raw.drop_channels(["MEG 2443"]).filter(1, 40, verbose="error")
    info = info.pick(raw.ch_names)
    units = np.where(np.array(raw.get_channel_types()) == "mag", 1e15, 1e13)[:, None]
    x = raw.get_data() * units
    bads = tuple(np.random.default_rng(0).choice(raw.ch_names, 24, replace=False))
    ours = left_out(info, x, bads, after)
    raw.del_proj()
    if after:
        raw = mne.io.RawArray(
            learn_field_correction(info).matrix @ x / units, raw.info, verbose="error"
        )
    truth = raw.get_data()
    raw.info["bads"] = list(bads)
    told = raw.interpolate_bads(reset_bads=False, verbose="error").get_data()
    for kind, least in (("mag", 0.9), ("grad", 0.6)):
        names = [n for n in bads if info.channel(n).kind == kind]
        theirs = [np.corrcoef(told[i], truth[i])[0, 1] for i in info.rows(names)]
        mine = [ours[n] for n in names]
        assert np.median(mine) > max(least, np.median(theirs))
