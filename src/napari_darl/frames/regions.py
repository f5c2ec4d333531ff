"""Regions: the pixels of each frame in which vessels are looked for.

What lies outside is still seen, since vessels near the border of a region continue there. But it has no vessels, and
doesn't decide the range of intensities.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.channels import to_grey
from napari_darl.frames.field_of_view import find_field_of_view
from napari_darl.frames.normalisation import sampling_step
from napari_darl.io.arrays import ImageArray, ImageData

FIELD_OF_VIEW = "field of view"
"""Name of the region that `field_of_view` returns."""

Index = tuple[int, ...]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Region:
    """The pixels of each frame that count.

    Two regions are equal if they select the same pixels of an image, whatever they are called.

    Attributes
    ----------
    name : str
        The name shown to the user.
    mask_of : callable
        Maps the index of a frame to a mask, bool (Y, X), or to None if the whole frame counts. It may be called in a
        thread.
    content : object
        Equal for regions that select the same pixels.
    """

    name: str = field(compare=False)
    mask_of: Callable[[Index], Mask | None] = field(compare=False)
    content: object


def field_of_view(image: ImageData[ImageArray]) -> Region:
    """Return the region that the detector or the camera saw, found in each frame on its own.

    Parameters
    ----------
    image : ImageData
        As `as_image` returns it.
    """
    return Region(FIELD_OF_VIEW, partial(_seen, image), FIELD_OF_VIEW)


def as_region(region: Region | npt.ArrayLike | None, shape: tuple[int, ...], name: str = "mask") -> Region:
    """Return the region that masks select, or the given one.

    Parameters
    ----------
    region : Region or array-like, shape (Y, X) or `shape`, optional
        Of masks, values other than 0 count: a single one holds for all frames, a stack frame by frame. By default,
        everything counts.
    shape : tuple of int
        Shape of the image without colours, (..., Y, X).
    name : str
        What messages call masks.

    Raises
    ------
    InputError
        If masks have another shape, or select nothing.
    """
    if region is None:
        return EVERYTHING
    if isinstance(region, Region):
        return region
    masks = np.asarray(region) != 0
    if masks.shape not in (shape, shape[-2:]):
        stacks = "" if len(shape) == 2 else f" or {shape}"
        raise InputError(f"The region has the shape {masks.shape}. Pass one of the shape {shape[-2:]}{stacks}.")
    if not masks.any():
        raise InputError("The region is empty. Mark the pixels that count.")
    return Region(name, partial(_selected, masks), digest(masks))


def digest(*arrays: npt.NDArray[Any]) -> str:
    """Return a hash of arrays, to compare regions by."""
    found = sha256()
    for array in arrays:
        found.update(repr((array.shape, array.dtype.str)).encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


def _everything(_: Index) -> None:
    return None


def _selected(masks: Mask, index: Index) -> Mask:
    mask: Mask = masks if masks.ndim == 2 else masks[index]
    return mask


def _seen(image: ImageData[ImageArray], index: Index) -> Mask:
    """Find the field of view; that of a frame which may not fit into memory on an even grid of its pixels."""
    step = sampling_step(image.frame_shape)
    even = slice(None, None, step)
    pixels = np.asanyarray(image.data[(*index, even, even)])
    mask = find_field_of_view(to_grey(pixels, "luminance") if image.rgb else pixels)
    rows, columns = (np.arange(length) // step for length in image.frame_shape)
    return mask if step == 1 else mask[rows][:, columns]


EVERYTHING = Region("everything", _everything, "everything")
"""All pixels of all frames."""
