"""Results of the Inspect widget as layers."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from napari.layers import Image, Labels, Layer
from napari.utils.colormaps import DirectLabelColormap

from napari_darl._napari.colours import BLUE, ORANGE
from napari_darl._napari.layers import checksum, frame_order, frames_shape, keeping_selection, to_world
from napari_darl._napari.open_viewer import OpenViewer

if TYPE_CHECKING:
    import napari

    from napari_darl._napari.inspecting.work import JudgedPair, NoisyResult

Geometry = dict[str, Any]
"""The geometry of a layer, as its keyword arguments."""

_CONTOUR = 1  # px


class Results:
    """The layers of the latest result of a kind, such as pairs.

    A further result replaces them, unless the user has made one of them theirs: renamed it, or changed its values.
    Then all of them stay, since they belong together.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._viewer = OpenViewer(viewer)
        self._former: list[tuple[Layer, str, int]] = []

    def show(self, layers: Sequence[Layer]) -> None:
        """Add the layers of a new result in place of those of the former one."""
        viewer = self._viewer()
        if viewer is None:
            return
        former = [(layer, name, before) for layer, name, before in self._former if layer in viewer.layers]
        if any(layer.name != name or checksum(layer.data) != before for layer, name, before in former):
            former = []
        names = [layer.name for layer in layers]
        hidden = {name for layer, name, _ in former if not layer.visible}
        with keeping_selection(viewer):
            for layer in layers:
                viewer.add_layer(layer)
            # After the new ones, since napari may crash if layers are added before it has drawn that others are gone.
            for layer, *_ in former:
                viewer.layers.remove(layer)
        for layer, name in zip(layers, names, strict=True):
            if former:
                layer.name, layer.visible = name, name not in hidden
        self._former = [(layer, layer.name, checksum(layer.data)) for layer in layers]


def pair_layers(results: "Sequence[JudgedPair]", where: Geometry) -> tuple[Image, Image, Labels, Labels]:
    """Make layers of backgrounds, synthetic angiograms, pseudo-masks and cycle masks."""
    pairs = [result.pair for result in results]
    masks = np.stack([pair.mask for pair in pairs])
    cycle = np.stack([pair.cycle_probability > 0.5 for pair in pairs])
    background = np.stack([pair.background for pair in pairs])
    angiograms = np.stack([pair.angiogram for pair in pairs])
    return (
        Image(background, name="pairs: background", visible=False, **where),
        Image(angiograms, name="pairs: synthetic angiogram", **where),
        _mask(masks, "pairs: pseudo-mask", BLUE, contour=_CONTOUR, **where),
        _mask(cycle, "pairs: cycle mask", ORANGE, contour=_CONTOUR, **where),
    )


def chain_layer(frames: Sequence[npt.NDArray[np.float32]]) -> Image:
    """Make a layer of the steps of the reverse process, as a stack."""
    return Image(np.stack(frames), name="reverse process", contrast_limits=(-1, 1))


def uncertainty_layer(maps: npt.NDArray[np.float32], where: Geometry) -> Image:
    """Make a layer of maps of uncertainty (0 to 0.5) over the frames."""
    look = {"colormap": "magma", "blending": "additive", "contrast_limits": (0, 0.5)}
    return Image(maps, name="uncertainty", rgb=False, **where, **look)


def noise_layers(results: "Sequence[NoisyResult]", where: Geometry) -> tuple[Image, Labels]:
    """Make layers of the noisy frames, and of the mask of each."""
    frames = Image(np.stack([result.view.frame for result in results]), name="noise: frame", **where)
    masks = np.stack([result.view.probability > 0.5 for result in results])
    return frames, _mask(masks, "noise: mask", ORANGE, opacity=0.5, **where)


def show_frame(viewer: "napari.Viewer", layer: Image, number: int) -> None:
    """Move the viewer's sliders to frame `number` of a layer, counted over all its leading axes."""
    leading = list(frame_order(layer)[:-2])
    point = np.zeros(layer.ndim)
    point[leading] = np.unravel_index(number, frames_shape(layer)[:-2])
    world = to_world(layer, point, viewer)
    for axis in leading:
        viewer.dims.set_point(viewer.dims.ndim - layer.ndim + axis, world[axis])


def _mask(masks: npt.NDArray[np.bool_], name: str, colour: str, *, contour: int = 0, **look: Any) -> Labels:
    colours = DirectLabelColormap(color_dict={None: colour, 0: "transparent", 1: colour})
    layer = Labels(masks.astype(np.uint8), name=name, colormap=colours, **look)
    layer.contour = contour
    return layer
