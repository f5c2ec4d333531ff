"""Previews of a training run, as layers below the user's own."""

from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
from napari.layers import Image

from napari_darl._napari.layers import bare, keeping_selection, to_world

if TYPE_CHECKING:
    import napari

    from napari_darl.training.step import Preview

_FRAME = {"colormap": "gray", "contrast_limits": (-1, 1)}
_OVER = {"colormap": "red", "blending": "additive", "contrast_limits": (0, 1)}
# For each field of a Preview its cell (row, column) in the grid, and how it is shown.
_PANELS: dict[str, tuple[tuple[int, int], dict[str, Any]]] = {
    "angiogram": ((0, 0), _FRAME),
    "mask": ((0, 0), _OVER),
    "background": ((0, 1), _FRAME),
    "pseudo_mask": ((1, 0), _FRAME),
    "fake_angiogram": ((1, 1), _FRAME),
    "cycle_mask": ((1, 2), _FRAME),
}
_NAMES = {"mask": "mask by path A", "pseudo_mask": "pseudo-mask", "fake_angiogram": "synthetic angiogram"}
_COLUMNS = 3
_GAP = 0.05  # of a panel's side


class Previews:
    """The latest sample of a training run and what the model makes of it, in a grid below all other layers.

    The layers can be changed like any others: contrast and names stay as the user sets them, and a preview that the
    user deletes doesn't come back during that run. Selection and camera are left alone.
    """

    def __init__(self, viewer: "napari.Viewer") -> None:
        self._ref = ref(viewer)
        self._layers: dict[str, Image] = {}
        self._deleted: set[str] = set()
        viewer.layers.events.removed.connect(self._removed)

    @property
    def _viewer(self) -> "napari.Viewer":
        viewer = self._ref()
        assert viewer is not None  # noqa: S101 (previews are shown in an open viewer only)
        return viewer

    def begin(self) -> None:
        """Begin a new run: previews that were deleted come back."""
        self._deleted.clear()

    def show(self, preview: "Preview") -> None:
        """Show a sample, in new layers if there are none yet."""
        wanted = [name for name in _PANELS if name not in self._deleted]
        if missing := [name for name in wanted if name not in self._layers]:
            self._make(missing, preview)
        for name in wanted:
            if name not in missing:
                _replace(self._layers[name], getattr(preview, name))

    def extent(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Return the first and the last corner of the grid, (y, x) in the viewer's world, or None without previews."""
        if not self._layers:
            return None
        corners = [
            to_world(layer, corner, self._viewer) for layer in self._layers.values() for corner in layer.extent.data
        ]
        return np.min(corners, axis=0), np.max(corners, axis=0)

    def _make(self, names: list[str], preview: "Preview") -> None:
        origin, pixel, units = self._grid(preview.angiogram.shape[0])
        side = preview.angiogram.shape[0] * pixel * (1 + _GAP)
        with keeping_selection(self._viewer):
            for name in names:
                (row, column), look = _PANELS[name]
                title = f"preview: {_NAMES.get(name, name.replace('_', ' '))}"
                layer = Image(
                    getattr(preview, name),
                    name=title,
                    scale=(pixel, pixel),
                    translate=tuple(origin + side * np.array((row, column))),
                    units=units,
                    **look,
                )
                self._layers[name] = layer
                self._viewer.add_layer(layer)

    def _grid(self, side: int) -> tuple[np.ndarray, float, Any]:
        """Return the origin of the grid, which lies below all layers, the side of its pixels and their units."""
        if self._layers:
            name, layer = next(iter(self._layers.items()))
            pixel = float(layer.scale[-1])
            offset = np.array(_PANELS[name][0]) * side * pixel * (1 + _GAP)
            return np.array(layer.translate[-2:]) - offset, pixel, layer.units[-2:]
        layers = list(self._viewer.layers)
        if not layers:
            return np.zeros(2), 1.0, None
        low, high = self._viewer.layers.extent.world[:, -2:]
        width = max(high[1] - low[1], 1e-9)
        pixel = width / (_COLUMNS + _GAP * (_COLUMNS - 1)) / side
        gap = 2 * _GAP * width / _COLUMNS
        return np.array((high[0] + gap + pixel / 2, low[1] + pixel / 2)), pixel, self._viewer.dims.units[-2:]

    def _removed(self, event: Any) -> None:
        for name, layer in list(self._layers.items()):
            if layer is bare(event.value):
                del self._layers[name]
                self._deleted.add(name)


def _replace(layer: Image, panel: np.ndarray) -> None:
    """Replace the pixels of a panel. It keeps its place and size, even if the crops of this run have another size."""
    before = layer.data.shape[0]
    layer.data = panel
    if len(panel) != before:
        pixel = float(layer.scale[-1])
        other = pixel * before / len(panel)
        layer.scale = (other, other)
        layer.translate = np.array(layer.translate) + (other - pixel) / 2
