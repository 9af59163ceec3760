"""Compile kernels in threads while others train."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TypeAlias

from basin_jax.devices import cores
from basin_jax.engine.kernel import Kernel
from basin_jax.interrupts import devices_are_held


# Begins to compile a kernel, and returns the seconds that it takes.
Compile: TypeAlias = Callable[[Kernel], "Future[float]"]


@contextmanager
def compiling() -> Iterator[Compile]:
    """Compile kernels in threads, as many at once as there are cores.

    At the end those that are being compiled are waited for, unless a call that was given up holds
    the devices: their turn may never come. So no process waits for these threads when it ends.
    """
    turn, begun = threading.Semaphore(cores()), list[tuple[threading.Thread, Future[float]]]()

    def begin(kernel: Kernel) -> "Future[float]":
        future = Future[float]()

        def compile_it() -> None:
            with turn:
                if future.set_running_or_notify_cancel():
                    try:
                        future.set_result(kernel.compile())
                    except BaseException as error:  # noqa: BLE001 (it is raised where it is awaited)
                        future.set_exception(error)

        thread = threading.Thread(target=compile_it, name="compile", daemon=True)
        begun.append((thread, future))
        thread.start()
        return future

    try:
        yield begin
    finally:
        for _, future in begun:
            future.cancel()
        for thread, _ in () if devices_are_held() else begun:
            thread.join()
