"""Work on the frames of a batch side by side, while the network is on a GPU."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

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
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(function, listed))
