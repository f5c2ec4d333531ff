"""How path A is applied to an image: one value that travels from the front ends to the pipeline."""

from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_darl.configuration import Config
from napari_darl.frames.arrays import as_image
from napari_darl.frames.channels import select_channel, to_grey


class SegmentOptions(Config):
    """Options of a segmentation, apart from the model and from how the probability becomes a mask.

    Attributes
    ----------
    rgb : bool
        Whether the image's last axis holds colours.
    channel : str or int, optional
        The channel to segment: of colours, "red", "green", "blue" or "luminance", by default green; of an image whose
        file names an axis of channels, the name or the number of one, by default all of them as frames.
    bright : bool, optional
        Whether vessels are brighter than their surroundings; None takes what the model is made for.
    bits : int, optional
        Bits that the values of an integer image use, where fewer than its dtype has: 12 for most X-ray detectors.
    resize : float, optional
        Factor by which frames are resized before path A; None estimates it from the frame's shape.
    tile : int, optional
        Side of the tiles in which frames are segmented, in pixels; None takes the model's own.
    device : str
        `auto`, `cpu`, `cuda`, `cuda:n` or `mps`, for models given by name; a loaded `Model` stays on its device.
    precision : {"float32", "auto"}
        "auto" computes part of the network in bfloat16 on CPUs that gain from it, which saves a fifth of the time and
        changes a few pixels of a mask in ten thousand. With "float32" all CPUs give the same mask.
    orthogonal : bool
        Segment a volume (Z, Y, X) along all three axes, and average the probabilities; see `windows_for`.
    slice_distance : float, optional
        Distance of two slices of such a volume, in pixels; None takes it from the file, else 1.

    Examples
    --------
    >>> from napari_darl import SegmentOptions
    >>> SegmentOptions(bright=True).updated(resize=0.5).resize
    0.5
    """

    rgb: bool = False
    channel: str | int | None = None
    bright: bool | None = None
    bits: Annotated[int, Field(ge=1, le=64)] | None = None
    resize: Annotated[float, Field(gt=0, le=16)] | None = None
    tile: Annotated[int, Field(ge=64)] | None = None
    device: str = "auto"
    precision: Literal["float32", "auto"] = "float32"
    orthogonal: bool = False
    slice_distance: Annotated[float, Field(ge=0.01, le=100)] | None = None


def grey_frame(frame: object, options: SegmentOptions) -> tuple[npt.NDArray[Any], SegmentOptions]:
    """Return the grey values of an `ImageData` or array in memory, masked or not, and the options that fit them."""
    image = select_channel(as_image(frame, rgb=options.rgb, bits=options.bits), options.channel)
    pixels = np.asanyarray(image.data)
    grey = to_grey(pixels, options.channel) if image.rgb else pixels
    return grey, options.updated(rgb=False, bits=image.bits)
