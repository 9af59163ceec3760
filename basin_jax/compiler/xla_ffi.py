"""Generated C++ as an operation of XLA: compiled once by the machine's compiler, and kept."""

import atexit
import ctypes
import functools
import hashlib
import os
import platform
import re
import resource
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from basin_jax.compiler.ir import Unsupported
from basin_jax.devices import cache_directory, cpu_model
from basin_jax.files import is_private, read_file, stage, sweep, sync, write_file


FFI, FUNCTIONS = (Path(__file__).with_name(name) for name in ("ffi.h", "functions.h"))
# No option here lets a compiler reorder sums or forget that a number may not be one.
FLAGS = (
    *("-O3", "-march=native", "-std=c++17", "-fPIC", "-shared", "-ffp-contract=fast"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wno-psabi"),
    *(("-mprefer-vector-width=512",) if platform.machine() in ("x86_64", "AMD64") else ()),
)
PROGRAM_BYTES, HASH_BYTES = 2**28, 64
PATIENCE = 120  # seconds of the CPU that a compiler may take, however busy the machine
WAIT = 900  # seconds of the clock, for a compiler that waits and takes nothing of the CPU
# The shell sets the limit, which the compiler's own processes inherit: not Python, which would have
# to fork with threads running.
LIMITED = ("/bin/sh", "-c", 'ulimit -S -t "$0" && exec "$@"')
EXCEEDED = re.compile("cpu ?time limit exceeded", re.IGNORECASE)


@dataclass(frozen=True, eq=False, kw_only=True)
class Steps:
    """A step that is compiled to an operation on blocks of seeds.

    Attributes:
        run: a function of (number of each seed's first step, how many steps, fixed arrays, state)
            to the state, where each array has a leading axis of seeds.
        kernel: the kind of a GPU's kernel, and why it is of no better kind; or nothing.
        at_once: how many seeds a multiprocessor of a GPU trains at once; 0 if that is not known.
    """

    run: Callable[..., Any]
    kernel: str = ""
    at_once: int = 0

    def __call__(self, *arguments: Any) -> Any:
        """Take steps."""
        return self.run(*arguments)


@functools.cache
def compiler() -> tuple[str, str]:
    """Return the C++ compiler's path and version.

    Raises:
        Unsupported: where there is none.
    """
    for name in filter(None, (os.environ.get("CXX"), "g++", "clang++", "c++")):
        path = shutil.which(name)
        if path:
            said = _run([path, "--version"], path)
            return path, said.stdout.partition("\n")[0]
    raise Unsupported("no C++ compiler (g++ or clang++) is on the path")


@functools.cache
def operation(source: str, headers: tuple[Path, ...], device: str = "cpu") -> str:
    """Compile a program, unless it is cached, register it with XLA, and return its name.

    Args:
        source: the C++ of a program that exports `steps`.
        headers: the files that it includes.
        device: the platform that runs it, as XLA names it.

    Raises:
        Unsupported: where it cannot be compiled or kept, with the reason.
    """
    _, version = compiler()
    texts = [path.read_text() for path in (FFI, FUNCTIONS, *headers)]
    said = [source, *texts, version, *FLAGS, cpu_model(), jax.__version__]
    name = f"basin_jax_{hashlib.sha256('|'.join(said).encode()).hexdigest()[:16]}"
    file = programs_folder() / f"{name}.so"
    try:
        if not is_sound(file):
            _compile(source, [path.parent for path in (FFI, *headers)], file)
        handler = ctypes.CDLL(str(file)).steps
    except OSError as error:
        raise Unsupported(f"programs cannot be kept in {file.parent} and run: {error}") from error
    jax.ffi.register_ffi_target(name, jax.ffi.pycapsule(handler), platform=device)
    return name


@functools.cache
def programs_folder() -> Path:
    """Return the folder of compiled programs, which nobody else can write to.

    If others can write to the one in the cache, it is a temporary folder of this process.

    Raises:
        Unsupported: where there is no place for it.
    """
    folder = cache_directory() / "programs"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        if is_private(folder):
            sweep(folder)
            return folder
        warnings.warn(
            f"{folder} is another user's or others may write to it, so that programs are compiled "
            "anew in each process; allowed: a folder of mode 700 of your own",
            stacklevel=2,
        )
        own = tempfile.mkdtemp(prefix="basin_jax-")
    except OSError as error:
        raise Unsupported(f"programs cannot be kept in {folder}: {error}") from error
    atexit.register(shutil.rmtree, own, ignore_errors=True)
    return Path(own)


def is_sound(file: Path) -> bool:
    """Return True if a compiled program matches the hash beside it."""
    try:
        private = is_private(file)
        content = read_file(file, at_most=PROGRAM_BYTES)
        stored = read_file(hash_beside(file), at_most=HASH_BYTES)
    except (OSError, ValueError):
        return False
    return private and stored == hash_of(content)


def hash_beside(file: Path) -> Path:
    return file.with_suffix(".sha256")


def hash_of(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def steps_of(name: str, *, kernel: str = "", at_once: int = 0) -> Steps:
    """Return the steps that an operation takes; see `Steps`."""

    def run(numbers, count, fixed, state):
        shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in state]
        return jax.ffi.ffi_call(name, shapes)(count, numbers, *fixed, *state)

    return Steps(run=run, kernel=kernel, at_once=at_once)


def _compile(source: str, includes: Sequence[Path], file: Path) -> None:
    path, version = compiler()
    text, staged = stage(file.parent, f"{file.stem}.cc"), stage(file.parent, file.name)
    text.write_text(source)
    options = [f"-I{folder}" for folder in dict.fromkeys([*includes, jax.ffi.include_dir()])]
    seconds = _patience()
    command = [*LIMITED, str(seconds), path, *FLAGS, *options, str(text), "-o", str(staged)]
    try:
        done = _run(command, path)
    finally:
        text.unlink()
    if done.returncode and EXCEEDED.search(done.stderr):
        raise Unsupported(f"{version} took longer than {seconds} s of the CPU")
    if done.returncode:
        raise Unsupported(f"{version} refuses the program: {done.stderr[:500]}")
    staged.chmod(0o700)
    content = staged.read_bytes()
    # After a crash between the two the hash is another's, and the program is compiled anew.
    sync(staged)
    staged.replace(file)
    write_file(hash_beside(file), hash_of(content))


def _patience() -> int:
    """Return the seconds of the CPU that a compiler may take: fewer where the system allows fewer.

    At its own limit the system kills, and says nothing of why.
    """
    _, most = resource.getrlimit(resource.RLIMIT_CPU)
    return PATIENCE if most == resource.RLIM_INFINITY else max(1, min(PATIENCE, most - 1))


def _run(command: Sequence[str], compiler: str) -> subprocess.CompletedProcess[str]:
    """Run a compiler, whose messages are in English.

    Raises:
        Unsupported: if it does not end.
    """
    english = {**os.environ, "LC_ALL": "C"}
    try:
        return subprocess.run(command, capture_output=True, text=True, env=english, timeout=WAIT)
    except subprocess.TimeoutExpired:
        raise Unsupported(f"{compiler} took longer than {WAIT} s") from None
