"""Work that is done in threads: on the frames of a batch, for a GPU, and on what comes next."""

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

import torch

_T = TypeVar("_T")
_R = TypeVar("_R")

_MOST = 8  # threads


def threads(device: torch.device) -> int:
    """Return how many frames are prepared at once: 1 on a CPU, whose cores the network needs itself."""
    return 1 if device.type == "cpu" else min(_MOST, os.cpu_count() or 1)


def each(function: Callable[[_T], _R], items: Iterable[_T], device: torch.device) -> list[_R]:
    """Apply a function to each item, in threads if the network is on a GPU.

    NumPy and SciPy release Python's lock while they work on large arrays.

    Parameters
    ----------
    function : callable
        Must not depend on the order of its calls.
    items : iterable
        What it is applied to.
    device : torch.device
        Where the network is.

    Returns
    -------
    list
        The results, in the order of the items.
    """
    listed = list(items)
    count = min(threads(device), len(listed))
    if count <= 1:
        return [function(item) for item in listed]
    with ThreadPoolExecutor(count) as pool:  # each call in a copy of the context, where warnings find their image
        return [call.result() for call in [pool.submit(copy_context().run, function, item) for item in listed]]


def ahead(items: Iterable[_T]) -> Iterator[_T]:
    """Yield items, each made in a thread while the one before it is used.

    At most one item waits. Errors come where the item would have come; closing waits for the item that is being made.

    Examples
    --------
    >>> from napari_darl.inference.parallel import ahead
    >>> list(ahead(n * n for n in range(4)))
    [0, 1, 4, 9]
    """
    iterator, end, context = iter(items), object(), copy_context()

    def following() -> Any:
        return next(iterator, end)

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(context.run, following)
        while (item := coming.result()) is not end:
            coming = pool.submit(context.run, following)
            yield item
