"""Pixels of DICOM files: what a file promises, whether it has that, and how it is decompressed."""

import math
import os
import struct
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.size_limits import can_unpack, coded_size

if TYPE_CHECKING:
    from pydicom.uid import UID

Array = npt.NDArray[Any]

_DENSEST = 1000  # times that a movie shrinks by compression
_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_UNCOMPRESSED = "export it without compression (Explicit VR Little Endian)"


class Layout(NamedTuple):
    """What the header promises; sizes in pixels."""

    frames: int
    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    photometric: str

    @property
    def values(self) -> int:
        """How many numbers there are."""
        return self.frames * self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """That they are kept in."""
        return np.dtype(f"{'i' if self.signed else 'u'}{math.ceil(self.allocated / 8)}")

    @property
    def range(self) -> tuple[int, int]:
        """Least and greatest that can be."""
        half = 2 ** (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


def check_syntax(path: Path, syntax: "UID | None") -> None:
    """Refuse a file that is encoded as nothing installed can read."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if not syntax:
        raise FileError(f"{path} doesn't tell how it is encoded: export it again from its source")
    name = "an unknown transfer syntax" if syntax.name == str(syntax) else syntax.name  # others have no name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise FileError(f"{path} is compressed as can't be read here ({name}): {_UNCOMPRESSED}") from None
    if syntax == DeflatedExplicitVRLittleEndian:  # its size is known only when all of it is in memory
        raise FileError(f"{path} is compressed as a whole, header included ({name}): {_UNCOMPRESSED}")
    if not decoder.is_available:
        raise FileError(f'{path} is compressed ({name}): pip install "napari-darl[dicom]", or {_UNCOMPRESSED}')


def check_pixel_data(path: Path, file: BinaryIO, syntax: "UID", layout: Layout) -> None:
    """See that the file has what its header promises; the file is at the element of the pixels, and comes back."""
    start = file.tell()
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(8)
    tag = struct.unpack(order + "HH", head[:4]) if len(head) == 8 else None
    if tag != _PIXEL_DATA:
        raise FileError(f"{path} holds no pixels, or is cut short before them: copy it again from its source")
    length = struct.unpack(order + "L", head[4:] if syntax.is_implicit_VR else file.read(4))[0]
    values = file.tell()
    there = os.fstat(file.fileno()).st_size - values
    if syntax.is_encapsulated:
        promised = layout.values * math.ceil(layout.allocated / 8)
        complete = can_unpack(there, promised, _DENSEST) and _fragments(file, there) >= layout.frames
        file.seek(values)
        complete = complete and _check_sizes(path, file, syntax, layout) == layout.frames
    else:
        samples = 2 if layout.photometric == "YBR_FULL_422" else layout.samples  # two pixels share their colours
        promised = math.ceil(layout.values // layout.samples * samples * layout.allocated / 8)
        complete = promised <= (there if length == _UNDEFINED else min(there, length))
    if not complete:
        raise FileError(f"{path} is cut short: its header promises more pixels than it has, so copy it again")
    file.seek(start)


def _fragments(file: BinaryIO, there: int) -> int:
    """Count the pieces of compressed data that are there in whole, without reading them."""
    end = file.tell() + there
    count = -1  # the first one is a table of offsets
    while len(head := file.read(8)) == 8:
        *tag, length = struct.unpack("<HHL", head)
        if tuple(tag) != _ITEM or file.tell() + length > end:
            return count if tuple(tag) == _END else -1
        file.seek(length, os.SEEK_CUR)
        count += 1
    return count if not head else -1


def _check_sizes(path: Path, file: BinaryIO, syntax: "UID", layout: Layout) -> int:
    """Count the compressed frames, and refuse any that would unpack to another size than the header tells."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    count = 0
    for frame in islice(generate_frames(file, number_of_frames=layout.frames), layout.frames):
        count += 1
        if syntax == RLELossless or frame[4:8] == b"jP  ":  # can't unpack to more; is checked by its decoder
            continue
        if coded_size(frame) != (layout.rows, layout.columns):
            raise FileError(f"{path} is damaged at frame {count}: copy it again from its source")
    return count


def decoded(path: Path, file: BinaryIO, syntax: "UID", layout: Layout, finish: Callable[[Array], Array]) -> Array:
    """Read all frames, each finished by a function before the next is read."""
    from pydicom.pixels import iter_pixels

    colours = (3,) if layout.samples == 3 else ()
    count, data = 0, np.empty(0)
    try:
        for frame in islice(iter_pixels(file), layout.frames):
            if frame.shape != (layout.rows, layout.columns, *colours) or frame.itemsize > layout.dtype.itemsize:
                raise ValueError("a frame of another kind")
            finished = finish(frame.astype(layout.dtype, copy=False))  # some decoders give fewer bytes
            if count == 0:
                data = np.empty((layout.frames, *finished.shape), finished.dtype)
            data[count] = finished
            count += 1
        if count < layout.frames:
            raise ValueError("too few frames")
    except MemoryError:
        raise
    except Exception:
        if not syntax.is_encapsulated:
            raise
        raise FileError(
            f"{path} has a frame that can't be decompressed ({syntax.name}): "
            f'pip install "napari-darl[dicom]" if that isn\'t done, copy it again, or {_UNCOMPRESSED}'
        ) from None
    return data
