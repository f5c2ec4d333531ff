"""Access to napari's layers: their pixels, the visible frame, points in the world, a mask layer over an image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar
from zlib import crc32

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_darl._napari.colours import SERIES
from napari_darl._napari.file_scale import with_file_scale
from napari_darl._napari.geometry import AT_DETECTOR, SIZE, SPACING, at_detector, geometry, pixel_size, unit_factors
from napari_darl.errors import InputError
from napari_darl.io.arrays import masked_padding

if TYPE_CHECKING:
    import napari

T = TypeVar("T")
Index = tuple[int, ...]

PADDING = "padding"
"""Entry of a layer's metadata: the first and the last of the values that mean that nothing was recorded there."""

NO_IMAGE = "There is no image layer. Open an image, or choose File > Open Sample > DARL."

_COLOURS_ON_RGB = SERIES[1:]  # fundus photographs and stained sections are orange
_PAINTED = "#ffffff"  # of labels other than 1, which only the user paints


def bare(thing: T) -> T:
    """Return an object without the proxy that napari wraps around it; two proxies of one layer aren't equal."""
    return getattr(thing, "__wrapped__", thing)


def finest(layer: Image | Labels) -> Any:
    """Return the array of a layer, or the finest level of a multiscale one. Lazy arrays stay lazy."""
    return layer.data[0] if layer.multiscale else layer.data


def frame_order(image: Image) -> tuple[int, ...]:
    """Return the order of a layer's axes that puts y and x last: its own, unless the axis labels say otherwise."""
    labels = [label.lower() for label in image.axis_labels]
    axes = list(range(image.ndim))
    if labels.count("y") == labels.count("x") == 1:
        axes.sort(key=lambda axis: {"y": 1, "x": 2}.get(labels[axis], 0))
    return tuple(axes)


def pixels(image: Image) -> Any:
    """Return the array of an image layer, (..., Y, X) or (..., Y, X, colours), at the finest level.

    Lazy arrays stay lazy. Values that the layer's metadata call padding are masked.

    Raises
    ------
    InputError
        If the axes have another order and the array can't be transposed.
    """
    data = finest(image)
    if isinstance(data, np.ndarray):
        data = masked_padding(data, image.metadata.get(PADDING))
    order = frame_order(image)
    if order == tuple(range(image.ndim)):
        return data
    if not hasattr(data, "transpose"):
        raise InputError(f"The axes of '{image.name}' can't be reordered. Save it with y and x as its last axes.")
    return data.transpose((*order, image.ndim) if image.rgb else order)


def layout(image: Image) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return a function that gives frames (N, Y, X), in the order of `pixels`, the axes of an image layer.

    Frames that are missing at the end are 0. The layer is looked at now, and may change later.
    """
    order, shape = frame_order(image), frames_shape(image)

    def laid_out(frames: npt.NDArray[Any]) -> npt.NDArray[Any]:
        whole = np.zeros(shape, frames.dtype)
        whole.reshape(-1, *shape[-2:])[: len(frames)] = frames
        return whole.transpose(np.argsort(order))

    return laid_out


def frames_shape(image: Image) -> tuple[int, ...]:
    """Return the shape of `pixels`, without colours."""
    data = finest(image)
    return tuple(int(data.shape[axis]) for axis in frame_order(image))


def stack_axes(image: Image) -> str:
    """Describe the axes along which frames are stacked, as "24 t" or "3 c x 24 t"; "" for a single frame."""
    order, shape = frame_order(image), frames_shape(image)
    labels = [image.axis_labels[axis] for axis in order[:-2]]
    named = [f"{n} {label}" if label.isalpha() else str(n) for n, label in zip(shape, labels, strict=False)]
    return " x ".join(named)


def slice_distance(image: Image) -> float | None:
    """Return the distance of two slices of a volume, in pixels; None unless a layer is a volume (Z, Y, X).

    An axis that is labelled otherwise, or has another kind of unit than y and x, isn't one of slices.
    """
    order = frame_order(image)
    if len(order) != 3:
        return None
    (z, y, x), described = order, with_file_scale(image)
    known = image if described.units[z] == image.units[z] else described  # a file may say nothing of z
    label, unit = described.axis_labels[z].lower(), known.units[z]
    if (label.isalpha() and label != "z") or not unit.is_compatible_with(known.units[x]):
        return None
    sizes = np.abs(known.scale) * unit_factors(known.units, [known.units[x]] * 3)
    return float(sizes[z] / np.sqrt(sizes[y] * sizes[x]))


def to_data(layer: Layer, point: npt.ArrayLike, viewer: "napari.Viewer") -> npt.NDArray[np.float64]:
    """Map a point of the viewer's world, whose units are the smallest of all layers', to a layer's pixels."""
    world = np.array(point, float)[-layer.ndim :]
    if viewer.dims.units is not None:
        world *= unit_factors(viewer.dims.units[-layer.ndim :], layer.units)
    return np.asarray(layer.world_to_data(world))


