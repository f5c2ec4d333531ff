"""The command line that segments a layer as the widget does."""

from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image
from napari.utils.notifications import show_info
from qtpy.QtWidgets import QApplication

from napari_darl._napari.bit_depth import BITS
from napari_darl._napari.layers import frames_shape, visible_frame
from napari_darl._napari.segmenting.options import Options
from napari_darl.errors import InputError
from napari_darl.frames.regions import EVERYTHING
from napari_darl.frames.selection import FrameNumbers
from napari_darl.inference.cleaning import Cleaning

if TYPE_CHECKING:
    import napari.viewer

_OUTPUT = "masks"


def copy_command(image: Image, options: Options, cleaning: Cleaning, viewer: "napari.viewer.Viewer") -> None:
    """Put the command that segments a layer in the same way into the clipboard, and show it.

    Raises
    ------
    InputError
        If no command does the same.
    """
    command = segment_command_of(image, options, cleaning, viewer)
    QApplication.clipboard().setText(command)
    unsaved = "" if image.source.path else " The image isn't a file: save it, and put its name in place of image.tif."
    show_info(f"Copied: {command}.{unsaved}")


def segment_command_of(image: Image, options: Options, cleaning: Cleaning, viewer: "napari.viewer.Viewer") -> str:
    """Return the command; see `copy_command`."""
    from napari_darl.batch.replay import Settings, segment_command  # imports torch

    if options.region != EVERYTHING:
        raise InputError(f"No command has the region '{options.region.name}'. Choose the region 'everything'.")
    shape, frames = frames_shape(image), None
    if not options.whole and len(shape) > 2:
        frames = FrameNumbers(str(np.ravel_multi_index(visible_frame(image, viewer), shape[:-2])))
    bits = image.metadata.get(BITS)
    segment = options.segment if bits is None else options.segment.updated(bits=int(bits))
    settings = Settings(options.model, segment, cleaning, frames=frames)
    return segment_command(settings, str(image.source.path or "image.tif"), _OUTPUT)
