"""The command line that segments a layer as the widget does."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image

from napari_darl._napari.bit_depth import BITS
from napari_darl._napari.command_line import path_of, show_copied
from napari_darl._napari.layers import frames_shape, visible_frame
from napari_darl._napari.segmenting.options import Options
from napari_darl.errors import InputError
from napari_darl.frames.regions import EVERYTHING, FIELD_OF_VIEW
from napari_darl.frames.selection import FrameNumbers
from napari_darl.inference.cleaning import Cleaning

if TYPE_CHECKING:
    import napari.viewer

_IMAGE, _OUTPUT = "image.tif", "masks"


def copy_segmenting(image: Image, options: Options, cleaning: Cleaning, viewer: "napari.viewer.Viewer") -> None:
    """Put the command that segments a layer in the same way into the clipboard, and show it.

    Raises
    ------
    InputError
        If no command does the same.
    """
    from napari_darl.batch.replay import Settings, segment_command  # imports torch

    seen = options.region.content == FIELD_OF_VIEW
    if options.region != EVERYTHING and not seen:
        raise InputError(
            f"The region '{options.region.name}' is drawn. Save it as a mask, pass it by --region, and choose "
            "'everything' to copy the rest."
        )
    shape, frames = frames_shape(image), None
    if not options.whole and len(shape) > 2:
        frames = FrameNumbers(str(np.ravel_multi_index(visible_frame(image, viewer), shape[:-2])))
    bits = image.metadata.get(BITS)
    segment = options.segment if bits is None else options.segment.updated(bits=int(bits))
    path = path_of(image)
    settings = Settings(options.model, segment, cleaning, frames=frames, field_of_view=seen)
    show_copied(segment_command(settings, path or _IMAGE, _OUTPUT), [] if path else [_IMAGE])
