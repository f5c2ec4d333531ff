"""Read stacks of grey frames for training, series by series, from files and folders."""

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.arrays import iter_frames
from napari_darl.frames.channels import Channel, select_channel, to_grey
from napari_darl.frames.selection import FrameNumbers
from napari_darl.io.arrays import ImageArray, ImageData
from napari_darl.io.dicom_series import series_note
from napari_darl.io.images import PathLike, dicom_series, is_image, natural_order, read_images

Frames = list[npt.NDArray[Any]]


class Stack(NamedTuple):
    """Series of grey frames (Y, X), of any sizes and dtypes.

    The frames of a series follow each other in time: they lie along the last axis before Y and X, or in one folder of a
    folder of folders. A single frame is a series of one. `bits` are those that the values of all frames use, if known.
    """

    series: list[Frames]
    bits: int | None = None

    @property
    def frames(self) -> Frames:
        """All frames, series after series."""
        return [frame for one in self.series for frame in one]

    def split(self, first: int) -> tuple[Frames, Frames | None]:
        """Split the series into backgrounds, before contrast agent arrives, and angiograms.

        Parameters
        ----------
        first : int
            Number of frames at the start of each series that are backgrounds.

        Returns
        -------
        angiograms : list of numpy.ndarray
            The other frames.
        backgrounds : list of numpy.ndarray or None
            None if `first` is 0.

        Raises
        ------
        InputError
            If no angiogram is left.
        """
        if first == 0:
            return self.frames, None
        rest = [frame for one in self.series for frame in one[first:]]
        if not rest:
            raise InputError(
                f"No series has more than {first} frames. Take fewer as backgrounds, or pass multi-page files."
            )
        return rest, [frame for one in self.series for frame in one[:first]]


def read_stack(
    path: PathLike, channel: Channel = None, *, bits: int | None = None, frames: FrameNumbers | None = None
) -> Stack:
    """Read the grey frames of an image, a folder of images, or a folder of such folders.

    Parameters
    ----------
    path : path-like
        An image or a folder, as for `read_images`, or a folder of folders, each of which is one series.
    channel : str or int, optional
        The channel to use, see `to_grey` and `select_channel`; "brightest" is for masks.
    bits : int, optional
        Bits that the values use; by default what the files say.
    frames : FrameNumbers, optional
        The frames of each series to use; by default all of them.

    Returns
    -------
    Stack
        The frames as stored.

    Raises
    ------
    FileError
        As `read_images`.
    InputError
        If there is no such channel or frame.
    """
    folders = series_folders(path)
    groups = [read_images(folder) for folder in folders or [Path(path)]]
    known = {image.bits for images in groups for image in images}
    split = [[split_series(image, channel) for image in images] for images in groups]
    if folders:
        series = [[frame for image in images for one in image for frame in one] for images in split]
    else:
        series = [one for images in split for image in images for one in image]
    if frames is not None:
        series = [[one[number] for number in frames.of(len(one))] for one in series]
    return Stack(series, bits or (known.pop() if len(known) == 1 else None))


def read_series(folder: PathLike) -> ImageData[npt.NDArray[Any]]:
    """Read the images of a folder as one series: frames that follow each other, in natural order or as DICOM says.

    Parameters
    ----------
    folder : path-like
        A folder, as for `read_images`.

    Returns
    -------
    ImageData
        All frames, (T or Z, Y, X) or, where `rgb`, (T or Z, Y, X, 3), and what the first file says about them.

    Raises
    ------
    FileError
        As `read_images`.
    InputError
        If the frames differ in size, type or colours, or the folder holds several DICOM series.
    """
    if len(known := dicom_series(folder)) > 1:
        raise InputError(f"{folder} holds several series ({series_note(known)}). Put each into a folder of its own.")
    images = read_images(folder)
    if len(images) == 1 and images[0].leading_shape:
        return replace(images[0], path=None)
    kinds = dict.fromkeys((image.frame_shape, str(image.data.dtype), image.rgb) for image in images)
    if len(kinds) > 1:
        told = "; ".join(f"{y} x {x} {kind}{' in colours' if rgb else ''}" for (y, x), kind, rgb in kinds)
        raise InputError(f"The frames in {folder} aren't alike ({told}). Put each kind into a folder of its own.")
    first = images[0]
    frame = first.data.shape[-3:] if first.rgb else first.data.shape[-2:]
    arrays = [image.data.reshape(-1, *frame) for image in images]
    masked = any(isinstance(array, np.ma.MaskedArray) for array in arrays)
    data = np.ma.concatenate(arrays) if masked else np.concatenate(arrays)  # type: ignore[no-untyped-call]
    bits = {image.bits for image in images}
    axes = "TYXS" if first.rgb else "TYX"
    return replace(first, data=data, axes=axes, bits=bits.pop() if len(bits) == 1 else None, path=None)


def split_series(image: ImageData[ImageArray], channel: Channel = None) -> list[Frames]:
    """Split an image into its series: grey frames that follow each other in time.

    Time is the axis T if the image's axes have names, and the last axis before Y and X otherwise.

    Parameters
    ----------
    image : ImageData
        Of any leading axes, lazy or not.
    channel : str or int, optional
        The channel to use, see `to_grey` and `select_channel`.

    Returns
    -------
    list of list of numpy.ndarray
        One list per series; a single frame is a series of one.
    """
    image = select_channel(image, channel)
    axes = (image.axes or "")[: len(image.leading_shape)]
    time = axes.index("T") if "T" in axes else len(image.leading_shape) - 1
    series: dict[tuple[int, ...], Frames] = {}
    for index, frame in iter_frames(image):
        others = tuple(position for axis, position in enumerate(index) if axis != time)
        series.setdefault(others, []).append(to_grey(frame, channel) if image.rgb else frame)
    return list(series.values())


def series_folders(path: PathLike) -> list[Path]:
    """Return the subfolders that hold images, in natural order; none if the folder itself holds images."""
    try:
        entries = sorted(Path(path).iterdir(), key=natural_order)
    except OSError:
        return []
    if any(map(is_image, entries)):
        return []
    return [entry for entry in entries if entry.is_dir() and any(map(is_image, entry.iterdir()))]
