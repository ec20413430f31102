"""Every real recording at hand is processed, or refused with a clear reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import brainforge as bf
from brainforge.errors import InputError
from brainforge.kernels.sinusoids import line_excess_db

pytestmark = pytest.mark.shared_data

PROCESSED = {
    "opm_cerca64_raw/20220623_095714.cMEG": 128,
    "kit157_1kHz/test.sqd": 157,
    "kit157_1kHz/test_5s.sqd": 157,
    "ctf275_2400Hz/test_ctf_raw.fif": 275,
    "maxfilter_erm_basic/test_move_anon_erm_raw.fif": 306,
}
REFUSED = {
    "opm_quspin_n1_lvm/quspin_N1_test_data.lvm": r"at least 1 s .* got 0\.104 s",
    "bti248_magnes/test_pdf_linux": r"at least 1 s .* got 0\.3 s",
    "eeg_eeglab32/eeglab_data.set": "at least one MEG channel",
    "eeg_brainvision_int16_1kHz/test.vhdr": "at least one MEG channel",
}


@pytest.mark.parametrize("path", PROCESSED)
def test_short_recordings_run_recipe_short(path: str, shared_data: Path) -> None:
    result = bf.process(bf.open(shared_data / path))
    assert result.recipe == "short"
    assert result.recording["n_meg"] == PROCESSED[path]
    assert np.isfinite(result.spectra.after).all()
    assert result.quality.coverage > 0.99
    assert len(result.quality.bads) < 0.05 * PROCESSED[path]


@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_processed_is_refused_in_one_line(path: str, shared_data: Path) -> None:
    recording = bf.open(shared_data / path)
    with pytest.raises(InputError, match=REFUSED[path]) as caught:
        bf.process(recording)
    assert "\n" not in str(caught.value)


def test_the_mains_lines_of_the_opm_recording_are_gone(shared_data: Path) -> None:
    result = bf.process(bf.open(shared_data / "opm_cerca64_raw/20220623_095714.cMEG"))
    bad = {b.name for b in result.quality.bads}
    good = [i for i, n in enumerate(result.spectra.channel_names) if n not in bad]
    # one window of a second holds one draw per bin: judge the mean over channels
    before = result.spectra.before[good].mean(axis=0, keepdims=True)
    after = result.spectra.after[good].mean(axis=0, keepdims=True)
    for harmonic in (50.0, 100.0, 150.0):
        assert line_excess_db(result.spectra.freqs, before, harmonic)[0] > 20
        assert line_excess_db(result.spectra.freqs, after, harmonic)[0] <= 3


def test_the_bundled_recording_and_its_original_give_the_same(shared_data: Path) -> None:
    original = bf.open(shared_data / "megin306_sample_int16/test_raw.fif")
    a, b = bf.process(original), bf.process(bf.datasets.sample())
    np.testing.assert_array_equal(a.spectra.after, b.spectra.after)
    assert a.findings == b.findings
    assert [x.name for x in a.quality.bads] == ["MEG 2443"]
