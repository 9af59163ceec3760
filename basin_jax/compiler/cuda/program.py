"""The program of a kernel, as its emitters leave it to the build."""

from dataclasses import dataclass

from basin_jax.compiler import ir


# Of a multiprocessor: shared memory in KiB, by compute capability, the least of those that are not
# listed, and what each block takes of it besides its own; threads; registers (CUDA C++ Programming
# Guide, "Technical specifications per compute capability").
MEMORY = {"80": 164, "86": 100, "87": 164, "89": 100, "90": 228, "100": 228, "103": 228}
LEAST_MEMORY, RESERVED = 100, 1
THREADS, REGISTERS = {"86": 1536, "87": 1536, "89": 1536, "120": 1536}, 65536
MOST_BLOCKS = 32


@dataclass(frozen=True, kw_only=True)
class Program:
    """The parts of a kernel, as CUDA C++.

    Attributes:
        tables: definitions of constants.
        body: what a block does for its seed.
        memory: bytes of shared memory.
        threads: of a block.
        barriers: of a step.
        kernel: its kind, and why it is of no better kind.
    """

    tables: list[str]
    body: list[str]
    memory: int
    threads: int
    barriers: int
    kernel: str


def most_memory(architecture: str) -> int:
    """Return the bytes of shared memory that a block may have, on an architecture as "sm_90a"."""
    return 1024 * (MEMORY.get(_capability(architecture), LEAST_MEMORY) - RESERVED)


def blocks_at_once(program: Program, architecture: str, registers: int = 0) -> int:
    """Return how many blocks a multiprocessor holds at once, by memory, threads and registers."""
    memory = most_memory(architecture) + 1024 * RESERVED
    found = min(MOST_BLOCKS, memory // (program.memory + 1024 * RESERVED))
    found = min(found, THREADS.get(_capability(architecture), 2048) // program.threads)
    if registers:
        found = min(found, REGISTERS // (program.threads * -(-registers // 8) * 8))
    return max(1, found)


def fits(memory: int, most: int) -> None:
    """Raise `Unsupported` if a seed needs more bytes of shared memory than a block may have."""
    if memory > most:
        raise ir.Unsupported(
            f"a seed that needs {memory / 1024:.0f} KiB at once; a thread block has at most "
            f"{most // 1024}"
        )


def _capability(architecture: str) -> str:
    return architecture.removeprefix("sm_").rstrip("af")
