"""Where vessels are looked for: everywhere, in the field of view, or in what a person has drawn."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer, Shapes
from scipy.ndimage import affine_transform

from napari_darl._napari.geometry import unit_factors
from napari_darl._napari.layers import Index, finest, frame_order, frames_shape, pixels
from napari_darl.errors import InputError
from napari_darl.frames.arrays import to_grey
from napari_darl.frames.field_of_view import find_field_of_view

Mask = npt.NDArray[np.bool_]
Region = Callable[[Index], Mask | None]
"""Maps the place of a frame to what counts of it, bool (Y, X); none is everything. Called in a thread."""


def everywhere(_: Index) -> Mask | None:
    """Count everything."""
    return None


def field_of_view(image: Image) -> Region:
    """Count, of each frame, what the detector or the camera saw."""
    data, rgb = pixels(image), image.rgb

    def inside(index: Index) -> Mask | None:
        frame = np.asarray(data[index])
        return find_field_of_view(to_grey(frame, "luminance") if rgb else frame)

    return inside


def drawn_region(drawn: Layer, image: Image) -> Region:
    """Count what is drawn in a Shapes or Labels layer, wherever the two layers lie.

    All shapes count in all frames, and so does a Labels layer of a single frame; one of as many frames as the image has
    counts frame by frame.

    Raises
    ------
    InputError
        If nothing is drawn over the image, or a Labels layer has another number of frames.
    """
    shape = frames_shape(image)
    leading, frame = shape[:-2], (shape[-2], shape[-1])
    if isinstance(drawn, Shapes):
        return _constant(_rasterised(drawn, image, frame), drawn)
    if not isinstance(drawn, Labels):
        raise InputError(f"'{drawn.name}' can't be a region: choose a Shapes or a Labels layer")
    data = finest(drawn)
    if isinstance(data, np.ndarray):
        data = data.copy()  # what is drawn now counts, even if the drawing is the mask that the run will replace
    if drawn.ndim == image.ndim:
        data = data.transpose(frame_order(image))
    matrix, offset = _to_pixels_of(drawn, image)

    def sampled(labels: npt.NDArray[Any]) -> Mask:
        found: Mask = (
            affine_transform((labels > 0).astype(np.uint8), matrix, offset, frame, order=0, prefilter=False) > 0
        )
        return found

    if data.ndim == 2 or set(data.shape[:-2]) == {1}:
        return _constant(sampled(np.asarray(data).reshape(data.shape[-2:])), drawn)
    if data.shape[:-2] != leading:
        raise InputError(
            f"'{drawn.name}' has {_counted(data.shape[:-2])} and '{image.name}' has {_counted(leading)}: "
            "choose a region of as many frames, or of one"
        )
    return lambda index: sampled(np.asarray(data[index]))


def _counted(leading: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, leading))} frames" if leading else "one frame"


def _constant(mask: Mask, drawn: Layer) -> Region:
    if not mask.any():
        raise InputError(f"nothing in '{drawn.name}' lies over the image: draw a region there, or choose another")
    return lambda _: mask


def _rasterised(shapes: Shapes, image: Image, frame: tuple[int, int]) -> Mask:
    """Draw shapes in the image's pixels; napari's own shapes know ellipses, lines and paths."""
    matrix, offset = _to_pixels_of(image, shapes)
    y, x = _plane(shapes, image)
    moved = [np.asarray(vertices)[:, [y, x]] @ matrix.T + offset for vertices in shapes.data]
    if not moved:
        return np.zeros(frame, bool)
    copy = Shapes(moved, shape_type=list(shapes.shape_type), edge_width=list(shapes.edge_width))
    mask: Mask = copy.to_masks(mask_shape=frame).any(axis=0)
    return mask


def _plane(layer: Layer, image: Image) -> tuple[int, int]:
    """Axes of a layer that are y and x: the image's, if it has as many, else the last two."""
    order = frame_order(image) if layer.ndim == image.ndim else range(layer.ndim)
    return order[-2], order[-1]


def _to_pixels_of(target: Layer, source: Layer) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Matrix and offset that bring (y, x) of the source's pixels to the target's; one of the two is the image.

    What the other axes say moves neither.
    """
    image = target if isinstance(target, Image) else source
    shared = min(source.ndim, target.ndim)
    factors = unit_factors(source.units[-shared:], target.units[-shared:])

    def moved(*at: float) -> npt.NDArray[np.float64]:
        point = np.zeros(source.ndim)
        point[list(_plane(source, image))] = at
        world = np.zeros(max(source.ndim, target.ndim))
        world[-source.ndim :] = source.data_to_world(point)
        world[-shared:] *= factors
        return np.asarray(target.world_to_data(world[-target.ndim :]))[list(_plane(target, image))]

    origin = moved(0, 0)
    return np.stack([moved(1, 0) - origin, moved(0, 1) - origin], axis=1), origin
