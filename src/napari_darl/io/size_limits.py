"""Plausibility checks of declared sizes, before anything is allocated."""

import struct

MAX_BYTES = 64 * 2**30
"""Bytes that one file may unpack to; a header that declares more is taken for damaged."""

MAX_CHUNK = 2**28
"""Bytes of a chunk, strip or tile. It is read whole, and so must fit into memory several times."""

_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers of JPEG segments that hold the size

MAX_RATIO = 4000
"""Greatest ratio of compression for codecs that work byte by byte, such as zlib."""

MAX_RATIO_OF_TILES = 2**16
"""Greatest ratio for codecs that store an empty tile in a few bytes, as in masks that hold next to nothing."""

_HARMLESS = 2**26  # bytes that may be allocated whatever the ratio


def can_unpack(stored: int, declared: float, ratio: int = MAX_RATIO) -> bool:
    """Return whether `stored` bytes of a file may unpack to the `declared` bytes, at most `ratio` times as many."""
    return declared <= max(stored * ratio, _HARMLESS)


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """Return height and width from the header of a JPEG, JPEG-LS or JPEG 2000 stream.

    Parameters
    ----------
    frame : bytes
        The stream, or its first bytes.

    Returns
    -------
    tuple of int or None
        None if the header doesn't hold them.
    """
    if frame.startswith(b"\xff\x4f\xff\x51") and len(frame) >= 24:
        right, bottom, left, top = struct.unpack(">4L", frame[8:24])
        return bottom - top, right - left
    at = 2 if frame.startswith(b"\xff\xd8") else len(frame)
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        if frame[at + 1] in _FRAMES:
            height, width = struct.unpack(">HH", frame[at + 5 : at + 9])
            return height, width
        filling = frame[at + 1] == 0xFF
        at += 1 if filling else 2 + struct.unpack(">H", frame[at + 2 : at + 4])[0]
    return None
