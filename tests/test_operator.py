"""Operators join by name, compose exactly and refuse what would be another map."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brainforge.errors import InputError
from brainforge.operator import Operator


def random_operator(names: tuple[str, ...], seed: int) -> Operator:
    rng = np.random.default_rng(seed)
    return Operator(names, rng.standard_normal((len(names), len(names))), f"step {seed}")


@settings(derandomize=True, max_examples=50, deadline=None)
@given(n=st.integers(0, 12), seed=st.integers(0, 2**31), data=st.data())
def test_composition_equals_one_after_another_in_any_channel_order(n, seed, data):
    names = tuple(f"ch{i}" for i in range(n))
    other = tuple(data.draw(st.permutations(names)))
    first, second = random_operator(names, seed), random_operator(other, seed + 1)
    x = dict(zip(names, np.random.default_rng(seed).standard_normal(n)))
    mid = dict(zip(names, first.matrix @ np.array([x[k] for k in names])))
    out = dict(zip(other, second.matrix @ np.array([mid[k] for k in other])))
    fused = second @ first
    assert fused.names == names
    np.testing.assert_allclose(
        fused.matrix @ np.array([x[k] for k in names]), [out[k] for k in names], atol=1e-12
    )


def test_composition_keeps_descriptions_and_steps_in_order():
    names = ("a", "b")
    fused = random_operator(names, 3) @ (random_operator(names, 2) @ random_operator(names, 1))
    assert fused.description == "step 1; step 2; step 3"
    assert [s["description"] for s in fused.params["steps"]] == ["step 1", "step 2", "step 3"]


def test_expand_is_identity_elsewhere_and_pick_undoes_it():
    op = random_operator(("a", "b"), 0)
    wide = op.expand(("x", "b", "y", "a"))
    x = np.arange(4.0)
    y = wide.matrix @ x
    np.testing.assert_array_equal(y[[0, 2]], x[[0, 2]])
    np.testing.assert_allclose(y[[3, 1]], op.matrix @ x[[3, 1]])
    np.testing.assert_array_equal(wide.pick(("a", "b")).matrix, op.matrix)


def test_pick_refuses_to_cut_a_dependence():
    op = Operator(("a", "b", "c"), np.array([[1.0, 0, 2], [0, 1, 0], [0, 0, 0]]))
    np.testing.assert_array_equal(op.pick(("b",)).matrix, [[1.0]])
    with pytest.raises(InputError, match="a dependence on c"):
        op.pick(("a", "b"))


def test_rank():
    v = np.ones((5, 1)) / np.sqrt(5)
    names = tuple("abcde")
    project = Operator(names, np.eye(5) - v @ v.T)
    assert project.rank == 4
    assert (project @ project).rank == 4
    assert Operator.identity(names).rank == 5
    assert Operator(names, np.zeros((5, 5))).rank == 0
    assert Operator.identity(()).rank == 0


def test_it_cannot_be_changed_and_takes_a_copy():
    m = np.eye(2)
    op = Operator(("a", "b"), m)
    m[0, 0] = 5
    assert op.is_identity
    with pytest.raises(ValueError, match="read-only"):
        op.matrix[0, 0] = 2


def test_digest_knows_names_and_numbers():
    a = Operator.identity(("a", "b"))
    assert a.digest == Operator.identity(("a", "b")).digest
    assert a.digest != Operator.identity(("b", "a")).digest
    assert a.digest != Operator(("a", "b"), 2 * np.eye(2)).digest


@pytest.mark.parametrize(
    ("names", "matrix", "text"),
    [
        (("a", "a"), np.eye(2), "unique names"),
        (("a", "b"), np.eye(3), "shape"),
        (("a",), np.array([[np.nan]]), "finite"),
    ],
)
def test_bad_matrices_are_refused(names, matrix, text):
    with pytest.raises(InputError, match=text):
        Operator(names, matrix)


def test_unknown_channels_are_refused():
    op = Operator.identity(("a", "b"))
    with pytest.raises(InputError, match="channels it knows"):
        op.pick(("z",))
    with pytest.raises(InputError, match="none named b"):
        op.expand(("a", "c"))
    with pytest.raises(InputError, match="on one side only"):
        _ = op @ Operator.identity(("a", "c"))
