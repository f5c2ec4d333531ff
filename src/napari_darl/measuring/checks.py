"""Checks of what is handed in to be measured: a clear message in place of wrong numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.missing import filled, missing_pixels, warn_of_missing
from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import Mask


def check_mask(mask: npt.ArrayLike, time_axis: int | None) -> npt.NDArray[Any]:
    """Return a mask as frames (T, Y, X) or (T, Z, Y, X), with T = 1 where there is no time axis.

    Raises
    ------
    InputError
        If it has other axes, no pixel, or values that aren't whole numbers.
    """
    array = np.asarray(mask)
    if array.dtype.kind not in "buif":
        raise InputError(f"The mask holds values of type {array.dtype}: give booleans or whole numbers.")
    if array.dtype.kind == "f" and not np.array_equal(array, np.floor(array)):
        raise InputError("The mask holds fractions, as a probability does, or NaN: threshold it first.")
    frames = _frames(array, time_axis, "mask")
    if frames.size == 0 or frames.ndim not in (3, 4):
        wanted = "(Y, X) or (Z, Y, X)" + (" beside the time axis" if time_axis is not None else "")
        raise InputError(f"The mask's shape is {array.shape}: give one of shape {wanted}, with pixels.")
    return frames


def check_image(image: npt.ArrayLike, shape: tuple[int, ...], time_axis: int | None) -> npt.NDArray[Any]:
    """Return the image of a mask as frames, as `check_mask` does, with missing values taken from the nearest pixels.

    Raises
    ------
    InputError
        If it isn't grey and of the mask's shape, or no value is finite.

    Warns
    -----
    DarlWarning
        If values are missing.
    """
    array = np.asanyarray(image)
    if array.shape != shape:
        raise InputError(f"The image's shape {array.shape} isn't the mask's {shape}: give the grey image of the mask.")
    if array.dtype.kind not in "buif":
        raise InputError(f"The image holds values of type {array.dtype}: give real numbers.")
    frames = _frames(array, time_axis, "image")
    missing = missing_pixels(array)
    if missing is None:
        return np.ma.getdata(frames)
    if missing.all():
        raise InputError("The image has no finite value: give an image that shows something.")
    warn_of_missing("The image has", int(missing.sum()), missing.size)
    return np.stack([filled(frame) for frame in frames])


def _frames(array: npt.NDArray[Any], time_axis: int | None, name: str) -> npt.NDArray[Any]:
    """Move the time axis to the front, or add one."""
    if time_axis is None:
        return array[None]
    if not -array.ndim <= time_axis < array.ndim:
        raise InputError(f"The {name} of shape {array.shape} has no axis {time_axis} that could be time.")
    return np.moveaxis(array, time_axis, 0)


def check_region(region: npt.ArrayLike, shape: tuple[int, ...]) -> Mask:
    """Return a field of view as booleans.

    Raises
    ------
    InputError
        If it hasn't the frames' shape, or is empty.
    """
    array = np.asarray(region)
    if array.shape != shape:
        raise InputError(f"The field of view's shape is {array.shape}, a frame's {shape}: give one of that shape.")
    inside = np.asarray(array != 0)
    if not inside.any():
        raise InputError("The field of view is empty: give one that has pixels.")
    return inside


def check_pixel_size(pixel_size: float | Sequence[float], dimensions: int) -> Floats:
    """Return the size of a pixel along each of the axes of a frame.

    Raises
    ------
    InputError
        If there are more or fewer sizes than axes, one isn't positive, or they differ by more than a factor of 100.
    """
    try:
        size = np.broadcast_to(np.asarray(pixel_size, np.float64), dimensions)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"The pixel size is {pixel_size}: give one number, or one for each of the {dimensions} axes of a frame."
        ) from error
    if not (np.isfinite(size).all() and (size > 0).all()):
        raise InputError(f"The pixel size is {pixel_size}: give positive numbers.")
    if size.max() > 100 * size.min():
        raise InputError(f"The pixel size is {pixel_size}: sizes that differ more than a hundredfold aren't measured.")
    return size


def check_frame_time(frame_time: float | None) -> None:
    """Check the time between frames.

    Raises
    ------
    InputError
        If it isn't positive.
    """
    if frame_time is not None and not 0 < frame_time < math.inf:
        raise InputError(f"The frame time is {frame_time} ms: give a positive number.")
