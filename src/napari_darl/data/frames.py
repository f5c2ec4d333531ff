"""From any array-like to 2-D frames in [-1, 1]: the one home of axis handling and of normalising."""

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any, Literal, Protocol, cast

import numpy as np
import numpy.typing as npt

from napari_darl.errors import DarlWarning, InputError
from napari_darl.normalisation import Normalisation

Array = npt.NDArray[Any]
Channel = Literal["green", "luminance", "brightest"]
"""How colours become grey, see `to_grey`."""

MIN_SIZE = 32
"""The smallest height or width of a frame, in pixels, that a model can look at."""

_MAX_SAMPLES = 4_000_000  # enough for a percentile of 0.1 % to be steady, few enough to sort at once
_LUMINANCE = (0.2125, 0.7154, 0.0721)  # Rec. 709, as scikit-image's rgb2gray


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


def check_image(image: object, *, rgb: bool) -> ImageArray:
    """Take an image or a stack of them in, or say why it can't be worked with.

    Parameters
    ----------
    image : array-like, shape (..., Y, X) or, where `rgb`, (..., Y, X, 3 or 4)
        Anything that NumPy understands, nested lists and torch tensors included. Leading axes (time, z, ...)
        are free.
    rgb : bool
        Whether the last axis holds colours.

    Returns
    -------
    ImageArray
        The same image: lazy arrays (dask, zarr, h5py, xarray) untouched, all else as a NumPy array.

    Raises
    ------
    InputError
        If the image is empty, has too few axes, isn't made of real numbers, lacks the colours that `rgb`
        promises, or is smaller than `MIN_SIZE` in Y or X.
    """
    array = _as_image_array(image)
    if array.dtype.kind not in "buif":
        raise InputError(f"the image holds values of type {array.dtype}: convert it to integers or real floats")
    shape = array.shape
    if any(not isinstance(length, int | np.integer) for length in shape):
        raise InputError(f"the image's shape {shape} isn't known yet: call its compute_chunk_sizes() first")
    if 0 in shape:
        raise InputError(f"the image is empty (its shape is {shape}): hand an image that has pixels")
    if len(shape) < (3 if rgb else 2):
        wanted = "(..., Y, X, 3 or 4) as colours need" if rgb else "(..., Y, X)"
        raise InputError(f"the image's shape is {shape}: hand an array of shape {wanted}")
    if rgb and shape[-1] not in (3, 4):
        raise InputError(f"the last axis of a colour image has 3 or 4 channels, not {shape[-1]}: hand it as grey")
    height, width = _frame_axes(shape, rgb)[:2]
    if min(height, width) < MIN_SIZE:
        raise InputError(
            f"a frame of {height} x {width} pixels is smaller than {MIN_SIZE} x {MIN_SIZE}: "
            "enlarge it, or hand the whole frame that it was cut from"
        )
    return array


def _as_image_array(image: object) -> ImageArray:
    if not isinstance(image, np.ndarray) and isinstance(getattr(image, "dtype", None), np.dtype):
        return cast(ImageArray, image)  # lazy: np.asarray would compute all of it
    try:
        return np.asarray(image)
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"a {type(image).__name__} can't be read as an image ({reason}): hand an array of numbers"
        ) from error


def _frame_axes(shape: tuple[int, ...], rgb: bool) -> tuple[int, ...]:
    return shape[-3:] if rgb else shape[-2:]


def _leading_axes(shape: tuple[int, ...], rgb: bool) -> tuple[int, ...]:
    return shape[:-3] if rgb else shape[:-2]


def looks_coloured(shape: tuple[int, ...]) -> bool:
    """Tell whether an array of this shape, of which nothing else is known, has colours: no frame is so narrow."""
    return len(shape) >= 3 and shape[-1] in (3, 4)


def frame_count(shape: tuple[int, ...], rgb: bool) -> int:
    """Count the frames of an image of this shape; `rgb` says whether its last axis holds colours."""
    return math.prod(_leading_axes(shape, rgb))


