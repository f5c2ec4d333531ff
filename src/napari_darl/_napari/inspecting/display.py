"""Results of the Inspect widget as layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels
from napari.utils.colormaps import DirectLabelColormap

from napari_darl._napari.layers import frame_order, frames_shape, keeping_selection, to_world

if TYPE_CHECKING:
    import napari

    from napari_darl._napari.inspecting.work import JudgedPair, NoisyResult

Geometry = dict[str, Any]
"""The geometry of a layer, as its keyword arguments."""

_BLUE, _ORANGE = "#20c0ff", "#ff8020"
_CONTOUR = 1  # px


def add_pairs(viewer: "napari.Viewer", results: "Sequence[JudgedPair]", where: Geometry) -> Image:
    """Add backgrounds, synthetic angiograms, pseudo-masks and cycle masks; return the layer of angiograms."""
    pairs = [result.pair for result in results]
    masks = np.stack([pair.mask for pair in pairs])
    cycle = np.stack([pair.cycle_probability > 0.5 for pair in pairs])
    with keeping_selection(viewer):
        background = np.stack([pair.background for pair in pairs])
        viewer.add_layer(Image(background, name="pairs: background", visible=False, **where))
        angiograms = Image(np.stack([pair.angiogram for pair in pairs]), name="pairs: synthetic angiogram", **where)
        viewer.add_layer(angiograms)
        for layer in (
            _mask(masks, "pairs: pseudo-mask", _BLUE, **where),
            _mask(cycle, "pairs: cycle mask", _ORANGE, **where),
        ):
            viewer.add_layer(layer)
            layer.contour = _CONTOUR
    return angiograms


def add_reverse_process(viewer: "napari.Viewer", frames: Sequence[npt.NDArray[np.float32]]) -> None:
    """Add the steps of the reverse process as a stack."""
    with keeping_selection(viewer):
        viewer.add_layer(Image(np.stack(frames), name="reverse process", contrast_limits=(-1, 1)))


def add_uncertainty(viewer: "napari.Viewer", maps: npt.NDArray[np.float32], where: Geometry) -> Image:
    """Add maps of uncertainty (0 to 0.5) over the frames; return the layer."""
    look = {"colormap": "magma", "blending": "additive", "contrast_limits": (0, 0.5)}
    layer = Image(maps, name="uncertainty", rgb=False, **where, **look)
    with keeping_selection(viewer):
        viewer.add_layer(layer)
    return layer


def add_noisy_views(viewer: "napari.Viewer", results: "Sequence[NoisyResult]", where: Geometry) -> Image:
    """Add the noisy frames, and the mask of each; return the layer of frames."""
    frames = Image(np.stack([result.view.frame for result in results]), name="noise: frame", **where)
    masks = np.stack([result.view.probability > 0.5 for result in results])
    with keeping_selection(viewer):
        viewer.add_layer(frames)
        viewer.add_layer(_mask(masks, "noise: mask", _ORANGE, opacity=0.5, **where))
    return frames


def show_frame(viewer: "napari.Viewer", layer: Image, number: int) -> None:
    """Move the viewer's sliders to frame `number` of a layer, counted over all its leading axes."""
    leading = list(frame_order(layer)[:-2])
    point = np.zeros(layer.ndim)
    point[leading] = np.unravel_index(number, frames_shape(layer)[:-2])
    world = to_world(layer, point, viewer)
    for axis in leading:
        viewer.dims.set_point(viewer.dims.ndim - layer.ndim + axis, world[axis])


def _mask(masks: npt.NDArray[np.bool_], name: str, colour: str, **look: Any) -> Labels:
    colours = DirectLabelColormap(color_dict={None: colour, 0: "transparent", 1: colour})
    return Labels(masks.astype(np.uint8), name=name, colormap=colours, **look)
