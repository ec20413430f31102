"""Regions against the sensor groups that come with MNE for the MEGIN helmet."""

import numpy as np

from brainforge.findings.geometry import DEFAULT_CENTRE, flat_map, helmet_centre
from brainforge.findings.regions import REGIONS, regions
from brainforge.findings.sites import preferred_kind, sites_of
from brainforge.info import Channel, Info
from tests.report.make_result import make_info

GROUPS = {
    "Left-frontal": "frontal",
    "Right-frontal": "frontal",
    "Left-temporal": "left_temporal",
    "Right-temporal": "right_temporal",
    "Left-parietal": "parietal",
    "Right-parietal": "parietal",
    "Left-occipital": "occipital",
    "Right-occipital": "occipital",
}


def test_agrees_with_the_makers_groups(shared_data):
    import mne

    mne_info = mne.io.read_info(
        shared_data / "megin306_sample_int16" / "test_raw.fif", verbose="error"
    )
    channels = tuple(
        Channel(c["ch_name"], "mag", position=tuple(float(v) for v in c["loc"][:3]))
        for c in mne_info["chs"]
        if c["kind"] == 1 and c["ch_name"].endswith("1")
    )
    trans = tuple(tuple(row) for row in mne_info["dev_head_t"]["trans"].tolist())
    info = Info(600.0, channels, dev_head_t=trans)
    found = regions(info, info.names)
    agree = []
    for group, region in GROUPS.items():
        members = {n.replace(" ", "") for n in mne.read_vectorview_selection(group)}
        for name in info.names:
            if name.replace(" ", "") in members:
                # the maker's parietal groups hold the central sensors too
                same = {"parietal", "central"} if region == "parietal" else {region}
                agree.append(found[name] in same)
    assert len(agree) == 102
    assert np.mean(agree) >= 0.9


def test_sides_are_not_swapped():
    info = make_info()
    found = regions(info, info.names)
    assert set(found.values()) == set(REGIONS)
    for name, region in found.items():
        x = info.channel(name).position[0]
        if region == "left_temporal":
            assert x < 0
        if region == "right_temporal":
            assert x > 0


def test_none_without_geometry():
    info = make_info(geometry=False)
    assert regions(info, info.names) == {}


def test_centre_of_a_sphere_and_of_too_few():
    rng = np.random.default_rng(3)
    d = rng.normal(size=(60, 3))
    d[:, 2] = np.abs(d[:, 2])
    points = [0.004, 0.01, 0.05] + 0.11 * d / np.linalg.norm(d, axis=1, keepdims=True)
    np.testing.assert_allclose(helmet_centre(points), [0.004, 0.01, 0.05], atol=1e-9)
    np.testing.assert_array_equal(helmet_centre(points[:5]), DEFAULT_CENTRE)
    np.testing.assert_array_equal(helmet_centre(points * 40), DEFAULT_CENTRE)


def test_flat_map_has_the_nose_up():
    points = DEFAULT_CENTRE + 0.1 * np.array([[0, 1.0, 0], [1.0, 0, 0], [0, 0, 1.0]])
    np.testing.assert_allclose(flat_map(points), [[0, 1], [1, 0], [0, 0]], atol=1e-9)


def test_pairs_are_one_site():
    info = make_info("vectorview", nasty=False)
    sites = sites_of(info, info.names, "grad")
    assert len(sites.members) == 102
    assert {len(m) for m in sites.members} == {2}
    power = np.arange(306.0)
    got = sites.power(info.names, power)
    np.testing.assert_allclose(got[0], (1 + 2) / 2)
    assert preferred_kind(info, info.names) == "grad"
    marked = info.with_bads([sites.members[0][0]])
    assert len(sites_of(marked, info.names, "grad").members[0]) == 1
