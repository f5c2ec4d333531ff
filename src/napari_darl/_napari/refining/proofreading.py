"""Keys for going through a mask: to the next doubtful spot, remove a piece, join two pieces, accept the frame."""

from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
from qtpy.QtCore import QObject, Signal

from napari_darl._napari.layers import Index, bare, frame_order, to_data, to_world, visible_frame
from napari_darl._napari.open_viewer import OpenViewer
from napari_darl._napari.segmenting.result import Result
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl.inference.doubt import doubtful_spots
from napari_darl.refining.pieces import Mask, Point, bridge, piece_at

if TYPE_CHECKING:
    import napari.viewer

_SHOWN = 200  # px of the image about a spot, unless the user has zoomed in further

KEYS = {
    "N": "next doubtful spot",
    "K": "remove the piece under the cursor",
    "J": "join the two pieces next to the cursor",
    "G": "finished, or not",
}
"""Key, as napari spells it -> what it does."""

_proofreaders: "WeakKeyDictionary[napari.viewer.Viewer, Proofreader]" = WeakKeyDictionary()


class Proofreader(QObject):
    """What the keys of a viewer do; get it from `Proofreader.of(viewer)`.

    Removing and joining are written into the layer's own history, so napari's undo takes them back.

    Attributes
    ----------
    result : Result, optional
        The mask to act on. The widget sets it.

    Signals
    -------
    told : str
        What a key has done, or why it did nothing.
    """

    told = Signal(str)

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self.result: Result | None = None
        self._viewer = OpenViewer(viewer)
        self._spots: tuple[Result, Index, npt.NDArray[np.intp]] | None = None
        self._at = 0
        for key, action in zip(KEYS, (self.next_spot, self.remove, self.join, self.accept), strict=True):
            viewer.bind_key(key, lambda _, action=action: action(), overwrite=True)

    @classmethod
    def of(cls, viewer: "napari.viewer.Viewer") -> "Proofreader":
        """Return the viewer's proofreader. The first call creates it and binds its keys."""
        viewer = bare(viewer)
        if viewer not in _proofreaders:
            _proofreaders[viewer] = cls(viewer)
        return _proofreaders[viewer]

    def next_spot(self) -> None:
        """Move the camera to the next doubtful spot of the visible frame; after the last comes the first."""
        if (shown := self._shown()) is None:
            return
        viewer, result, index = shown
        if index not in result.done:
            self.told.emit("This frame isn't segmented yet.")
            return
        if self._spots is None or self._spots[0] is not result or self._spots[1] != index:
            spots = doubtful_spots(result.probability[index], result.cleaning.threshold)
            self._spots, self._at = (result, index, spots), -1
        spots = self._spots[2]
        if not len(spots):
            self.told.emit("No spot of this frame is doubtful.")
            return
        self._at = (self._at + 1) % len(spots)
        _look_at(viewer, result, index, spots[self._at])
        self.told.emit(f"Doubtful: {self._at + 1} of {len(spots)}")

    def remove(self) -> None:
        """Remove the piece under the cursor."""
        if (found := self._under_cursor()) is None:
            return
        result, index, point = found
        piece = piece_at(result.mask(index), point)
        if not piece.any():
            self.told.emit("No piece of the mask is under the cursor.")
            return
        _write(result, index, piece, 0)
        self.told.emit(f"Removed a piece of {np.count_nonzero(piece)} pixels.")

    def join(self) -> None:
        """Join the two pieces next to the cursor."""
        if (found := self._under_cursor()) is None:
            return
        result, index, point = found
        added = bridge(result.mask(index), result.probability[index], point)
        if added is None or not added.any():
            self.told.emit("No gap between two pieces is near the cursor.")
            return
        _write(result, index, added, 1)
        self.told.emit(f"Joined two pieces by {np.count_nonzero(added)} pixels.")

    def accept(self) -> None:
        """Tick the visible frame as finished, or take the tick back."""
        if (shown := self._shown()) is None:
            return
        viewer, result, index = shown
        Segmenter.of(viewer).finish(result, index not in result.finished)
        self.told.emit("This frame is finished." if index in result.finished else "This frame isn't finished.")

    def _shown(self) -> "tuple[napari.viewer.Viewer, Result, Index] | None":
        viewer, result = self._viewer(), self.result
        if viewer is None or result is None or result.layer not in viewer.layers:
            self.told.emit("There is no mask. Segment the image first.")
            return None
        if result.replaced:
            self.told.emit("The mask has another shape than the image.")
            return None
        return viewer, result, visible_frame(result.image, viewer)

    def _under_cursor(self) -> tuple[Result, Index, Point] | None:
        if (shown := self._shown()) is None:
            return None
        viewer, result, index = shown
        position = to_data(result.layer, viewer.cursor.position, viewer)
        y, x = (round(float(position[axis])) for axis in frame_order(result.image)[-2:])
        height, width = result.probability.shape[-2:]
        if viewer.dims.ndisplay != 2 or not (0 <= y < height and 0 <= x < width):
            self.told.emit("The cursor isn't over the mask.")
            return None
        return result, index, (y, x)


def _write(result: Result, index: Index, pixels: Mask, label: int) -> None:
    """Set pixels of a frame to a label, as one stroke that can be undone."""
    rows, columns = np.nonzero(pixels)
    whole = [*(np.full(len(rows), part) for part in index), rows, columns]
    order = frame_order(result.image)
    result.layer.data_setitem(tuple(whole[order.index(axis)] for axis in range(len(order))), label)


def _look_at(viewer: "napari.viewer.Viewer", result: Result, index: Index, spot: npt.NDArray[np.intp]) -> None:
    order, point = frame_order(result.image), np.zeros(result.layer.ndim)
    point[list(order)] = [*index, *spot]
    world = to_world(result.layer, point, viewer)
    beside = point.copy()
    beside[order[-1]] += 1
    pixel = float(np.linalg.norm(to_world(result.layer, beside, viewer) - world))
    camera, shown = viewer.scene.camera, list(viewer.dims.displayed)
    before = viewer.dims.ndim - len(world)
    camera.center = (*camera.center[: -len(shown)], *(world[axis - before] for axis in shown))
    camera.zoom = max(camera.zoom, min(viewer.canvas.size) / (_SHOWN * pixel))
