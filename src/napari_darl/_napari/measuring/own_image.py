"""Which image a mask was made of, and which mask of an image."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

from napari.layers import Image, Labels

from napari_darl._napari.command_line import path_of
from napari_darl._napari.layers import bare, frames_shape
from napari_darl._napari.mask_files import provenance_of

if TYPE_CHECKING:
    import napari.viewer

_NUMBER = re.compile(r" \[\d+\]$")  # which napari puts behind a name that another layer has


def own_image(mask: Labels, viewer: "napari.viewer.Viewer") -> Image | None:
    """Return the image of a mask's shape of which its name or its metadata say that it was made of; None if unknown."""
    images = [bare(layer) for layer in viewer.layers if isinstance(layer, Image)]
    alike = [image for image in images if frames_shape(image) == frames_shape(mask)]
    name, source = _NUMBER.sub("", mask.name), provenance_of(mask.metadata).get("source")
    named = [image for image in alike if name in (f"{image.name} vessels", f"{image.name}_mask")]
    made_of = [image for image in alike if source and source in (image.name, Path(path_of(image) or "").name)]
    return next(iter([*named, *made_of]), None)


def own_mask(image: Image, viewer: "napari.viewer.Viewer") -> Labels | None:
    """Return the newest mask that was made of an image; None if there is none."""
    masks = [bare(layer) for layer in viewer.layers if isinstance(layer, Labels)]
    return next((mask for mask in reversed(masks) if own_image(mask, viewer) is image), None)
