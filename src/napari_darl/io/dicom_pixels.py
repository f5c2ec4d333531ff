"""Check and decode the pixels of DICOM files."""

import math
import os
import struct
from collections.abc import Callable, Iterable
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

_MAX_RATIO = 1000  # of compression
_PIXEL_DATA = (0x7FE0, 0x0010)
_ITEM, _END = (0xFFFE, 0xE000), (0xFFFE, 0xE0DD)
_UNDEFINED = 0xFFFFFFFF
_STARTS = (b"\xff\xd8", b"\xff\x4f\xff\x51")  # of JPEG and JPEG-LS, and of JPEG 2000
_UNCOMPRESSED = "xport it without compression (Explicit VR Little Endian)."


class Layout(NamedTuple):
    """The layout of pixels as the header declares it; sizes in pixels."""

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
        """Number of values in all frames."""
        return self.frames * self.rows * self.columns * self.samples

    @property
    def dtype(self) -> np.dtype[Any]:
        """Smallest integer type that holds the allocated bits."""
        return np.dtype(f"{'i' if self.signed else 'u'}{math.ceil(self.allocated / 8)}")

    @property
    def range(self) -> tuple[int, int]:
        """Representable range."""
        half = 2 ** (self.stored - 1)
        return (-half, half - 1) if self.signed else (0, 2 * half - 1)


def check_syntax(path: Path, syntax: "UID | None") -> "UID":
    """Return the transfer syntax, and refuse one that no installed package can decode."""
    from pydicom.pixels import get_decoder
    from pydicom.uid import DeflatedExplicitVRLittleEndian

    if not syntax:
        raise FileError(f"{path} doesn't name its transfer syntax. Export it again from its source.")
    name = "an unknown transfer syntax" if syntax.name == str(syntax) else syntax.name  # only known ones have a name
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise FileError(f"{path} has a compression that isn't supported ({name}). E{_UNCOMPRESSED}") from None
    if syntax == DeflatedExplicitVRLittleEndian:  # its size is known only after all of it is decoded
        raise FileError(f"{path} is compressed as a whole, header included ({name}). E{_UNCOMPRESSED}")
    if not decoder.is_available:
        install = 'Install its decoder (pip install "napari-darl[dicom]")'
        raise FileError(f"{path} is compressed ({name}). {install}, or e{_UNCOMPRESSED}")
    return syntax


def check_pixel_data(path: Path, file: BinaryIO, syntax: "UID", layout: Layout) -> int:
    """Check that the file holds the pixels that its header promises, without decoding them.

    An uncompressed file needs as many bytes as its frames have values. A compressed one needs complete fragments, at
    least as many frames as declared, and streams that declare the same height and width as the header.

    Parameters
    ----------
    path : Path
        The file's name, for messages.
    file : BinaryIO
        The open file, at the element PixelData; its position is restored.
    syntax : UID
        Transfer syntax.
    layout : Layout
        What the header declares.

    Returns
    -------
    int
        Number of frames that the file holds: at least as many as declared.

    Raises
    ------
    FileError
        If pixels are missing or damaged.
    """
    start = file.tell()
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(8)
    tag = struct.unpack(order + "HH", head[:4]) if len(head) == 8 else None
    if tag != _PIXEL_DATA:
        raise FileError(f"{path} holds no pixels, or is cut short before them. Copy it again from its source.")
    length = struct.unpack(order + "L", head[4:] if syntax.is_implicit_VR else file.read(4))[0]
    values = file.tell()
    available = os.fstat(file.fileno()).st_size - values
    if syntax.is_encapsulated:
        promised = layout.values * math.ceil(layout.allocated / 8)
        stored = _stored_frames(file, available, syntax)
        complete = can_unpack(available, promised, _MAX_RATIO) and stored >= layout.frames
        file.seek(values)
        complete = complete and _check_sizes(path, file, syntax, layout._replace(frames=stored)) == stored
    else:
        samples = 2 if layout.photometric == "YBR_FULL_422" else layout.samples  # two pixels share their chroma
        bits = layout.rows * layout.columns * samples * layout.allocated
        stored = 8 * (available if length == _UNDEFINED else min(available, length)) // bits
        complete = stored >= layout.frames
    if not complete:
        raise FileError(f"{path} is cut short: its header promises more pixels than it has. Copy it again.")
    file.seek(start)
    return stored


