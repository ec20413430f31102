"""Vectors of float32 as values inside Numba kernels, as wide as the processor's registers.

LLVM alone picks half of a 512-bit register and keeps too few sums in flight; with the vector a
type of its own, a kernel says which of its values stay in registers. Only kernels that reach
for the last factor of two need this. Importing this module imports Numba.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import llvmlite.binding as llvm
from llvmlite import ir
from numba import types
from numba.core.datamodel import models
from numba.extending import intrinsic, register_model


def _features() -> Mapping[str, bool]:
    try:
        return dict(llvm.get_host_cpu_features())
    except RuntimeError:  # not known of every processor
        return {}


_FEATURES: Final = _features()
#: AVX-512 has instructions of its own for 1 / sqrt(x)
_AVX512: Final = bool(_FEATURES.get("avx512f"))
#: float32 values in a vector
WIDTH: Final = 16 if _AVX512 else 8 if _FEATURES.get("avx") else 4
#: vector registers there are
REGISTERS: Final = 16 if WIDTH == 8 else 32

FLOATS: Final = ir.VectorType(ir.FloatType(), WIDTH)
_FAST: Final = ("nnan", "nsz", "arcp", "contract")


class _VectorType(types.Type):
    """Numba's type of a vector."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{WIDTH}")


VECTOR: Final = _VectorType()


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, FLOATS)  # type: ignore[no-untyped-call]


class Emitter:
    """Writes vector instructions into a function that LLVM is building."""

    def __init__(self, builder: Any) -> None:
        self._b = builder

    def constant(self, value: float) -> Any:
        """Return a vector with ``value`` in every place."""
        return ir.Constant(FLOATS, [value] * WIDTH)

    def load(self, base: Any, index: Any) -> Any:
        """Return the vector that begins at element ``index``."""
        place = self._b.gep(base, [index])
        return self._b.load(self._b.bitcast(place, FLOATS.as_pointer()), align=4)

    def store(self, base: Any, index: Any, value: Any) -> None:
        """Write a vector to the elements from ``index`` on."""
        place = self._b.gep(base, [index])
        self._b.store(value, self._b.bitcast(place, FLOATS.as_pointer()), align=4)

    def spread(self, base: Any, index: Any) -> Any:
        """Return a vector with element ``index`` in every place."""
        nothing = ir.Constant(FLOATS, ir.Undefined)
        first = ir.Constant(ir.IntType(32), 0)
        one = self._b.insert_element(nothing, self._b.load(self._b.gep(base, [index])), first)
        places = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), None)
        return self._b.shuffle_vector(one, nothing, places)

    def add(self, x: Any, y: Any) -> Any:
        """Return x + y."""
        return self._b.fadd(x, y, flags=_FAST)

    def mul(self, x: Any, y: Any) -> Any:
        """Return x * y."""
        return self._b.fmul(x, y, flags=_FAST)

    def sub(self, x: Any, y: Any) -> Any:
        """Return x - y."""
        return self._b.fsub(x, y, flags=_FAST)

    def size(self, x: Any) -> Any:
        """Return |x|."""
        return self._of("fabs", x)

    def _of(self, name: str, x: Any) -> Any:
        """Call an LLVM function of one vector; llvmlite cannot name those by itself."""
        module, full = self._b.module, f"llvm.{name}.v{WIDTH}f32"
        function = module.globals.get(full)
        if function is None:
            function = ir.Function(module, ir.FunctionType(FLOATS, [FLOATS]), full)
        return self._b.call(function, [x])

    def positive(self, x: Any) -> Any:
        """Return where x > 0, for `add_where`."""
        return self._b.fcmp_ordered(">", x, self.constant(0.0))

    def add_where(self, test: Any, x: Any, y: Any) -> Any:
        """Return x + y where ``test`` holds, else x; one masked instruction with AVX-512."""
        return self._b.select(test, self.add(x, y), x)

    def inverse_root(self, x: Any) -> Any:
        """Return 1 / sqrt(x) to about two units in the last place; large and finite for 0.

        With AVX-512 an estimate to 14 bits and one Newton step; a division and a root take
        twice as long as all else in the kernel for seven tapers.
        """
        least = self.constant(2.0**-126)
        x = self._b.select(self._b.fcmp_ordered(">", x, least), x, least)
        if not _AVX512:
            return self._b.fdiv(self.constant(1.0), self._of("sqrt", x), flags=_FAST)
        mask = ir.IntType(16)
        kind = ir.FunctionType(FLOATS, [FLOATS, FLOATS, mask])
        estimate = self._b.module.declare_intrinsic("llvm.x86.avx512.rsqrt14.ps.512", (), kind)
        y = self._b.call(estimate, [x, self.constant(0.0), ir.Constant(mask, -1)])
        half = self.mul(self.mul(x, y), self.mul(self.constant(0.5), y))
        return self.mul(y, self.sub(self.constant(1.5), half))


def data_pointer(context: Any, builder: Any, kind: Any, array: Any) -> Any:
    """Return the address of an array's first element."""
    return context.make_array(kind)(context, builder, array).data


def unpack(builder: Any, values: Any, n: int) -> list[Any]:
    """Return the members of a uniform tuple."""
    return [builder.extract_value(values, k) for k in range(n)]


def pack(builder: Any, values: list[Any]) -> Any:
    """Return vectors as a uniform tuple."""
    out = ir.Constant(ir.ArrayType(FLOATS, len(values)), ir.Undefined)
    for k, value in enumerate(values):
        out = builder.insert_value(out, value, k)
    return out


Generated = tuple[Any, Callable[..., Any]]


def _no_sums(_typing: Any, n: Any) -> Generated:
    """Return ``n`` (a constant) vectors of zeros as a tuple."""

    def generate(_context: Any, builder: Any, _signature: Any, _args: Any) -> Any:
        return pack(builder, [Emitter(builder).constant(0.0)] * n.literal_value)

    uniform: Any = types.UniTuple
    return uniform(VECTOR, n.literal_value)(n), generate


def _add_to(_typing: Any, sums: Any, out: Any, at: Any) -> Generated:
    """Add a tuple of vectors to a flat float32 array, one after the other from ``at`` on."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit, base = Emitter(builder), data_pointer(context, builder, signature.args[1], args[1])
        for k, value in enumerate(unpack(builder, args[0], sums.count)):
            index = builder.add(args[2], ir.Constant(args[2].type, k * WIDTH))
            emit.store(base, index, emit.add(emit.load(base, index), value))
        return context.get_dummy_value()

    return types.void(sums, out, at), generate


def _widen(_typing: Any, values: Any, at: Any, add: Any, out: Any, place: Any) -> Generated:
    """Write a vector of a flat float32 array to a flat float64 one, or ``add`` it (a constant)."""
    wide = ir.VectorType(ir.DoubleType(), WIDTH)

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = data_pointer(context, builder, signature.args[0], args[0])
        target = data_pointer(context, builder, signature.args[3], args[3])
        target = builder.bitcast(builder.gep(target, [args[4]]), wide.as_pointer())
        value = builder.fpext(Emitter(builder).load(base, args[1]), wide)
        if add.literal_value:
            value = builder.fadd(builder.load(target, align=8), value)
        builder.store(value, target, align=8)
        return context.get_dummy_value()

    return types.void(values, at, add, out, place), generate


no_sums: Any = intrinsic(prefer_literal=True)(_no_sums)
add_to: Any = intrinsic(_add_to)
widen: Any = intrinsic(prefer_literal=True)(_widen)
