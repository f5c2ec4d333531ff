"""Read arrays saved by NumPy, without executing anything or allocating more than the file holds."""

import os
import warnings
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array in an .npy file; raise FileError if it is damaged, cut short or holds Python objects."""
    try:
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):  # about shapes that overflow
            return _array(file)
    except Exception as error:  # a damaged header is parsed as Python, which raises nearly anything
        raise FileError(f"{path} isn't a plain array of numbers, or is cut short. Save it with numpy.save.") from error


def _array(file: BinaryIO) -> npt.NDArray[Any]:
    """Return the array in a file; raise an exception of any kind for Python objects and files that are cut short."""
    head = file.read(12)
    # NumPy allocates memory for a header of any length unchecked.
    if head[6:7] >= b"\2" and int.from_bytes(head[8:12], "little") > os.fstat(file.fileno()).st_size:
        raise ValueError("a header that is cut short")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, columns_first, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects")
    # A map can't be larger than its file, so nothing is allocated that isn't there.
    mapped = np.memmap(file, dtype, "r", file.tell(), shape, "F" if columns_first else "C")
    return np.array(mapped)