def _stored_frames(file: BinaryIO, available: int, syntax: "UID") -> int:
    """Return the number of compressed frames, without decoding them; -1 unless all fragments are complete.

    A frame may be split into several fragments. It begins where a fragment has the first marker of a stream. Frames of
    run-length encoding are never split.
    """
    from pydicom.uid import RLELossless

    end = file.tell() + available
    count, items = 0, 0
    while len(head := file.read(8)) == 8:
        *tag, length = struct.unpack("<HHL", head)
        if tuple(tag) != _ITEM or file.tell() + length > end:
            return count if tuple(tag) == _END else -1
        begin = file.read(min(length, 8))
        file.seek(length - len(begin), os.SEEK_CUR)
        if items:  # the first item is a table of offsets
            count += syntax == RLELossless or begin.startswith(_STARTS) or begin[4:8] == b"jP  "
        items += 1
    return count if not head else -1


def _check_sizes(path: Path, file: BinaryIO, syntax: "UID", layout: Layout) -> int:
    """Return the number of compressed frames, and refuse any that declares another size than the header."""
    from pydicom.encaps import generate_frames
    from pydicom.uid import RLELossless

    count = 0
    for frame in islice(generate_frames(file, number_of_frames=layout.frames), layout.frames):
        count += 1
        if syntax == RLELossless or frame[4:8] == b"jP  ":  # its decoder checks it
            continue
        if coded_size(frame) != (layout.rows, layout.columns):
            raise FileError(f"{path} is damaged at frame {count}. Copy it again from its source.")
    return count


def decoded(path: Path, file: BinaryIO, syntax: "UID", layout: Layout, finish: Callable[[Array], Array]) -> Array:
    """Decode all frames, and apply `finish` to each before the next is decoded."""
    colours = (3,) if layout.samples == 3 else ()
    count, data = 0, np.empty(0)
    try:
        for frame in islice(_raw_frames(file, syntax, layout), layout.frames):
            if frame.shape != (layout.rows, layout.columns, *colours) or frame.itemsize > layout.dtype.itemsize:
                raise ValueError("a frame of another shape or type")
            finished = finish(_pixel_bits(frame.astype(layout.dtype, copy=False), layout))
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
            f"{path} has a frame that can't be decoded ({syntax.name}). "
            f'Install all decoders (pip install "napari-darl[dicom]"), copy it again, or e{_UNCOMPRESSED}'
        ) from None
    return data


def _raw_frames(file: BinaryIO, syntax: "UID", layout: Layout) -> Iterable[Array]:
    """Return the decoded frames, one after the other unless they are bits that don't begin at whole bytes."""
    from pydicom.pixels import iter_pixels, pixel_array

    options: dict[str, Any] = {"transfer_syntax_uid": syntax, "number_of_frames": layout.frames}
    if layout.allocated == 1 and layout.rows * layout.columns % 8 and not syntax.is_encapsulated:
        return pixel_array(file, **options).reshape(layout.frames, layout.rows, layout.columns)
    return iter_pixels(file, **options)


def _pixel_bits(frame: Array, layout: Layout) -> Array:
    """Return a frame without the bits above the stored ones, which may hold overlays, and with the sign extended."""
    unused = frame.dtype.itemsize * 8 - layout.stored
    if unused <= 0 or layout.samples > 1 or layout.allocated == 1:
        return frame
    kept: Array = np.right_shift(np.left_shift(frame, unused), unused)
    return kept
