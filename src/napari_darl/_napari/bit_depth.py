"""The number of bits that the values of an image layer use: 12 for most X-ray detectors, stored in 16."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image

from napari_darl._napari.layers import finest, frames_shape
from napari_darl.errors import DarlError
from napari_darl.io.tiff import TIFF_SUFFIXES, full_size_series, open_tiff
from napari_darl.io.tiff_metadata import promised_bits

BITS = "bits"
"""Entry of a layer's metadata with the number of bits, written by our readers or by the user."""

BitDepth = Callable[[], int | None]
"""Returns the number of bits, or None where it isn't known. It may read from a file, so it is called in a thread."""


def bit_depth(image: Image) -> BitDepth:
    """Prepare to find the bits that the values of an image use, where fewer than its dtype has.

    They come from the layer's metadata or, for a layer that another reader opened, from the tags of its TIFF file.
    If the values need more bits than stated, the statement is ignored, as on the command line.

    Parameters
    ----------
    image : Image
        The layer. It is looked at now, and never in the thread.

    Returns
    -------
    callable
        See `BitDepth`.
    """
    data, frame = finest(image), frames_shape(image)[-2:]
    stated, path = image.metadata.get(BITS), image.source.path

    def find() -> int | None:
        if data.dtype.kind not in "iu":
            return None
        valid = isinstance(stated, int | np.integer) and 1 <= stated <= 64
        bits = int(stated) if valid else _bits_in_file(path, data.dtype, frame)
        return bits if bits and _fits(data, bits) else None

    return find


def _bits_in_file(path: object, dtype: "np.dtype[Any]", frame: tuple[int, ...]) -> int | None:
    if not isinstance(path, str) or not path.lower().endswith(TIFF_SUFFIXES):
        return None
    with suppress(DarlError), open_tiff(Path(path)) as tiff:
        series = full_size_series(tiff)[0]
        page = series.keyframe
        if series.dtype == dtype and (page.imagelength, page.imagewidth) == frame:  # else the layer got another array
            return promised_bits(series)
    return None


def _fits(data: Any, bits: int) -> bool:
    """Return whether all values fit; those of an array that isn't in memory are assumed to."""
    if not isinstance(data, np.ndarray) or data.size == 0:
        return True
    return int(data.min()) >= 0 and int(data.max()) < 2**bits