def to_world(layer: Layer, point: npt.ArrayLike, viewer: "napari.Viewer") -> npt.NDArray[np.float64]:
    """Map a point of a layer's pixels to the viewer's world."""
    world = np.array(layer.data_to_world(point))
    if viewer.dims.units is not None:
        world *= unit_factors(layer.units, viewer.dims.units[-layer.ndim :])
    return world


def visible_frame(image: Image, viewer: "napari.Viewer") -> Index:
    """Return the index, on the leading axes of `pixels`, of the frame that the viewer shows or of the nearest one."""
    point = to_data(image, viewer.dims.point, viewer)
    shape, stacked = frames_shape(image), frame_order(image)[:-2]
    return tuple(int(np.clip(round(float(point[axis])), 0, n - 1)) for axis, n in zip(stacked, shape, strict=False))


def visible_centre(image: Image, viewer: "napari.Viewer") -> tuple[float, float]:
    """Return the row and the column of `pixels` in the middle of what the viewer shows."""
    point = list(viewer.dims.point)
    shown = viewer.dims.displayed
    for axis, at in zip(shown, viewer.scene.camera.center[-len(shown) :], strict=True):
        point[axis] = at
    centre = to_data(image, point, viewer)
    *_, y, x = frame_order(image)
    return float(centre[y]), float(centre[x])


def chosen_image(viewer: "napari.Viewer") -> Image | None:
    """Return the image layer that a command applies to: the active layer, or else the only image layer."""
    active = bare(viewer.layers.selection.active)
    if active is not None:
        return active if isinstance(active, Image) else None
    images = [bare(layer) for layer in viewer.layers if isinstance(bare(layer), Image)]
    return images[0] if len(images) == 1 else None


@contextmanager
def keeping_selection(viewer: "napari.Viewer") -> Iterator[None]:
    """Keep the selection while layers are added, which napari would select."""
    selection = viewer.layers.selection
    before = set(selection)
    yield
    if set(selection) != before:
        selection.clear()
        selection.update(before & set(viewer.layers))


def vessel_colours(viewer: "napari.Viewer", *, on_colours: bool) -> DirectLabelColormap:
    """Return the colours of a further mask layer: 1 stands for vessel, other labels are painted by the user."""
    others = sum(isinstance(bare(layer), Labels) for layer in viewer.layers)
    fitting = _COLOURS_ON_RGB if on_colours else SERIES
    return DirectLabelColormap(color_dict={None: _PAINTED, 0: "transparent", 1: fitting[others % len(fitting)]})


def mask_layer(image: Image, viewer: "napari.Viewer") -> Labels:
    """Make an empty mask layer that lies over an image; add it to the viewer afterwards.

    Parameters
    ----------
    image : Image
        The image.
    viewer : napari.Viewer
        Its number of Labels layers decides the colour.

    Returns
    -------
    Labels
        A new writable uint8 array of the image's shape without colours, all 0. 1 stands for vessel.
    """
    data, described = finest(image), with_file_scale(image)
    metadata: dict[str, Any] = {SPACING: AT_DETECTOR} if at_detector(described) else {}
    if described is not image:
        metadata[SIZE] = pixel_size(geometry(described))
    empty: npt.NDArray[np.uint8] = np.zeros(data.shape[: image.ndim], np.uint8)
    return Labels(
        empty,
        name=f"{image.name} vessels",
        colormap=vessel_colours(viewer, on_colours=bool(image.rgb)),
        metadata=metadata,
        **geometry(image),
    )


def checksum(values: npt.NDArray[Any]) -> int:
    """Return a checksum of values, by which later changes in place are noticed."""
    return crc32(np.ascontiguousarray(values).data)
