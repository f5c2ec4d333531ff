"""The tab *Real frames*: how sure path A is of them, without labels."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Image
from qtpy.QtWidgets import QFormLayout, QLineEdit, QPushButton, QWidget

from napari_darl._napari.inspecting import work
from napari_darl._napari.inspecting.tables import ResultTable
from napari_darl._napari.layers import frames_shape, visible_frame
from napari_darl._napari.pickers import channel_choice, explanation, resize_box, show_polarity, vessels_choice
from napari_darl._napari.stacks import StackPicker
from napari_darl.errors import InputError
from napari_darl.inference.options import SegmentOptions
from napari_darl.inference.scale import guess_resize
from napari_darl.models import model_traits

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.inspecting.work import FrameSettings, NoisyResult
    from napari_darl._napari.segmenting.options import Options
    from napari_darl.inference.trust import Trust


class FramesTab(QWidget):
    """Asks which frames a model is tested on, and lists their scores."""

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self.stack = StackPicker(viewer, {}, 0, "Real frames on which the model is tested.")
        self.channel = channel_choice()
        self.vessels = vessels_choice()
        self.resize_factor = resize_box(may_estimate=True)
        self.assess = QPushButton("Assess frames")
        self.assess.setToolTip("Scores each frame without labels, and adds maps of uncertainty.")
        self.scores = ResultTable("frame", "score", tip="How sure the model is of each frame, 0 to 1.")
        self.words = explanation()
        self.levels = QLineEdit("50, 100, 200, 400")
        self.levels.setToolTip("Timesteps, separated by commas, up to which the visible frame is noised.")
        self.try_noise = QPushButton("Try noise")
        self.try_noise.setToolTip("Segments the visible frame at these timesteps, and with Gaussian noise.")
        self.noises = ResultTable("view", "noise", "vessel %", "Dice", tip="Masks under noise against that without it.")
        form = QFormLayout(self)
        form.addRow("frames", self.stack)
        form.addRow("channel", self.channel)
        form.addRow("vessels", self.vessels)
        form.addRow("resize", self.resize_factor)
        form.addRow(self.assess)
        form.addRow(self.scores)
        form.addRow(self.words)
        form.addRow("noise levels", self.levels)
        form.addRow(self.try_noise)
        form.addRow(self.noises)
        self._form = form
        self.channel.currentTextChanged.connect(self._channel_changed)
        self.stack.changed.connect(self._stack_changed)
        self._stack_changed()

    def suit(self, model: str) -> None:
        """Choose the vessels that a model is made for."""
        show_polarity(self.vessels, model)

    def take(self, image: Image, options: "Options") -> None:
        """Choose the options with which an image was segmented; a resize factor that was estimated is left open."""
        segment, (height, width) = options.segment, frames_shape(image)[-2:]
        traits = model_traits(options.model)
        estimated = segment.resize == guess_resize(height, width, *traits.pixel_size)
        self.vessels.setCurrentText("bright" if segment.bright else "dark")
        self.resize_factor.setValue(0 if estimated else segment.resize or 0)
        self.channel.setCurrentText(str(segment.channel or self.channel.itemText(0)))

    def settings(self, model: str, device: str) -> "FrameSettings":
        """Return how a model is tested.

        Raises
        ------
        InputError
            If there are no frames.
        """
        reading = self.stack.reading()
        if reading is None:
            raise InputError("There are no frames. Open some, or choose a folder of frames.")
        options = SegmentOptions(
            bright=self.vessels.currentText() == "bright", resize=self.resize_factor.value() or None, device=device
        )
        return work.FrameSettings(model, options, reading)

    def noise_levels(self) -> list[int]:
        """Return the timesteps up to which a frame is noised.

        Raises
        ------
        InputError
            If anything but whole numbers was entered.
        """
        try:
            return [int(part) for part in self.levels.text().split(",") if part.strip()]
        except ValueError as error:
            message = f"The noise levels are '{self.levels.text()}'. Enter timesteps, separated by commas."
            raise InputError(message) from error

    def visible_number(self) -> int:
        """Return the number of the frame that the viewer shows, counted over all leading axes of the layer."""
        chosen = self.stack.chosen
        if not isinstance(chosen, Image) or chosen.ndim <= 2:
            return 0
        return int(np.ravel_multi_index(visible_frame(chosen, self._viewer), frames_shape(chosen)[:-2]))

    def command(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the input and the options of `napari-darl assess` that give the same scores.

        Raises
        ------
        InputError
            If no command reads these frames.
        """
        source = self.stack.source()
        if source is None:
            raise InputError("No command takes several layers. Choose one layer, a folder or a file of frames.")
        resize, channel = self.resize_factor.value() or None, self.stack.channel
        return {"frames.tif": source}, {"resize": resize, "channel": channel, self.vessels.currentText(): True}

    def _stack_changed(self) -> None:
        """Ask for the channel where there may be colours."""
        chosen = self.stack.chosen
        self._form.setRowVisible(self.channel, bool(chosen.rgb) if isinstance(chosen, Image) else chosen is not None)

    def _channel_changed(self) -> None:
        self.stack.channel = self.channel.currentText() if self.channel.currentIndex() else None

    def show_scores(self, results: "Sequence[Trust]") -> None:
        """List the scores, and say what they mean."""
        scores = [trust.score for trust in results]
        self.scores.fill((score,) for score in scores)
        worst = int(np.argmin(scores))
        self.words.setText(
            f"The mean score is {np.mean(scores):.2f}; look at frame {worst} first ({scores[worst]:.2f}). A score of 1 "
            "means that all views of a frame give the same, certain mask. The score ranks frames about as an expert "
            "would. It is no Dice, and it can't show what the model has never learned."
        )

    def show_noises(self, results: "Sequence[NoisyResult]") -> None:
        """List the masks under noise."""
        rows = [result.robustness for result in results]
        self.noises.fill((row.noise, row.vessel, row.agreement) for row in rows)
        self.noises.selectRow(0)
