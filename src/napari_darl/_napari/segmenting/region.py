"""The regions that a user can choose: the whole frame, its field of view, or a Shapes or Labels layer."""

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer, Shapes
from scipy.ndimage import affine_transform

from napari_darl._napari.geometry import unit_factors
from napari_darl._napari.layers import bare, finest, frame_order, frames_shape, pixels
from napari_darl.errors import InputError
from napari_darl.frames.regions import EVERYTHING, Region, digest, field_of_view
from napari_darl.io.arrays import ImageData

if TYPE_CHECKING:
    import napari

_EVERYTHING, _FIELD = "everything", "field of view"

Mask = npt.NDArray[np.bool_]


def region_choices(viewer: "napari.Viewer") -> list[tuple[str, str | Layer]]:
    """Return the regions of a viewer as choices: a title, and what `chosen_region` takes."""
    ours = (_EVERYTHING, _FIELD)
    drawn = [bare(layer) for layer in viewer.layers if isinstance(layer, Shapes | Labels)]
    names = [f"{layer.name} (layer)" if layer.name in ours else layer.name for layer in drawn]
    return [*zip(ours, ours, strict=True), *zip(names, drawn, strict=True)]


def chosen_region(chosen: str | Layer | None, image: Image) -> Region:
    """Return the region of an image that was chosen.

    Raises
    ------
    InputError
        If it is a layer that doesn't fit the image.
    """
    if chosen == _FIELD:
        return field_of_view(ImageData(pixels(image), bool(image.rgb)))
    if isinstance(chosen, Layer):
        return drawn_region(chosen, image)
    return EVERYTHING


def drawn_region(drawn: Layer, image: Image) -> Region:
    """Return the region drawn in a Shapes or Labels layer, as it is now, at the place where it lies over the image.

    Shapes apply to all frames, and so does a Labels layer with a single frame. A Labels layer with as many frames as
    the image applies frame by frame.

    Parameters
    ----------
    drawn : Shapes or Labels
        The layer; labels other than 0 count.
    image : Image
        The image to be segmented.

    Returns
    -------
    Region
        Its masks have the shape of the image's frames.

    Raises
    ------
    InputError
        If nothing is drawn over the image, or if the number of frames differs.
    """
    shape = frames_shape(image)
    leading, frame = shape[:-2], (shape[-2], shape[-1])
    if isinstance(drawn, Shapes):
        return _constant(_rasterised(drawn, image, frame), drawn)
    if not isinstance(drawn, Labels):
        raise InputError(f"'{drawn.name}' can't be used as a region. Choose a Shapes or a Labels layer.")
    data = finest(drawn)
    if isinstance(data, np.ndarray):
        data = data > 0  # a copy: the drawing may change, or be the very mask that the run replaces
    if drawn.ndim == image.ndim:
        data = data.transpose(frame_order(image))
    matrix, offset = _to_pixels_of(drawn, image)

    def resampled(labels: npt.NDArray[Any]) -> Mask:
        mask: Mask = (
            affine_transform((labels > 0).astype(np.uint8), matrix, offset, frame, order=0, prefilter=False) > 0
        )
        return mask

    if data.ndim == 2 or set(data.shape[:-2]) == {1}:
        return _constant(resampled(np.asarray(data).reshape(data.shape[-2:])), drawn)
    if data.shape[:-2] != leading:
        raise InputError(
            f"'{drawn.name}' has {_counted(data.shape[:-2])}, but '{image.name}' has {_counted(leading)}. "
            "Choose a region with the same number of frames, or with a single one."
        )
    # Labels in a file or on a cluster are too large to compare. Such a region equals only itself.
    content = digest(data, matrix, offset) if isinstance(data, np.ndarray) else object()
    return Region(drawn.name, lambda index: resampled(np.asarray(data[index])), content)


def _counted(leading: tuple[int, ...]) -> str:
    return f"{' x '.join(map(str, leading))} frames" if leading else "one frame"


def _constant(mask: Mask, drawn: Layer) -> Region:
    if not mask.any():
        raise InputError(f"Nothing in '{drawn.name}' lies over the image. Draw a region there, or choose another one.")
    return Region(drawn.name, lambda _: mask, digest(mask))


def _rasterised(shapes: Shapes, image: Image, frame: tuple[int, int]) -> Mask:
    """Draw shapes into a frame of the image; napari's own layer knows ellipses, lines and paths."""
    matrix, offset = _to_pixels_of(image, shapes)
    y, x = _plane(shapes, image)
    moved = [np.asarray(vertices)[:, [y, x]] @ matrix.T + offset for vertices in shapes.data]
    if not moved:
        return np.zeros(frame, bool)
    copy = Shapes(moved, shape_type=list(shapes.shape_type), edge_width=list(shapes.edge_width))
    mask: Mask = copy.to_masks(mask_shape=frame).any(axis=0)
    return mask


def _plane(layer: Layer, image: Image) -> tuple[int, int]:
    """Return the axes of a layer that are y and x: the image's if both have as many axes, else the last two."""
    order = frame_order(image) if layer.ndim == image.ndim else range(layer.ndim)
    return order[-2], order[-1]


def _to_pixels_of(target: Layer, source: Layer) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the matrix and the offset that map (y, x) in pixels of `source` to pixels of `target`.

    One of the two layers is the image. The position on all other axes is ignored.
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
