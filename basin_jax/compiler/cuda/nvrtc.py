"""NVRTC, the compiler of CUDA C++ that comes with JAX for CUDA: it needs no GPU."""

import contextlib
import ctypes
import ctypes.util
import functools
import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from basin_jax.compiler.ir import Unsupported


# As for CPUs, no option lets the compiler reorder sums; a product and a sum may be one operation.
# Roots and quotients are as accurate as XLA's own on a GPU: to two units in the last place.
OPTIONS = (
    *("--std=c++17", "--device-as-default-execution-space", "--ptxas-options=-v"),
    *("--prec-div=false", "--prec-sqrt=false"),
)


class Binary(NamedTuple):
    """A compiled kernel, the PTX that it was made from, and the compiler's log."""

    image: bytes
    ptx: str
    log: str

    @property
    def registers(self) -> int:
        """The registers of a thread."""
        return self._told(r"Used (\d+) registers")

    @property
    def spilled(self) -> int:
        """Bytes that a thread writes to memory since registers do not suffice."""
        return self._told(r"(\d+) bytes spill stores")

    def _told(self, pattern: str) -> int:
        return int(re.findall(pattern, self.log)[-1])


def compile_kernel(source: str, *, headers: dict[str, str], architecture: str) -> Binary:
    """Compile CUDA C++, with headers by name, for an architecture such as "sm_90".

    Raises:
        Unsupported: where there is no NVRTC, or it refuses the program, with the reason.
    """
    library = _library()
    program = ctypes.c_void_p()
    names, texts = (_strings(list(some)) for some in (headers, headers.values()))
    _check(
        library.nvrtcCreateProgram(
            ctypes.byref(program), source.encode(), b"steps.cu", len(headers), texts, names
        )
    )
    options = _strings([f"--gpu-architecture={architecture}", *OPTIONS])
    try:
        code = library.nvrtcCompileProgram(program, len(options), options)
        log = _text(library, program, "ProgramLog").decode()
        if code:
            raise Unsupported(f"NVRTC refuses the program: {log[:500]}")
        ptx = _text(library, program, "PTX").decode()
        return Binary(_text(library, program, "CUBIN"), ptx, log)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


@functools.cache
def version() -> tuple[int, int]:
    """Return NVRTC's version.

    Raises:
        Unsupported: where there is none.
    """
    major, minor = ctypes.c_int(), ctypes.c_int()
    _check(_library().nvrtcVersion(ctypes.byref(major), ctypes.byref(minor)))
    return major.value, minor.value


@functools.cache
def _library() -> Any:
    for name in _candidates():
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise Unsupported("no NVRTC, which JAX for CUDA brings (the extra cuda)")


def _candidates() -> Iterator[str]:
    found = importlib.util.find_spec("nvidia")
    for folder in (found.submodule_search_locations or []) if found else []:
        for path in sorted(Path(folder).rglob("libnvrtc.so.*")):
            # It opens these by name, which finds them only where they are open already.
            for part in path.parent.glob("libnvrtc-builtins.so.*"):
                with contextlib.suppress(OSError):
                    ctypes.CDLL(str(part))
            yield str(path)
    yield ctypes.util.find_library("nvrtc") or "libnvrtc.so"


def _strings(texts: list[str]) -> Any:
    return (ctypes.c_char_p * len(texts))(*(text.encode() for text in texts))


def _text(library: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    text = ctypes.create_string_buffer(size.value)
    _check(getattr(library, f"nvrtcGet{what}")(program, text))
    return text.raw


def _check(code: int) -> None:
    if code:
        raise Unsupported(f"NVRTC fails with its error {code}")
