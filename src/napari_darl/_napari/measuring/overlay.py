"""The layers of a measurement: paths coloured by diameter, and branch points, of the frame that is shown."""

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Layer, Points, Shapes
from skimage.measure import approximate_polygon

from napari_darl._napari.colours import VALUES
from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import frame_order, keeping_selection
from napari_darl._napari.open_viewer import OpenViewer

if TYPE_CHECKING:
    import napari

    from napari_darl.measuring.frame import FrameTables

Floats = npt.NDArray[np.float64]

MOST_PATHS = 1500
"""Paths that are drawn; more would hold up the window for seconds."""

_EXACT = 0.15  # px by which a drawn path may depart from the measured one
_WIDTH, _SELECTED = 1.5, 4.0  # px, width of a path


class Overlay:
    """Paths and branch points over a mask.

    The layers show one frame of a stack at a time. A layer that the user has edited is theirs: it is left alone, and
    the next measurement adds another one.

    Parameters
    ----------
    viewer
        Where the layers are added.
    mask
        The measured layer.
    """

    def __init__(self, viewer: "napari.Viewer", mask: Labels) -> None:
        self._viewer = OpenViewer(viewer)
        self.name = mask.name
        self._place = geometry(mask)
        self._order = frame_order(mask)
        self.paths: Shapes | None = None
        self.branch_points: Points | None = None
        self._writing = False

    def show(self, tables: "FrameTables", leading: tuple[int, ...], widths: tuple[float, float], unit: str) -> None:
        """Show a frame.

        Parameters
        ----------
        tables
            Its measurements.
        leading
            Its place on the axes over which frames are stacked.
        widths
            Diameters of the first and the last colour.
        unit
            Unit of length, which becomes a column of the features.
        """
        viewer = self._viewer()
        if viewer is None:
            return
        self._writing = True
        try:
            with keeping_selection(viewer):
                self._show_paths(viewer, tables, leading, widths, unit)
                self._show_branch_points(viewer, tables, leading, unit)
        finally:
            self._writing = False

    def follow(self, mask: Labels) -> None:
        """Lie over the mask where it is now, and take its name."""
        self._place, self._order, self.name = geometry(mask), frame_order(mask), mask.name
        for layer in (self.paths, self.branch_points):
            if layer is not None:
                for key, value in self._place.items():
                    setattr(layer, key, value)

    def _show_paths(
        self,
        viewer: "napari.Viewer",
        tables: "FrameTables",
        leading: tuple[int, ...],
        widths: tuple[float, float],
        unit: str,
    ) -> None:
        longest = np.sort(np.argsort(-tables.segments["length"], kind="stable")[:MOST_PATHS])
        lines = [self._placed(_simplified(tables.paths[number]), leading) for number in longest.tolist()]
        features = {name: values[longest] for name, values in tables.segments.items()}
        features["unit"] = np.full(len(longest), unit)
        low, high = widths
        limits = (low, max(high, low + 1e-6))
        if self._gone(self.paths, viewer):
            self.paths = None
        if self.paths is None:
            if not lines:
                return
            self.paths = Shapes(
                lines,
                shape_type="path",
                name=f"{self.name} paths",
                features=features,
                edge_color="diameter",
                edge_colormap=VALUES,
                edge_contrast_limits=limits,
                edge_width=_WIDTH,
                **self._place,
            )
            self._add(viewer, self.paths)
            self.paths.selected_data.events.items_changed.connect(partial(_show_selection, ref(self.paths)))
            self.paths.mouse_drag_callbacks.append(_select_clicked)
            return
        self.paths.selected_data = set()
        self.paths.data = [(line, "path") for line in lines]
        self.paths.features = features
        if lines:
            self.paths.edge_contrast_limits = limits
            self.paths.edge_color = "diameter"
            self.paths.edge_width = _WIDTH

    def _show_branch_points(
        self, viewer: "napari.Viewer", tables: "FrameTables", leading: tuple[int, ...], unit: str
    ) -> None:
        columns = tables.branch_points
        axes = [columns[name] for name in "zyx" if name in columns]
        places = self._placed(np.stack(axes, axis=1), leading)
        features = {**columns, "unit": np.full(len(places), unit)}
        if self._gone(self.branch_points, viewer):
            self.branch_points = None
        if self.branch_points is None:
            if not len(places):
                return
            self.branch_points = Points(
                places,
                name=f"{self.name} branch points",
                features=features,
                size=5,
                face_color="transparent",
                border_color="white",
                border_width=0.2,
                **self._place,
            )
            self._add(viewer, self.branch_points)
            return
        self.branch_points.selected_data = set()
        self.branch_points.data = places
        self.branch_points.features = features

    def _placed(self, points: Floats, leading: tuple[int, ...]) -> Floats:
        """Bring positions in a frame or volume to the axes of the layer."""
        placed = np.zeros((len(points), len(self._order)))
        for axis, values in zip(self._order, (*leading, *points.T), strict=True):
            placed[:, axis] = values
        return placed

    def _add(self, viewer: "napari.Viewer", layer: Layer) -> None:
        viewer.add_layer(layer)
        layer.events.data.connect(self._edited)

    def _edited(self, event: Any) -> None:
        """Leave a layer that the user edits to them."""
        if not self._writing:
            if event.source is self.paths:
                self.paths = None
            elif event.source is self.branch_points:
                self.branch_points = None

    def _gone(self, layer: Layer | None, viewer: "napari.Viewer") -> bool:
        return layer is not None and layer not in viewer.layers


def _simplified(path: Floats) -> Floats:
    """Drop points of a path that change nothing that could be seen."""
    line = approximate_polygon(path, _EXACT) if path.shape[1] == 2 else path[:: max(len(path) // 50, 1)]
    return line if len(line) > 1 else path


def _show_selection(layer: "ref[Shapes]", *_: object) -> None:
    """Draw selected paths wider; napari's own outline is hard to see on a line."""
    paths = layer()
    if paths is not None and len(paths.data):
        widths = [_SELECTED if number in paths.selected_data else _WIDTH for number in range(len(paths.data))]
        if widths != list(paths.edge_width):
            paths.edge_width = widths


def _select_clicked(layer: Shapes, event: Any) -> None:
    """Select the path under the mouse: a click selects its row in napari's features table."""
    if layer.mode == "pan_zoom":
        value = layer.get_value(
            event.position,
            view_direction=event.view_direction,
            dims_displayed=event.dims_displayed,
            world=True,
        )
        number = value[0] if value is not None else None
        layer.selected_data = set() if number is None else {number}
