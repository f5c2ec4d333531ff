"""Check images, and split them into frames."""

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from os import PathLike
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning, InputError
from napari_darl.frames.missing import known_values, missing_pixels, warn_of_missing
from napari_darl.io.arrays import ImageArray, ImageData

Array = npt.NDArray[Any]
MIN_SIZE = 32
"""Least height and width of a frame, in pixels."""


def as_image(image: object, *, rgb: bool = False, bits: int | None = None) -> ImageData[ImageArray]:
    """Return an image or a stack of images as one checked value.

    Parameters
    ----------
    image : ImageData or array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Anything that NumPy understands, nested lists and torch tensors included. Leading axes (time, z, ...)
        are free. Lazy arrays (dask, zarr, h5py, xarray) stay lazy. Of multiscale data, as napari's pyramids have them,
        the finest level is taken. Masked arrays stay masked: see `frames.missing`.
    rgb : bool
        Whether the last axis holds colours. An `ImageData` says so itself.
    bits : int, optional
        Bits that the values of an integer image use, where fewer than its dtype has. Takes precedence over those of
        an `ImageData`.

    Returns
    -------
    ImageData
        The image; its `data` is a NumPy array or lazy.

    Raises
    ------
    InputError
        If the image is empty, has too few axes, isn't made of real numbers, lacks the colours that `rgb`
        promises, or is smaller than `MIN_SIZE` in Y or X.

    Examples
    --------
    >>> import numpy as np
    >>> image = as_image(np.zeros((5, 64, 48), np.uint16), bits=12)
    >>> image.frame_count, image.frame_shape, image.bits
    (5, (64, 48), 12)
    """
    if isinstance(image, ImageData):
        known: ImageData[ImageArray] = image if bits is None else replace(image, bits=bits)
    else:
        known = ImageData(_as_image_array(image), rgb, bits=bits)
    _check_image(known)
    return known


def _check_image(image: ImageData[ImageArray]) -> None:
    dtype, shape = image.data.dtype, image.data.shape
    if dtype.kind not in "buif":
        raise InputError(f"The image holds values of type {dtype}. Convert it to integers or real floats.")
    if any(not isinstance(length, int | np.integer) for length in shape):
        raise InputError(f"The image's shape {shape} isn't known yet. Call its compute_chunk_sizes() first.")
    if 0 in shape:
        raise InputError(f"The image is empty: its shape is {shape}.")
    if len(shape) < (3 if image.rgb else 2):
        wanted = "(..., Y, X, 3 or 4), as colours need" if image.rgb else "(..., Y, X)"
        raise InputError(f"The image's shape is {shape}. Pass an array of shape {wanted}.")
    if image.rgb and shape[-1] not in (3, 4):
        raise InputError(f"The last axis of a colour image has 3 or 4 channels, not {shape[-1]}. Pass it as grey.")
    height, width = image.frame_shape
    if min(height, width) < MIN_SIZE:
        raise InputError(
            f"A frame of {height} x {width} pixels is smaller than {MIN_SIZE} x {MIN_SIZE}. "
            "Enlarge it, or pass the whole frame that it was cut from."
        )


def _as_image_array(image: object) -> ImageArray:
    levels = _levels(image)
    if levels is not None:
        return _as_image_array(levels[0])
    if isinstance(image, str | PathLike):
        raise InputError(f"{image} is a path. Pass the image in that file: open_image(path).")
    if hasattr(image, "__cuda_array_interface__"):
        raise InputError(
            f"A {type(image).__name__} in the memory of a GPU can't be read. Pass a copy, as .get() or .cpu() returns."
        )
    if isinstance(image, np.ma.MaskedArray):
        return image if np.ma.is_masked(image) else image.data
    if not isinstance(image, np.ndarray) and isinstance(getattr(image, "dtype", None), np.dtype):
        return cast(ImageArray, image)  # lazy: np.asarray would compute all of it
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"A {type(image).__name__} can't be read as an image ({reason}). Pass an array of numbers."
        ) from error


def _levels(image: object) -> Sequence[Any] | None:
    """Return the levels of multiscale data, from fine to coarse; None for any other image.

    Levels are arrays of the same number of axes, each smaller than the one before.
    """
    if isinstance(image, np.ndarray) or not isinstance(image, Sequence) or not len(image):
        return None
    shapes: list[Any] = [getattr(level, "shape", None) for level in image]
    if not all(isinstance(shape, tuple) and len(shape) >= 2 for shape in shapes):
        return None
    falling = all(
        len(coarse) == len(fine) and coarse != fine and all(c <= f for c, f in zip(coarse, fine, strict=True))
        for fine, coarse in pairwise(shapes)
    )
    alone = len(image) == 1 and hasattr(image, "shapes")  # napari's multiscale data of one level
    return image if alone or (len(image) > 1 and falling) else None