def iter_frames(
    image: ImageArray, *, rgb: bool, first: tuple[int, ...] | None = None
) -> Iterator[tuple[tuple[int, ...], Array]]:
    """Go through the frames of an image, each computed only when its turn comes.

    Parameters
    ----------
    image : ImageArray, shape (..., Y, X) or, where `rgb`, (..., Y, X, C)
        As `check_image` returns it.
    rgb : bool
        Whether the last axis holds colours.
    first : tuple of int, optional
        Place of the frame to begin with; those after it follow, then those before it.

    Yields
    ------
    tuple of int
        The frame's place on the leading axes; () for a single frame.
    numpy.ndarray, shape (Y, X) or (Y, X, C)
        The frame, of the image's dtype.

    Raises
    ------
    InputError
        If there is no frame at `first`.
    """
    axes = _leading_axes(image.shape, rgb)
    count = math.prod(axes)
    try:
        start = 0 if first is None else int(np.ravel_multi_index(first, axes)) if axes else 0
    except ValueError as error:
        raise InputError(f"there is no frame at {first} of a stack of {axes}: choose a place inside it") from error
    for number in range(start, start + count):
        index = tuple(int(place) for place in np.unravel_index(number % count, axes))
        yield index, np.asarray(image[index])


def to_grey(image: Array, channel: Channel = "green") -> Array:
    """Turn colours into grey.

    Parameters
    ----------
    image : numpy.ndarray, shape (..., 3 or 4)
        Red, green, blue and perhaps alpha, which is left out.
    channel : {"green", "luminance", "brightest"}
        "green" takes the green channel, in which retinal vessels show best; "luminance" weighs the three by
        Rec. 709, as `skimage.color.rgb2gray` does, and keeps the range of values; "brightest" takes the maximum of the
        three, as masks in any colour need.

    Returns
    -------
    numpy.ndarray, shape (...)
        Of the image's dtype; green is a view.
    """
    if channel == "green":
        return image[..., 1]
    if channel == "brightest":
        brightest: Array = image[..., :3].max(axis=-1)
        return brightest
    grey: Array = sum(image[..., i] * np.float64(weight) for i, weight in enumerate(_LUMINANCE))  # type: ignore[assignment]
    return (grey if image.dtype.kind == "f" else np.rint(grey)).astype(image.dtype)


def check_frame(frame: Array, where: str) -> None:
    """Refuse a frame that has no meaning for a model.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        A grey frame.
    where : str
        What the message calls the frame, such as "frame 3 of run.tif".

    Raises
    ------
    InputError
        If it is no frame of real numbers, is smaller than `MIN_SIZE`, or has values that are NaN, infinite or
        all the same.
    """
    if frame.ndim != 2 or frame.dtype.kind not in "buif" or min(frame.shape) < MIN_SIZE:
        raise InputError(
            f"{where} has shape {frame.shape} and type {frame.dtype}: hand a grey frame (Y, X) of real numbers, of at "
            f"least {MIN_SIZE} x {MIN_SIZE} pixels"
        )
    if frame.dtype.kind == "f" and (bad := int(frame.size - np.count_nonzero(np.isfinite(frame)))):
        raise InputError(f"{where} has {bad} NaN or infinite values: replace them, as with numpy.nan_to_num")
    if frame.min() == frame.max():
        raise InputError(f"{where} holds nothing but the value {frame.flat[0]}: hand a frame that shows something")


def is_blank(frame: Array) -> bool:
    """Tell whether a grey frame holds a single number, such as the black ones before a series begins."""
    real = frame.ndim == 2 and frame.dtype.kind in "buif" and frame.size > 0
    return bool(real and frame.min() == frame.max() and np.isfinite(frame.flat[0]))


def showing(frames: Sequence[Array], name: str) -> list[Array]:
    """Check grey frames, and leave out those that are blank, if others aren't.

    Parameters
    ----------
    frames : sequence of numpy.ndarray
        At least one.
    name : str
        What a message calls one of them, such as "background".

    Raises
    ------
    InputError
        As `check_frame`, if one can't be used, or all are blank.

    Warns
    -----
    DarlWarning
        If some are left out.
    """
    kept = [(index, frame) for index, frame in enumerate(frames) if not is_blank(frame)]
    for index, frame in kept or enumerate(frames):
        check_frame(frame, f"{name} {index}")
    if len(kept) < len(frames):
        blank = f"{len(frames) - len(kept)} of {len(frames)} {name}s hold nothing but one value"
        warnings.warn(f"{blank}, and are left out.", DarlWarning, stacklevel=3)
    return [frame for _, frame in kept]


