"""The halves of a step's work at the same time, in two threads that share the processor's cores.

Operations on small features hardly gain from a second core: with two, a step of `lite` takes .83 of the time that it
takes with one. Two halves of the step, on one core each, take .63 (docs/results.md).
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from threading import Barrier, Lock
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")
_R = TypeVar("_R")
_S = TypeVar("_S")

_LOCK = Lock()  # Halves may wait for each other, so those of another run must not take a thread from them.


def in_halves(
    first: Callable[[], _T], second: Callable[[], _R], last: Callable[[], _S], at_once: bool
) -> tuple[_T, _R, _S]:
    """Call three functions, and return their results.

    Parameters
    ----------
    first, second, last : callable
        Called one after the other or, if `at_once`, `first` and then `last` at the same time as `second`.
    at_once : bool
        Whether they are called at the same time, with half of the threads of this thread's operations each.
    """
    if not at_once:
        return first(), second(), last()
    with _LOCK:
        pool = _pool(torch.get_num_threads())
        halves: list[Future[Any]] = [pool.submit(lambda: (first(), last())), pool.submit(second)]
        wait(halves)  # both, so that none is at work after an error in the other
    (of_first, of_last), of_second = halves[0].result(), halves[1].result()
    return of_first, of_second, of_last


@lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    """Return two threads, whose operations have half of a number of threads each."""
    pool = ThreadPoolExecutor(2, "napari-darl-half")
    started = Barrier(2)

    def start() -> None:
        torch.get_num_threads()  # A thread's first operation would set its number; now it has been.
        torch.set_num_threads(threads // 2)
        started.wait()  # otherwise, one thread might start twice

    wait([pool.submit(start), pool.submit(start)])
    torch.set_num_threads(threads)  # threads to come take the number that was set last
    return pool
