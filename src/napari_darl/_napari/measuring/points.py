"""Two points that the user places and drags."""

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np
import numpy.typing as npt
from napari.layers import Labels, Points
from qtpy.compat import isalive
from qtpy.QtCore import QObject, QTimer, Signal

from napari_darl._napari.geometry import geometry

if TYPE_CHECKING:
    import napari.viewer


class TwoPoints(QObject):
    """A Points layer of at most two points; a third replaces the first.

    Signals
    -------
    moved
        There are two points, and one of them is new or was moved.
    """

    moved = Signal()

    def __init__(self, viewer: "napari.viewer.Viewer", name: str, colour: str) -> None:
        super().__init__()
        self._viewer, self._name, self._colour = viewer, name, colour
        self.layer: Points | None = None
        self._writing = False

    def place(self, over: Labels) -> None:
        """Let the user place points over a layer: the next two clicks do."""
        if self.layer is None or self.layer not in self._viewer.layers or self.layer.ndim != over.ndim:
            self.layer = Points(
                ndim=over.ndim,
                name=self._name,
                size=8,
                face_color="transparent",
                border_color=self._colour,
                border_width=0.25,
                **geometry(over),
            )
            self._viewer.add_layer(self.layer)
            self.layer.events.data.connect(self._changed)
            self.layer.mouse_drag_callbacks.append(partial(_follow_drag, ref(self)))
        else:
            self._writing = True
            self.layer.data = np.zeros((0, over.ndim))
            self._writing = False
            for key, value in geometry(over).items():
                setattr(self.layer, key, value)
        self._viewer.layers.selection.active = self.layer
        self.layer.mode = "add"

    @property
    def points(self) -> npt.NDArray[np.float64] | None:
        """Both points, in pixels of the layer; None unless there are two."""
        if self.layer is None or self.layer not in self._viewer.layers or len(self.layer.data) != 2:
            return None
        return np.array(self.layer.data, np.float64)

    def _changed(self, event: Any) -> None:
        layer = self.layer
        if self._writing or layer is None or event.action.value.endswith("ing"):  # adding, removing: not done yet
            return
        QTimer.singleShot(0, self.settle)  # napari is still within its own handling of the mouse

    def settle(self) -> None:
        """Keep the last two points, and emit a signal with them."""
        layer = self.layer
        if not isalive(self) or layer is None or layer not in self._viewer.layers:  # type: ignore[no-untyped-call]
            return
        if len(layer.data) > 2:
            self._writing = True
            layer.data = layer.data[-2:]
            self._writing = False
        if len(layer.data) == 2:
            if layer.mode == "add":
                layer.mode = "select"  # so that they can be dragged
            self.moved.emit()


def _follow_drag(points: "ref[TwoPoints]", _layer: Points, event: Any) -> Generator[None, None, None]:
    """Tell of each move while a point is dragged; napari itself tells only at the end."""
    yield
    while event.type == "mouse_move":
        if (both := points()) is not None:
            QTimer.singleShot(0, both.settle)
        yield
