"""What is asked of an image in memory, in a file or on a cluster."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import numpy as np


class ImageArray(Protocol):
    """What is asked of an image, lazy or not: a shape, a NumPy dtype and indexing."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Length of each axis, in pixels or frames."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a value."""

    def __getitem__(self, index: Any, /) -> Any:
        """Part of the image, as something that NumPy can take."""


def looks_coloured(shape: tuple[int, ...]) -> bool:
    """Tell whether an array of this shape, of which nothing else is known, has colours: no frame is so narrow."""
    return len(shape) >= 3 and shape[-1] in (3, 4)


Pixels = TypeVar("Pixels", bound=ImageArray, covariant=True)


@dataclass(frozen=True, eq=False)
class ImageData(Generic[Pixels]):
    """An image with what its file says about it.

    Attributes
    ----------
    data : array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Integers or floats; pages and hyperstack axes lead. A NumPy array, or an array that is read when it is sliced.
    rgb : bool
        Whether the last axis holds colours.
    pixel_size : tuple of float, optional
        Height and width of a pixel, in `unit`.
    unit : str, optional
        Unit of length.
    bits : int, optional
        Bits that the values use, where fewer than the dtype has.
    axes : str, optional
        One letter per axis of `data` as in OME (T, Z, C, Y, X; S for colours), where the file names them.
    path : Path, optional
        The file.
    """

    data: Pixels
    rgb: bool = False
    pixel_size: tuple[float, float] | None = None
    unit: str | None = None
    bits: int | None = None
    axes: str | None = None
    path: Path | None = None
