"""Run the project's CUDA sources without a GPU: compiled by g++, one thread at a time.

What it checks beside the numbers: the types of the arguments against the declared ones, writes
beyond the ends of an array, writes to what is declared const, and barriers that not all threads
of a block reach. What it cannot check: memory models, occupancy, speed.
"""

from __future__ import annotations

import ctypes
import hashlib
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from brainforge.kernels.device.launch import Constants, Grid, definitions, source

SHIM = Path(__file__).with_name("cuda_shim.h")
COMPILER = shutil.which("g++")
#: elements written before and behind every array; one that has changed afterwards was overrun
GUARD = 64
_TYPES = {
    "float": "float32", "double": "float64", "int": "int32", "unsigned": "uint32",
    "unsigned int": "uint32", "short": "int16", "long long": "int64", "unsigned char": "uint8",
    "bool": "bool", "float2": "complex64", "double2": "complex128", "int64_t": "int64",
    "signed char": "int8", "int8_t": "int8", "uint8_t": "uint8", "int16_t": "int16",
    "int32_t": "int32", "unsigned long long": "uint64", "char": "int8",
}  # fmt: skip
_FUNCTION = re.compile(
    r'extern\s+"C"\s+__global__\s+void\s+(?:__launch_bounds__\([^)]*\)\s*)?(\w+)\s*\(([^)]*)\)'
)


def functions(text: str) -> dict[str, list[tuple[str, bool, bool]]]:
    """Return the parameters (C type, is a pointer, is const) of each function of a source."""
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", text, flags=re.DOTALL)
    found = {}
    for name, inside in _FUNCTION.findall(text):
        parameters = []
        for declared in inside.split(","):
            words = declared.replace("__restrict__", " ").replace("*", " * ").split()
            const = "const" in words
            kind = " ".join(w for w in words[:-1] if w not in ("const", "*"))
            parameters.append((kind, "*" in words, const))
        found[name] = parameters
    return found


def _wrapper(name: str, parameters: list[tuple[str, bool, bool]]) -> str:
    passed = ", ".join(
        f"({kind}*)arguments[{at}]" if pointer else f"*({kind}*)arguments[{at}]"
        for at, (kind, pointer, _) in enumerate(parameters)
    )
    return (
        f"static void** arguments_{name};\n"
        f"static void body_{name}() {{ void** arguments = arguments_{name}; {name}({passed}); }}\n"
        f'extern "C" const char* run_{name}(const unsigned* grid, const unsigned* block,'
        f" void** arguments, bool barriers) {{ arguments_{name} = arguments;"
        f" emulator::body = body_{name}; return emulator::run(grid, block, barriers); }}\n"
    )


@lru_cache(maxsize=1)
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="brainforge-cuda-")


@lru_cache(maxsize=128)
def _library(text: str, constants: Constants) -> ctypes.PyDLL:
    assert COMPILER is not None
    wrappers = "".join(_wrapper(n, p) for n, p in functions(text).items())
    whole = f'#include "{SHIM}"\n{text}\n{wrappers}'
    key = hashlib.sha256(repr((whole, constants)).encode()).hexdigest()[:16]
    at = Path(_folder().name) / key
    at.with_suffix(".cpp").write_text(whole, encoding="utf-8")
    made = subprocess.run(
        [COMPILER, "-std=c++17", "-O1", "-w", "-fPIC", "-shared", *definitions(constants),
         str(at.with_suffix(".cpp")), "-o", str(at.with_suffix(".so"))],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise AssertionError(f"g++ refused the source:\n{made.stderr[:4000]}")
    # holds the interpreter's lock: shared memory is static here, so one launch at a time
    return ctypes.PyDLL(str(at.with_suffix(".so")))


def run(
    file: str,
    function: str,
    grid: Grid,
    block: Grid,
    args: Sequence[Any],
    constants: Constants,
) -> None:
    """Run a function of ``cuda/FILE.cu``; the launcher of strict arrays."""
    run_source(source(file), function, grid, block, args, constants)


def run_source(
    text: str, function: str, grid: Grid, block: Grid, args: Sequence[Any], constants: Constants
) -> None:
    """Run a function of a source on strict arrays, which are written in place."""
    parameters = functions(text)[function]
    if len(parameters) != len(args):
        raise AssertionError(f"{function} takes {len(parameters)} arguments, got {len(args)}")
    macros = dict(constants)
    parameters = [(str(macros.get(kind, kind)), *rest) for kind, *rest in parameters]
    guarded = [_Guarded(a, *p, f"{function}, argument {i}") for i, (a, p) in
               enumerate(zip(args, parameters, strict=True))]  # fmt: skip
    pointers = (ctypes.c_void_p * len(args))(*(g.address for g in guarded))
    run_it = getattr(_library(text, constants), f"run_{function}")
    run_it.restype = ctypes.c_char_p
    three = [(ctypes.c_uint * 3)(*(*part, 1, 1)[:3]) for part in (grid, block)]
    if np.prod(block) > 1024:
        raise AssertionError(f"{function}: {block} is more than 1024 threads a block")
    failure = run_it(*three, pointers, "__sync" in text)
    if failure:
        raise AssertionError(f"{function}: {failure.decode()}")
    for one in guarded:
        one.close()


class _Guarded:
    """An argument in memory of its own, with guards around it."""

    def __init__(self, value: Any, kind: str, pointer: bool, const: bool, where: str) -> None:
        self.where, self.const, self.pointer = where, const, pointer
        self.target = value._array if pointer else np.asarray(value)
        if str(self.target.dtype) != _TYPES[kind]:
            raise AssertionError(f"{where}: declared {kind}, got {self.target.dtype}")
        if pointer and not self.target.flags.c_contiguous:
            raise AssertionError(f"{where}: not C-contiguous")
        flat = self.target.reshape(-1)
        fill = np.full(GUARD, 85, flat.dtype) if flat.dtype.kind in "iub" else np.full(
            GUARD, np.nan, flat.dtype)  # fmt: skip
        self.memory = np.concatenate([fill, flat, fill])
        self.before = self.memory.copy()
        self.address = self.memory[GUARD:].ctypes.data

    def close(self) -> None:
        size = self.target.size
        same = self.memory.view(np.uint8) == self.before.view(np.uint8)
        item = self.memory.itemsize
        if not (same[: GUARD * item].all() and same[(GUARD + size) * item :].all()):
            raise AssertionError(f"{self.where}: written beyond its ends")
        if self.const and not same.all():
            raise AssertionError(f"{self.where}: declared const and written")
        if self.pointer and not self.const:
            self.target[...] = self.memory[GUARD : GUARD + size].reshape(self.target.shape)