def iter_frames(
    image: ImageData[ImageArray], *, first: tuple[int, ...] | None = None
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Yield the frames of an image, each computed only when its turn comes.

    Parameters
    ----------
    image : ImageData
        As `as_image` returns it.
    first : tuple of int, optional
        Index of the frame to begin with; those after it follow, then those before it.

    Yields
    ------
    tuple of int
        The frame's index on the leading axes; () for a single frame.
    numpy.ndarray, shape (Y, X) or, where `image.rgb`, (Y, X, C)
        The frame, of the image's dtype; a masked array if the image is one.

    Raises
    ------
    InputError
        If there is no frame at `first`.

    Examples
    --------
    >>> import numpy as np
    >>> movie = as_image(np.zeros((3, 64, 48)))
    >>> [index for index, frame in iter_frames(movie, first=(1,))]
    [(1,), (2,), (0,)]
    """
    axes = image.leading_shape
    count = image.frame_count
    try:
        start = 0 if first is None else int(np.ravel_multi_index(first, axes)) if axes else 0
    except ValueError as error:
        raise InputError(f"There is no frame at index {first} of a stack of shape {axes}.") from error
    for number in range(start, start + count):
        index = tuple(int(position) for position in np.unravel_index(number % count, axes))
        yield index, np.asanyarray(image.data[index])


def check_frame(frame: Array, where: str) -> None:
    """Check that a model can segment a frame.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        A grey frame.
    where : str
        What the message calls the frame, such as "Frame 3 of run.tif".

    Raises
    ------
    InputError
        If it isn't a frame of real numbers, is smaller than `MIN_SIZE`, has no finite value, or the same value
        everywhere.
    """
    if frame.ndim != 2 or frame.dtype.kind not in "buif" or min(frame.shape) < MIN_SIZE:
        raise InputError(
            f"{where} has shape {frame.shape} and type {frame.dtype}. Pass a grey frame (Y, X) of real "
            f"numbers, of at least {MIN_SIZE} x {MIN_SIZE} pixels."
        )
    check_values(known_values(frame), where)


def check_values(values: Array, where: str) -> None:
    """Raise InputError if the values of a frame, which the message calls `where`, are none or all the same."""
    if not values.size:
        raise InputError(f"{where} has no finite value. Choose an image that shows something.")
    if values.min() == values.max():
        raise InputError(
            f"{where} has the value {values.flat[0]} at every pixel. Choose an image that shows something."
        )


def is_blank(frame: Array) -> bool:
    """Return whether a grey frame shows nothing: it has the same value everywhere, or none at all."""
    if frame.ndim != 2 or frame.dtype.kind not in "buif" or not frame.size:
        return False
    values = known_values(frame)
    return not values.size or bool(values.min() == values.max())


def showing(frames: Sequence[Array], name: str) -> list[Array]:
    """Check grey frames, and leave out blank ones unless all are blank.

    Parameters
    ----------
    frames : sequence of numpy.ndarray
        At least one.
    name : str
        What a message calls one of them, such as "background".

    Returns
    -------
    list of numpy.ndarray
        The frames that aren't blank.

    Raises
    ------
    InputError
        As `check_frame`, if a frame can't be used or all are blank.

    Warns
    -----
    DarlWarning
        If frames are left out, or have pixels without a value.
    """
    kept = [(index, frame) for index, frame in enumerate(frames) if not is_blank(frame)]
    for index, frame in kept or enumerate(frames):
        check_frame(frame, f"{name.capitalize()} {index}")
    if len(kept) < len(frames):
        blank = f"{len(frames) - len(kept)} of {len(frames)} {name}s"
        warnings.warn(f"Left out {blank}, which have the same value everywhere, or none.", DarlWarning, stacklevel=3)
    gaps = [(frame, missing) for _, frame in kept if (missing := missing_pixels(frame)) is not None]
    if gaps:
        count, size = sum(int(missing.sum()) for _, missing in gaps), sum(frame.size for frame, _ in gaps)
        warn_of_missing(f"{len(gaps)} of {len(frames)} {name}s have", count, size)
    return [frame for _, frame in kept]
