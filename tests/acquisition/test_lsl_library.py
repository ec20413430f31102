"""What is asked of pylsl: that it is there, queries, clocks."""

from __future__ import annotations

import os
import subprocess
import sys

import pylsl
import pytest

from brainforge.acquisition.lsl_library import LOOK_S, Correction, clock_offset, library, predicate
from brainforge.errors import InputError


class Inlet:
    """Gives offsets when asked; TimeoutError for None."""

    def __init__(self, *answers: float | None) -> None:
        self.answers, self.asked = list(answers), []

    def time_correction(self, timeout: float) -> float:
        self.asked.append(timeout)
        answer = self.answers.pop(0) if self.answers else None
        if answer is None:
            raise pylsl.util.TimeoutError
        return answer


def test_liblsl_has_the_clock_of_monotonic_here() -> None:
    assert abs(clock_offset(pylsl)) < 1e-3


def test_the_offset_is_looked_at_every_two_seconds_and_never_waited_for() -> None:
    inlet = Inlet(None, 5.0, 6.0, 7.0)
    correction = Correction(inlet)
    correction.start(1.5)
    assert correction.offset(100.0, 0.0) == pytest.approx(6.0, abs=1e-3)
    assert correction.offset(100.0 + LOOK_S / 2, 0.0) == pytest.approx(6.0, abs=1e-3)
    assert correction.offset(100.0 + LOOK_S, 0.0) == pytest.approx(7.0, abs=1e-3)
    assert inlet.asked == [0.0, 1.5, 0.0, 0.0]


def test_where_nobody_answers_the_first_sample_counts_as_taken_when_it_came() -> None:
    correction = Correction(Inlet())
    correction.start(0.0)
    assert correction.offset(50.0, 20.0) == 30.0
    assert correction.offset(60.0, 29.9) == 30.0


def test_an_answer_that_is_forgotten_stays_in_use() -> None:
    correction = Correction(Inlet(3.0))
    assert correction.offset(10.0, 0.0) == pytest.approx(3.0, abs=1e-3)
    assert correction.offset(20.0, 0.0) == pytest.approx(3.0, abs=1e-3)


def test_queries() -> None:
    assert predicate({"name": "A", "type": "MEG"}) == "name='A' and type='MEG'"
    assert predicate({"name": "it's"}) == 'name="it\'s"'
    with pytest.raises(InputError, match="one kind of quotation mark"):
        predicate({"name": 'it\'s "so"'})


def test_without_pylsl_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(InputError, match=r"the package pylsl, got none; pip install"):
        library()


def test_a_liblsl_that_cannot_be_loaded_is_told() -> None:
    program = "from brainforge.acquisition.lsl_library import library; library()"
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True, text=True, check=False, env={**os.environ, "PYLSL_LIB": __file__},
    )  # fmt: skip
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "expected the library liblsl, got none that can be loaded" in last
