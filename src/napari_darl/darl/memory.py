"""How the C library keeps memory for later use."""

import ctypes
from functools import lru_cache

_MEBIBYTE = 2**20
# Parameters of glibc's mallopt, from malloc.h.
_OPTIONS = {
    -3: 32 * _MEBIBYTE,  # M_MMAP_THRESHOLD: larger blocks are taken from the system each time
    -1: 128 * _MEBIBYTE,  # M_TRIM_THRESHOLD: more freed memory than that is given back to the system
    -2: 64 * _MEBIBYTE,  # M_TOP_PAD: what else the pools of threads give back at once
}


@lru_cache(maxsize=1)
def keep_freed_memory() -> bool:
    """Make glibc keep up to 128 MiB of freed memory for the next features, for the rest of the process.

    Otherwise it gives freed features back to the system, which fills each page with zeros when it is used again: up to
    a sixth of the time that a frame takes. Dask's workers are set to give back nearly all of it.

    Returns
    -------
    bool
        Whether the C library does so. Others than glibc have no such options.

    Examples
    --------
    >>> keep_freed_memory() in (True, False)
    True
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return all(mallopt(option, size) for option, size in _OPTIONS.items())
