"""The offer to restore edits of the chosen image that weren't saved, because napari crashed or was closed."""

from typing import TYPE_CHECKING

from napari.layers import Image
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout
from superqt.utils import create_worker

from napari_darl._napari.layers import frames_shape, pixels
from napari_darl._napari.pickers import explanation
from napari_darl._napari.segmenting.autosave import edits_store, find_edits
from napari_darl._napari.segmenting.edits import Edits
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl.errors import DarlError, FileError

if TYPE_CHECKING:
    import napari.viewer


class UnsavedEdits(QGroupBox):
    """Offers the newest edits of an image; hidden unless there are some."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__("Edits that weren't saved")
        self._segmenter = Segmenter.of(viewer)
        self._image: Image | None = None
        self._name = ""
        self.words = explanation()
        self.restore = QPushButton("Restore")
        self.restore.setToolTip("Adds a mask with your edits, and segments the frames that you hadn't edited.")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Removes these edits for good.")
        row = QHBoxLayout()
        row.addWidget(self.restore)
        row.addWidget(self.discard)
        column = QVBoxLayout(self)
        column.addWidget(self.words)
        column.addLayout(row)
        self.restore.clicked.connect(self._restore)
        self.discard.clicked.connect(self._discard)
        self.hide()

    def look_for(self, image: Image | None) -> None:
        """Look for edits of an image, in a thread."""
        self._image = image
        self.hide()
        if image is None:
            return
        try:
            data = pixels(image)
        except DarlError:  # its axes can't be reordered: it was never segmented
            return
        create_worker(_found, image, data, frames_shape(image), _connect={"returned": self._offer})

    def _offer(self, found: tuple[Image, str, Edits] | None) -> None:
        if found is None or found[0] is not self._image:
            return
        _, self._name, edits = found
        count = len(edits.frames)
        frames = "One frame" if count == 1 else f"{count} frames"
        self.words.setText(f"{frames} of '{edits.about.image}', edited on {edits.about.saved}.")
        self.show()

    def _restore(self) -> None:
        if self._image is None:
            return
        try:
            self._segmenter.restore(self._image, self._name)
        except DarlError as error:
            show_error(str(error))
            return
        self.hide()

    def _discard(self) -> None:
        edits_store().forget(self._name)
        self.look_for(self._image)  # there may be older ones


def _found(image: Image, data: object, shape: tuple[int, ...]) -> tuple[Image, str, Edits] | None:
    name = find_edits(data, shape)
    if name is None:
        return None
    try:
        return image, name, edits_store().read(name)
    except FileError:  # removed meanwhile, or damaged
        return None
