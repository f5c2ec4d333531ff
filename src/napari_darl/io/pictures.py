"""Read pictures: PNG, JPEG, BMP, GIF and the netpbm formats.

Orientation in EXIF data is ignored, as in napari: pixels come as they are stored.
"""

import math
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.Image import DecompressionBombError

from napari_darl.errors import DarlWarning, FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.size_limits import can_unpack

PICTURE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".pgm", ".ppm", ".pnm", ".pbm")

_PNG = b"\x89PNG\r\n\x1a\n"
_GREY_AND_ALPHA = 4  # in the header of a PNG


def read_picture(path: Path) -> ImageData[npt.NDArray[Any]]:
    """Read a picture.

    Parameters
    ----------
    path : Path
        A file with one of `PICTURE_SUFFIXES`.

    Returns
    -------
    ImageData
        Grey of 8 or 16 bits, or colours without alpha; palettes become colours, 1-bit pictures are 0 and 255.

    Raises
    ------
    FileError
        If the file is damaged, cut short or no picture, or if it holds several frames.

    Warns
    -----
    DarlWarning
        If only 8 of 16 bits can be read, because imagecodecs isn't installed.
    """
    content = path.read_bytes()  # so that a damaged header can't ask a file for more than it holds
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # large pictures and odd metadata do no harm
            data, rgb = _decoded(content)
    except FileError as error:
        raise FileError(f"{path} {error}") from None
    except Exception as error:  # decoders raise nearly anything on damaged data
        if isinstance(error.__cause__, DecompressionBombError):
            raise FileError(f"{path} has too many pixels for a file of its kind. Save it as a TIFF.") from error
        raise FileError(f"{path} is damaged, cut short or no image. Copy it again from its source.") from error
    if _is_deep(content) and data.dtype.itemsize == 1:
        if content[25] == _GREY_AND_ALPHA:  # which Pillow turns into colours
            data, rgb = data[..., 0], False
        data = _deep(path, content, data)
    return ImageData(data, rgb, axes="YXS" if rgb else "YX", path=path)


def _decoded(content: bytes) -> tuple[npt.NDArray[Any], bool]:
    """Return the pixels and whether they are colours."""
    properties = iio.improps(content, plugin="pillow", index=0)
    bits = 1 if properties.dtype == np.bool_ else 8 * properties.dtype.itemsize
    if not can_unpack(len(content), math.prod(properties.shape) * bits / 8):
        raise ValueError("more pixels than the file can hold")
    if content.startswith((b"GIF", _PNG)):
        with Image.open(BytesIO(content)) as picture:
            frames = getattr(picture, "n_frames", 1)
        if frames > 1:
            raise FileError(f"is an animation of {frames} frames. Save it as a multi-page TIFF.")
    mode = iio.immeta(content, plugin="pillow", index=0)["mode"]
    if content.startswith(b"BM") and mode == "1" and content[28] > 1:
        raise ValueError("a palette that is too short, which Pillow takes for two colours")
    grey = mode in ("1", "L", "LA") or mode.startswith(("I", "F"))
    target = {"1": "L", "LA": "L"}.get(mode) if grey else "RGB"
    return iio.imread(content, plugin="pillow", index=0, mode=target), not grey


def _is_deep(content: bytes) -> bool:
    """Return whether a picture is a PNG of 16 bits, by its header."""
    return content.startswith(_PNG) and content[12:16] == b"IHDR" and content[24] == 16


def _deep(path: Path, content: bytes, shallow: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the 16 bits of a PNG of which Pillow gives 8."""
    try:
        from imagecodecs import png_decode

        data: npt.NDArray[Any] = png_decode(content)
    except ImportError:
        message = "Of 16 bits, 8 were read. To read all, install imagecodecs (pip install imagecodecs)."
        warnings.warn(DarlWarning(message, path), stacklevel=2)
        return shallow
    except Exception as error:  # as above
        raise FileError(f"{path} is damaged or cut short. Copy it again from its source.") from error
    if data.ndim == 3:
        data = data[..., 0] if shallow.ndim == 2 else data[..., :3]
    if data.shape != shallow.shape:
        raise FileError(f"{path} is damaged. Copy it again from its source.")
    return data
