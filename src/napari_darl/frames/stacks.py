"""Stacks of grey frames for training: series by series, from files, folders or arrays."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy.typing as npt

from napari_darl.errors import InputError
from napari_darl.frames.arrays import Channel, iter_frames, to_grey
from napari_darl.io.arrays import ImageArray, ImageData
from napari_darl.io.images import PathLike, is_image, natural_order, read_images

Frames = list[npt.NDArray[Any]]


class Stack(NamedTuple):
    """Series of grey frames (Y, X) of any sizes and dtypes, and the bits their integers use, if known and the same.

    A series is what lies along the last axis before y and x; a single frame is a series of one.
    """

    series: list[Frames]
    bits: int | None = None

    @property
    def frames(self) -> Frames:
        """All frames, series by series."""
        return [frame for one in self.series for frame in one]

    def split(self, first: int) -> tuple[Frames, Frames | None]:
        """Split the series into angiograms and, before contrast comes, backgrounds.

        Parameters
        ----------
        first : int
            How many frames at the start of each series are backgrounds; 0 for none.

        Returns
        -------
        angiograms, backgrounds : list of numpy.ndarray
            Backgrounds are none, not empty, for 0.

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
                f"No series has more than {first} frames: take fewer as backgrounds, or give multi-page files."
            )
        return rest, [frame for one in self.series for frame in one[:first]]


def read_stack(path: PathLike, channel: Channel = "green") -> Stack:
    """Read the grey frames of a folder, of a multi-page file or of an image.

    Parameters
    ----------
    path : path-like
        A folder or an image, as for `read_images`; or a folder of folders, each of which is a series of its own.
    channel : {"green", "luminance", "brightest"}
        How colours become grey, see `to_grey`: "brightest" for masks.

    Returns
    -------
    Stack
        The frames as stored.

    Raises
    ------
    FileError
        As `read_images`.
    """
    folders = series_folders(path)
    groups = [read_images(folder) for folder in folders or [Path(path)]]
    bits = {image.bits for images in groups for image in images}
    split = [[split_series(image, channel) for image in images] for images in groups]
    if folders:
        series = [[frame for image in images for one in image for frame in one] for images in split]
    else:
        series = [one for images in split for image in images for one in image]
    return Stack(series, bits.pop() if len(bits) == 1 else None)


def split_series(image: ImageData[ImageArray], channel: Channel = "green") -> list[Frames]:
    """Split an image into its series: grey frames that follow each other along the last axis before Y and X.

    Parameters
    ----------
    image : ImageData
        Of any leading axes, lazy or not.
    channel : {"green", "luminance", "brightest"}
        How colours become grey, see `to_grey`.

    Returns
    -------
    list of list of numpy.ndarray
        One list per series; a single frame is a series of one.
    """
    frames = [to_grey(frame, channel) if image.rgb else frame for _, frame in iter_frames(image)]
    length = image.leading_shape[-1] if image.leading_shape else 1
    return [frames[start : start + length] for start in range(0, len(frames), length)]


def series_folders(path: PathLike) -> list[Path]:
    """List the folders of images in a folder that has no image itself, in natural order; else nothing."""
    try:
        entries = sorted(Path(path).iterdir(), key=natural_order)
    except OSError:
        return []
    if any(map(is_image, entries)):
        return []
    return [entry for entry in entries if entry.is_dir() and any(map(is_image, entry.iterdir()))]
