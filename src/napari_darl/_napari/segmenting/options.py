"""The options of a segmentation in napari, and the messages that it sends."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from napari_darl._napari.layers import Index
from napari_darl._napari.settings import read_settings
from napari_darl.frames.regions import EVERYTHING, Region
from napari_darl.inference.options import SegmentOptions

Provenance = Mapping[str, str | float]


@dataclass(frozen=True)
class Options:
    """How to segment a layer.

    Two values are equal if they give the same mask for a frame. Which frames are segmented plays no part.

    Attributes
    ----------
    model : str
        Name of a bundled model, or path of a model file, as `load_model` takes it.
    segment : SegmentOptions
        How each frame is segmented.
    region : Region
        The pixels of each frame that count.
    whole : bool
        Whether all frames of a stack are segmented, the visible one first, or the visible one only.
    """

    model: str = "default"
    segment: SegmentOptions = field(default_factory=SegmentOptions)
    region: Region = EVERYTHING
    whole: bool = field(default=True, compare=False)


@dataclass(frozen=True, eq=False)
class Part:
    """The probability of a frame, or of a window of a frame too large to wait for.

    Attributes
    ----------
    frame : tuple of int
        Index of the frame on the leading axes of `layers.pixels`.
    rows, columns : slice
        The window within the frame.
    probability : numpy.ndarray of float32, shape (rows, columns)
        Probability of vessel, 0 outside the region.
    number, total : int
        This is window `number`, counted from 1, of the `total` windows of the frame. They arrive in this order.
    """

    frame: Index
    rows: slice
    columns: slice
    probability: npt.NDArray[np.float32]
    number: int = 1
    total: int = 1

    @property
    def is_last(self) -> bool:
        """Whether the frame is complete with this part."""
        return self.number == self.total


@dataclass(frozen=True, eq=False)
class Update:
    """The message that a run sends from its thread to the window.

    Attributes
    ----------
    options : Options
        The options of the run, with everything decided that they leave open, such as the resize factor.
    provenance : mapping of str to str or float
        What the metadata of the mask says about its making.
    part : Part, optional
        What has been segmented; None in the first message, which says that the model is loaded.
    """

    options: Options
    provenance: Provenance
    part: Part | None = None


def preferred_options() -> Options:
    """Return the default options, with the device and the tile size from the preferences."""
    settings = read_settings()
    return Options(segment=SegmentOptions(device=settings.device, tile=settings.tile))
