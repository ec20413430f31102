"""Every twin of every kernel equals the float64 reference: CPU, two fake devices, a real GPU.

On the fake device the portable bodies run on strict arrays, which nothing leaves unseen; on the
mirror on arrays that follow NumPy as CuPy's do. The CUDA sources run in an emulator on both. They
prove the arithmetic and the calls, not the hardware.
"""

from __future__ import annotations

from inspect import signature

import numpy as np
import pytest

from brainforge.errors import KernelInputError
from brainforge.kernels.dispatch import catalogue
from tests.emulator.cuda import COMPILER
from tests.emulator.mirror import mirror_device
from tests.emulator.strict import fake_device, put
from tests.kernels.conformance.harness import SEED, assert_close, cases, outputs, placed, run


def _gpu() -> bool:
    try:
        import cupy
    except ImportError:
        return False
    return bool(cupy.cuda.is_available())


CASES = cases()
PLACES = ("cpu", "fake", "mirror", "cuda") if _gpu() else ("cpu", "fake", "mirror")
ALL = [
    pytest.param(name, place, size, id=f"{name}-{place}-{size}")
    for name, case in CASES.items()
    for place in PLACES
    if place in (*case.places, "cuda")
    for size in (case.sizes if place != "mirror" else sorted({min(case.sizes), max(case.sizes)}))
]
LARGEST = [
    pytest.param(name, place, id=f"{name}-{place}")
    for name, case in CASES.items()
    for place in PLACES
    if case.layouts and place in (*case.places, "cuda")
]


@pytest.fixture(autouse=True)
def device():
    with fake_device(), mirror_device():
        yield


def _ready(name: str, place: str):
    case = CASES[name]
    row = next(r for r in catalogue() if r.name == case.kernel)
    if place in ("fake", "mirror") and row.raw and COMPILER is None:
        pytest.skip("no g++ here: the CUDA sources cannot be run by the emulator")
    return case


@pytest.mark.parametrize("name, place, size", ALL)
def test_equals_the_reference(name, place, size):
    case = _ready(name, place)
    args, kwargs = case.draw(size)
    wanted = case.reference(*args, **kwargs)
    args, kwargs = case.draw(size)
    got = run(case, placed(case, args, place), kwargs)
    assert_close(case, got, wanted, f"{name} on {place}, seed {[SEED, size]}")


def _strided(array):
    wide = np.full([2 * n for n in array.shape], 7, dtype=array.dtype)
    view = wide[tuple(slice(0, None, 2) for _ in array.shape)]
    view[...] = array
    return view


def _device_strided(array):
    """Return the same values on the device as every other element of a wider array."""
    wide = np.full([2 * n for n in array.shape], 7, dtype=array.dtype)
    cut = tuple(slice(0, None, 2) for _ in array.shape)
    wide[cut] = array
    return wide, cut


@pytest.mark.parametrize("name, place", LARGEST)
def test_layout_does_not_matter(name, place):
    case = _ready(name, place)
    args, kwargs = case.draw(max(case.sizes))
    wanted = case.reference(*args, **kwargs)
    if place == "cpu":
        for layout in (np.asfortranarray, _strided, lambda a: a[::-1].copy()[::-1]):
            args, kwargs = case.draw(max(case.sizes))
            other = tuple(
                layout(a) if i in case.data and isinstance(a, np.ndarray) else a
                for i, a in enumerate(args)
            )
            assert_close(case, run(case, other, kwargs), wanted, f"{name}, {layout}")
        return
    args, kwargs = case.draw(max(case.sizes))
    moved = []
    for i, a in enumerate(args):
        if i in case.data and isinstance(a, np.ndarray):
            wide, cut = _device_strided(a)
            a = placed(case, (*args[:i], wide), place)[i][cut]
        moved.append(a)
    assert_close(case, run(case, tuple(moved), kwargs), wanted, f"{name} on {place}, strided")


@pytest.mark.parametrize("name", CASES)
def test_results_are_of_the_same_type_everywhere(name):
    """A NumPy scalar among float32 arrays would widen them on CuPy."""
    case = _ready(name, "mirror")
    kinds = []
    for place in ("cpu", "mirror"):
        args, kwargs = case.draw(max(case.sizes))
        found = outputs(run(case, placed(case, args, place), kwargs))
        kinds.append({key: value.dtype for key, value in found.items()})
    assert kinds[0] == kinds[1]


@pytest.mark.parametrize("name", CASES)
def test_inputs_are_left_alone(name):
    """Read-only inputs are accepted and hold the same values afterwards."""
    case = CASES[name]
    args, kwargs = case.draw(max(case.sizes))
    data = [args[i] for i in case.data if isinstance(args[i], np.ndarray)]
    before = [a.copy() for a in data]
    for array in data:
        array.flags.writeable = False
    run(case, args, kwargs)
    for was, now in zip(before, data, strict=True):
        np.testing.assert_array_equal(was, now)


def _checked_arguments():
    """Yield what `takes` declares of the kernels that are tried by their own names."""
    rows = {row.name: row for row in catalogue()}
    for name, case in CASES.items():
        own = f"{case.function.__module__}.{case.function.__qualname__}"
        if own.removeprefix("brainforge.kernels.") == case.kernel:
            for argument, _ in rows[case.kernel].takes:
                yield pytest.param(name, argument, id=f"{name}-{argument}")


@pytest.mark.parametrize("place", ["cpu", "fake"])
@pytest.mark.parametrize("wrong", [np.zeros(()), np.zeros((2, 3), np.uint8), "text"])
@pytest.mark.parametrize("name, argument", list(_checked_arguments()))
def test_another_kind_of_array_is_refused_by_name(name, argument, wrong, place):
    case = _ready(name, place)
    args, kwargs = case.draw(max(case.sizes))
    at = list(signature(case.function).parameters).index(argument)
    changed = list(placed(case, args, place))
    if at >= len(changed):
        pytest.skip("the case leaves this optional argument out")
    move = isinstance(wrong, np.ndarray) and place == "fake" and at in case.data
    changed[at] = put(wrong) if move else wrong
    with pytest.raises(KernelInputError, match=rf"^{argument}: expected .*, got ") as caught:
        case.function(*changed, **kwargs)
    assert caught.value.where == argument


def test_every_kernel_with_a_twin_has_a_case():
    tried = {case.kernel for case in CASES.values()}
    declared = {row.name for row in catalogue() if row.device}
    assert declared - tried == set(), "declare a case in tests/kernels/conformance/cases"
    assert tried - {row.name for row in catalogue()} == set(), "a case of no kernel"


def test_tolerances_are_the_declared_ones():
    rows = {row.name: row for row in catalogue()}
    for name, case in CASES.items():
        assert case.tolerance <= rows[case.kernel].tolerance, name


def test_small_sizes_are_tried_or_refused_with_a_reason():
    for name, case in CASES.items():
        assert {0, 1} <= set(case.sizes) or case.refused, name


def test_a_gpu_or_a_word_about_it():
    if "cuda" not in PLACES:
        pytest.skip("no CUDA device here: the twins have run in the emulator, not on hardware")
