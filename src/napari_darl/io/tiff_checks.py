"""Checks of TIFF files before any pixel is decoded.

Decoders fill gaps in damaged files silently, allocate whatever a header declares, and follow pages that go in circles
without end. So a file is checked in four steps:

1. The chain of pages ends (`check_chain`).
2. The declared size is plausible (`check_complete`).
3. The file holds as many bytes as its header promises, and they may unpack to that many pixels (`check_segments`).
4. Each JPEG or JPEG 2000 stream declares the size of its tile (`_check_coded_sizes`).
"""

import math
import struct
from contextlib import suppress
from pathlib import Path
from typing import Any

import tifffile
from tifffile import COMPRESSION, PLANARCONFIG

from napari_darl.errors import FileError
from napari_darl.io.size_limits import MAX_BYTES, MAX_RATIO, MAX_RATIO_OF_TILES, can_unpack, coded_size

_HEADER = 8  # bytes before the first that can be a pixel
_HEAD = 2**12  # bytes of a JPEG that contain its size
_BYTEWISE = {COMPRESSION[name] for name in ("NONE", "LZW", "ADOBE_DEFLATE", "DEFLATE", "PACKBITS", "JPEG", "OJPEG")}
_JPEGS = {COMPRESSION[name] for name in ("JPEG", "JPEG2000", "APERIO_JP2000_RGB", "APERIO_JP2000_YCBC")}


def check_chain(path: Path, tiff: tifffile.TiffFile) -> None:
    """Refuse pages that go in circles.

    Each page ends with the offset of the next. An offset that has come before closes a circle.
    """
    layout, file, seen = tiff.tiff, tiff.filehandle, set()
    offset = tiff.pages.first.offset
    with suppress(struct.error):  # at the end of a file that is cut short, which is checked later
        while 0 < offset < file.size:
            if offset in seen:
                raise FileError(f"{path} is damaged: its pages go in circles. Copy it again from its source.")
            seen.add(offset)
            file.seek(offset)
            (tags,) = struct.unpack(layout.tagnoformat, file.read(layout.tagnosize))
            file.seek(offset + layout.tagnosize + tags * layout.tagsize)
            (offset,) = struct.unpack(layout.offsetformat, file.read(layout.offsetsize))


def check_complete(path: Path, series: tifffile.TiffPageSeries) -> None:
    """Refuse a series whose type is unknown or whose size isn't plausible, or that lacks data."""
    if series.dtype is None:
        raise FileError(f"{path} holds values of an unknown type. Save it as grey or RGB of 8 or 16 bits.")
    declared = math.prod(series.shape) * series.dtype.itemsize
    if declared > MAX_BYTES:
        raise FileError(f"{path} declares {declared / 2**30:.0f} GiB of pixels. It is damaged, or must be split.")
    check_segments(path, series, max(math.prod(series.shape), math.prod(series.keyframe.chunks)))


def check_segments(path: Path, series: tifffile.TiffPageSeries, at_once: int) -> None:
    """Check that a series has the data that its header promises, without reading them.

    An uncompressed series in one block ends before the end of the file. In any other, the segments (strips or tiles) of
    each page lie within the file, an uncompressed page has as many bytes as its pixels need, and the file as a whole
    isn't smaller than the strongest compression would make it. A page has as many tiles as its size needs; tiles that
    were left out, with neither offset nor length, are 0.

    Parameters
    ----------
    path : Path
        The file's name, for messages.
    series : tifffile.TiffPageSeries
        One of its series, of a known type.
    at_once : int
        Number of values that are decoded at once.

    Raises
    ------
    FileError
        If data are missing, or can't be as many as declared.
    """
    page = series.keyframe
    if page.planarconfig not in (PLANARCONFIG.CONTIG, PLANARCONFIG.SEPARATE):
        raise FileError(f"{path} is damaged: its header doesn't say how colours are stored. Copy it again.")
    size = series.parent.filehandle.size if series.parent else path.stat().st_size
    if series.dataoffset is not None:  # one block; tifffile may list only its first page
        complete = _HEADER <= series.dataoffset <= size - math.prod(series.shape) * series.dtype.itemsize
    else:
        pages = [part for part in series.pages if part is not None]
        if len(pages) < len(series.pages):
            raise FileError(f"{path} lacks frames that its metadata promises. Copy or export it again.")
        plain = page.compression == COMPRESSION.NONE
        needed = page.size * page.bitspersample // 8 if plain else 1
        of_tile = math.prod(page.chunks) * page.bitspersample // 8 if plain and page.is_tiled else 1
        packed = at_once * min(page.bitspersample / 8, series.dtype.itemsize)
        ratio = MAX_RATIO if page.compression in _BYTEWISE else MAX_RATIO_OF_TILES
        complete = can_unpack(size, packed, ratio) and all(
            sum(part.databytecounts) >= needed
            and (not page.is_tiled or len(part.dataoffsets) == math.prod(page.chunked))
            and all(
                start == count == 0 or (count >= of_tile and _HEADER <= start <= size - count)
                for start, count in zip(part.dataoffsets, part.databytecounts, strict=True)
            )
            for part in pages
        )
        if complete and page.compression in _JPEGS:
            _check_coded_sizes(path, pages)
    if not complete:
        raise FileError(f"{path} is cut short: its header promises more data than it has. Copy it again.")


def _check_coded_sizes(path: Path, pages: list[Any]) -> None:
    """Refuse tiles whose streams declare far more pixels than the page's header; decoders believe the streams."""
    for page in pages:
        height, width = page.keyframe.chunks[:2]
        file = page.parent.filehandle
        for start, count in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(start)
            size = coded_size(file.read(min(count, _HEAD)))
            if size is not None and math.prod(size) > max(4 * height * width, 2**20):
                raise FileError(f"{path} is damaged: it has a tile of {size[0]} x {size[1]} pixels. Copy it again.")
