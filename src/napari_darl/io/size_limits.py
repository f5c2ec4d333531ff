"""What compressed data claim, and whether that can be: told before memory is taken for them."""

import struct

MAX_BYTES = 64 * 2**30
"""What one file may unpack to; more is taken for a damaged header."""

MAX_CHUNK = 2**28
"""Bytes of a chunk, strip or tile, which is read whole and so must fit into memory several times."""

_FRAMES = {*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC}  # markers of segments that tell the size
DENSEST = 4000
"""How many times pixels shrink at most by compression byte by byte, such as zlib's."""

EMPTIEST = 2**16
"""And by codecs that tell of an empty tile in some bytes: masks with next to nothing in them."""

_HARMLESS = 2**26  # what unpacks to so few bytes may be anything


def can_unpack(stored: int, claimed: float, densest: int = DENSEST) -> bool:
    """Tell whether so many bytes of a file can be those of an image of so many, at most `densest` times as many."""
    return claimed <= max(stored * densest, _HARMLESS)


def coded_size(frame: bytes) -> tuple[int, int] | None:
    """Find height and width in a JPEG, JPEG-LS or JPEG 2000 stream; its first bytes are enough.

    Parameters
    ----------
    frame : bytes
        The stream, or its beginning.

    Returns
    -------
    tuple of int or None
        None where they aren't told.
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
