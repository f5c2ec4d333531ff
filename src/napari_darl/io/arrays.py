"""The one image value: an array, in memory or lazy, with what its file says about it."""

import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError


class ImageArray(Protocol):
    """What an image needs, lazy or not: a shape, a NumPy dtype and indexing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Return the length of each axis, in pixels or frames."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Return the type of a value."""

    def __getitem__(self, index: Any, /) -> Any:
        """Return a part of the image as something that NumPy understands."""


def check_image(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Raise FileError unless what a file holds has frames of real numbers."""
    if dtype.kind not in "buif" or len(shape) < 2:
        kind = str(dtype)[:40]  # that of a table names each column
        raise FileError(f"{path} holds {kind} of shape {shape}, no image. Save frames of real numbers.")
    if not all(isinstance(length, int) for length in shape) or math.prod(shape) * dtype.itemsize > sys.maxsize:
        raise FileError(f"{path} is damaged: no image has the shape {str(shape)[:80]}. Save or copy it again.")


def looks_coloured(shape: tuple[int, ...]) -> bool:
    """Return whether the last axis of an array, of which only the shape is known, holds colours.

    An axis of length 3 or 4 is too narrow for a frame, so it is taken for colours.
    """
    return len(shape) >= 3 and shape[-1] in (3, 4)


UNKNOWN_AXES = ("", "T", "TZ", "TCZ")
"""Letters that axes before y and x get in OME formats, where the image doesn't name them, by their number."""


def ome_axes(image: "ImageData[Any]", leading: int) -> str:
    """Return the letters of the leading axes, each of T, C and Z at most once; nothing for any others."""
    names = (image.axes or "")[:leading]
    return names if len(names) == leading == len(set(names)) and set(names) <= set("TCZ") else ""


Pixels = TypeVar("Pixels", bound=ImageArray, covariant=True)


@dataclass(frozen=True, eq=False)
class ImageData(Generic[Pixels]):
    """An image with what its file says about it.

    Attributes
    ----------
    data : array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Integers or floats; pages and hyperstack axes lead. A NumPy array, or an array that is read when it is sliced.
        Where nothing was recorded, values are NaN or masked.
    rgb : bool
        Whether the last axis holds colours.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length.
    bits : int, optional
        Bits that the values use, where fewer than the dtype has.
    axes : str, optional
        One letter per axis of `data`, where the file names them: T, Z, C, Y, X as in OME, S for colours, and other
        letters, such as I for the pages of a TIFF, where the kind of an axis isn't known.
    path : Path, optional
        The file.
    at_detector : bool
        Whether `pixel_size` is that of a detector (DICOM's ImagerPixelSpacing), where everything is larger than in the
        patient: lengths measured by it are too large by the magnification.
    frame_time : float, optional
        Time from one frame to the next, in ms.
    channels : tuple of str, optional
        Names of the channels along the axis C, where the file has them.
    channel : int, optional
        Number of the channel that was chosen, where the axis C stays with a length of 1.
    slice_distance : float, optional
        Distance from one slice of a volume to the next, in `unit`.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_darl import ImageData
    >>> movie = ImageData(np.zeros((20, 512, 512), np.uint16), bits=12)
    >>> movie.frame_count, movie.frame_shape
    (20, (512, 512))
    """

    data: Pixels
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    bits: int | None = None
    axes: str | None = None
    path: Path | None = None
    at_detector: bool = False
    frame_time: float | None = None
    channels: tuple[str, ...] | None = None
    channel: int | None = None
    slice_distance: float | None = None

    @property
    def leading_shape(self) -> tuple[int, ...]:
        """Length of each axis before Y and X: the shape of a stack of frames, () for a single frame."""
        return tuple(self.data.shape[: -3 if self.rgb else -2])

    @property
    def frame_shape(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels."""
        height, width = self.data.shape[-3:-1] if self.rgb else self.data.shape[-2:]
        return int(height), int(width)

    @property
    def frame_count(self) -> int:
        """Number of frames."""
        return math.prod(self.leading_shape)


def masked_padding(data: npt.NDArray[Any], padding: tuple[float, float] | None) -> npt.NDArray[Any]:
    """Return an array in which values from the first to the last of `padding`, which stand for nothing, are masked."""
    if padding is None:
        return data
    low, high = padding
    mask = (data >= low) & (data <= high)
    return np.ma.array(data, mask=mask) if mask.any() else data
