"""The hint in the Segment widget: which models there are, and which one may suit the image."""

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QGroupBox, QHBoxLayout, QPushButton, QVBoxLayout
from superqt.utils import create_worker

from napari_darl._napari.layers import pixels, visible_frame
from napari_darl._napari.pickers import explanation
from napari_darl._napari.settings import read_settings, stop_suggesting
from napari_darl.errors import DarlError
from napari_darl.inference.suggestion import SUITS, Suggestion, suggest_model
from napari_darl.io.arrays import ImageData

if TYPE_CHECKING:
    import napari.viewer


class ModelHint(QGroupBox):
    """Names the bundled models, and suggests one for an image; hidden once the user has dismissed it.

    Signals
    -------
    accepted : str
        The user wants this model.
    """

    accepted = Signal(str)

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__("Which model?")
        self._viewer = viewer
        self._image: Image | None = None
        self._chosen, self._looks = "", 0
        self.suggestion: Suggestion | None = None
        models = explanation()
        models.setText("\n".join(f"{model}: {what}" for model, what in SUITS.items()))
        self.words = explanation()
        self.use = QPushButton("Use it")
        self.use.setToolTip("Chooses the suggested model. You can choose another one below at any time.")
        self.dismiss = QPushButton("Don't show again")
        self.dismiss.setToolTip("Hides this hint for good. The plugin's preferences bring it back.")
        row = QHBoxLayout()
        row.addWidget(self.use)
        row.addWidget(self.dismiss)
        column = QVBoxLayout(self)
        column.addWidget(models)
        column.addWidget(self.words)
        column.addLayout(row)
        self.use.clicked.connect(self._accept)
        self.dismiss.clicked.connect(self._dismiss)
        self._wanted = read_settings().suggest
        self.setVisible(self._wanted)
        self._show()

    def look_at(self, image: Image | None) -> None:
        """Suggest a model for the visible frame of an image; a thread looks at its pixels."""
        self._image, self.suggestion = image, None
        self._looks += 1
        self._show()
        if image is None or not self._wanted:
            return
        try:
            data = pixels(image)
        except DarlError:  # its axes can't be reordered, which Segment says
            return
        frame, rgb = visible_frame(image, self._viewer), bool(image.rgb)
        create_worker(_suggested, data, frame, rgb, _connect={"returned": partial(self._take, self._looks)})

    def show_chosen(self, model: str) -> None:
        """Take notice of the model that is chosen."""
        self._chosen = model
        self._show()

    def _take(self, look: int, found: Suggestion | None) -> None:
        if isalive(self) and look == self._looks:  # type: ignore[no-untyped-call] # else closed, or asked anew
            self.suggestion = found
            self._show()

    def _show(self) -> None:
        found, image = self.suggestion, self._image
        self.use.setEnabled(found is not None and found.model != self._chosen)
        if image is None:
            self.words.setText("Open an image to get a suggestion.")
        elif found is None:
            self.words.setText("")
        else:
            self.words.setText(f"'{image.name}' has {found.reason}: {found.model} may suit it best.")

    def _accept(self) -> None:
        if self.suggestion is not None:
            self.accepted.emit(self.suggestion.model)

    def _dismiss(self) -> None:
        stop_suggesting()
        self._wanted = False
        self.hide()


def _suggested(data: Any, frame: tuple[int, ...], rgb: bool) -> Suggestion | None:
    try:
        return suggest_model(ImageData(np.asanyarray(data[frame]), rgb=rgb))
    except (OSError, ValueError, MemoryError):  # a lazy image that can't be read, which Segment says
        return None