def intensity_range(frame: Array, normalisation: Normalisation, bits: int | None = None) -> tuple[float, float]:
    """Find the intensities of a frame that are to become -1 and 1.

    A tile is normalised by the range of the whole frame that it is cut from, so that tiles agree.

    Parameters
    ----------
    frame : numpy.ndarray, shape (Y, X)
        A whole grey frame of finite values; from 4 million pixels on, an even grid of them is looked at.
    normalisation : Normalisation
        How to choose the range.
    bits : int, optional
        Bits that the values of an integer frame use (0 to 2 ** bits - 1) if its dtype has more: 12 for most
        X-ray detectors. Used by the kind "bits"; uint8 and bool need none.

    Returns
    -------
    low, high : float
        In the frame's units. For a frame of one value and percentiles, both are that value.

    Raises
    ------
    InputError
        If `bits` isn't in 1 to 64.
    """
    if bits is not None and not 1 <= bits <= 64:
        raise InputError(f"an image of {bits} bits can't be: hand 1 to 64, or leave the bits out")
    if normalisation.kind == "bits":
        if frame.dtype == np.bool_:
            return 0.0, 1.0
        known = min(bits or 8, 8) if frame.dtype == np.uint8 else bits
        if known and frame.dtype.kind in "ui":
            return 0.0, float(2**known - 1)
    step = sampling_step(frame.shape)
    sample = frame[::step, ::step].astype(np.float64) / 2  # halves, as differences may exceed what a float holds
    low, high = np.percentile(sample, [normalisation.low, normalisation.high])
    if low == high:  # nearly all pixels alike: what differs lies beyond the percentiles
        low, high = sample.min(), sample.max()
    return float(low) * 2, float(high) * 2


def sampling_step(shape: tuple[int, ...]) -> int:
    """Step between the rows and the columns of the grid of pixels that tells the intensities of a frame."""
    return math.ceil(math.sqrt(max(math.prod(shape[:2]) / _MAX_SAMPLES, 1)))


def normalise(frame: Array, limits: tuple[float, float], bright: bool = False) -> npt.NDArray[np.float32]:
    """Stretch intensities to [-1, 1] and clip what lies beyond.

    Parameters
    ----------
    frame : numpy.ndarray
        A grey frame or a tile of one, of any real dtype.
    limits : tuple of float
        The intensities that become -1 and 1, from `intensity_range` of the whole frame.
    bright : bool
        Whether vessels are brighter than the background; the sign is then inverted, since models
        know dark vessels.

    Returns
    -------
    numpy.ndarray of float32
        Of the frame's shape, in [-1, 1]; all 0 where the limits coincide.
    """
    low, high = limits
    if high <= low:
        return np.zeros(frame.shape, np.float32)
    exact = np.float32 if frame.dtype.itemsize <= 2 else np.float64  # float32 holds 24 bits
    values = np.clip(frame.astype(exact), low, high)
    # Halves, as differences may exceed what a float holds.
    values = (values / 2 - exact(low / 2)) / exact(high / 2 - low / 2) * 2 - 1
    result: npt.NDArray[np.float32] = (-values if bright else values).astype(np.float32, copy=False)
    return result


def encode(frame: npt.NDArray[np.float32], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Bring a normalised frame to the scale that the networks see: logarithmic, if the normalisation says so.

    Parameters
    ----------
    frame : numpy.ndarray of float32
        Intensities in [-1, 1].
    normalisation : Normalisation
        Gives the offset o of log(I + o), where I is the intensity in [0, 1].

    Returns
    -------
    numpy.ndarray of float32
        In [-1, 1], of the same shape.
    """
    offset = normalisation.log_offset
    if not offset:
        return frame
    intensity = np.clip((frame + 1) / 2, 0, 1)
    return (2 * np.log1p(intensity / offset) / math.log1p(1 / offset) - 1).astype(np.float32)


def decode(frame: npt.NDArray[np.float32], normalisation: Normalisation) -> npt.NDArray[np.float32]:
    """Undo `encode`: from the networks' scale to linear intensities in [-1, 1]."""
    offset = normalisation.log_offset
    if not offset:
        return frame
    return (2 * offset * np.expm1((frame + 1) / 2 * math.log1p(1 / offset)) - 1).astype(np.float32)
