"""Read arrays saved by NumPy, without executing anything or allocating more than the file holds."""

import io
import math
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.size_limits import can_unpack


def read_npy(path: Path) -> npt.NDArray[Any]:
    """Return the array in an .npy file; raise FileError if it is damaged, cut short or holds Python objects."""
    try:
        with path.open("rb") as file, warnings.catch_warnings(action="ignore"):  # about shapes that overflow
            shape, order, dtype = _header(file, path.stat().st_size)
            # A map can't be larger than its file, so nothing is allocated that isn't there.
            return np.array(np.memmap(file, dtype, "r", file.tell(), shape, order))
    except Exception as error:  # a damaged header is parsed as Python, which raises nearly anything
        raise FileError(f"{path} isn't a plain array of numbers, or is cut short. Save it with numpy.save.") from error


def read_npz(path: Path, wanted: Callable[[str], bool] = lambda _: True) -> dict[str, npt.NDArray[Any]]:
    """Return the arrays in an .npz file by their names, or those whose names are wanted.

    Raises
    ------
    FileError
        If it is missing or damaged, or holds anything but plain arrays.
    """
    try:
        with zipfile.ZipFile(path) as archive, warnings.catch_warnings(action="ignore"):
            members = {one.filename.removesuffix(".npy"): one for one in archive.infolist()}
            return {name: _unpacked(archive, one) for name, one in members.items() if wanted(name)}
    except Exception as error:  # as above, and decompressors have errors of their own
        raise FileError(f"{path} isn't an archive of plain arrays, or is damaged. Copy it again.") from error


def _unpacked(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> npt.NDArray[Any]:
    if not can_unpack(member.compress_size, member.file_size):
        raise ValueError("it can't unpack to that much")
    content = archive.read(member)
    file = io.BytesIO(content)
    shape, order, dtype = _header(file, len(content))
    return np.frombuffer(content, dtype, math.prod(shape), file.tell()).reshape(shape, order=order)


def _header(file: BinaryIO, size: int) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """Return shape, order and type of the array in a file; raise an exception of any kind if it has none."""
    head = file.read(12)
    # NumPy allocates memory for a header of any length unchecked.
    if head[6:7] >= b"\2" and int.from_bytes(head[8:12], "little") > size:
        raise ValueError("a header that is cut short")
    file.seek(0)
    version = np.lib.format.read_magic(file)
    read_header = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}
    shape, columns_first, dtype = read_header[version](file)
    if dtype.hasobject:
        raise ValueError("Python objects")
    return shape, "F" if columns_first else "C", dtype
