"""Two masks compared: scores of each frame, and a layer of differences."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from magicgui.widgets import ComboBox
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error
from qtpy.compat import isalive
from qtpy.QtWidgets import QFormLayout, QPushButton, QVBoxLayout, QWidget

from napari_darl._napari.colours import BLUE, ORANGE, YELLOW
from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import frame_order, frames_shape, keeping_selection
from napari_darl._napari.measuring.controls import layer_choice
from napari_darl._napari.measuring.measurement import mask_stack
from napari_darl._napari.measuring.tables import fill, value_table
from napari_darl._napari.measuring.work import ComparedFrame, comparing
from napari_darl._napari.pickers import explanation, update_choices
from napari_darl._napari.task import Task

if TYPE_CHECKING:
    import napari.viewer

_LEGEND = "Yellow: in both. Orange: in the mask only. Blue: in the other only."


class CompareTab(QWidget):
    """Compares the chosen mask with another one, which counts as the truth."""

    def __init__(self, viewer: "napari.viewer.Viewer", mask: Callable[[], Labels | None]) -> None:
        super().__init__()
        self._viewer, self._mask = viewer, mask
        self._task: Task | None = None
        self._frames: list[ComparedFrame] = []
        self.other: ComboBox = layer_choice(
            viewer, Labels, "The mask to compare with, such as an expert's.", optional=True, leave_out=self._hidden
        )
        self.button = QPushButton("Compare")
        self.button.setToolTip("Scores each frame, and adds a layer of differences.")
        tip = "The mask against the other one, which counts as the truth."
        self.scores = value_table("frame", "Dice", "clDice", "precision", "recall", tip=tip)
        self.state = explanation()
        form = QFormLayout()
        form.addRow("with", self.other.native)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.button)
        column.addWidget(self.scores, 1)
        column.addWidget(self.state)
        self.button.clicked.connect(self._clicked)

    def reset_choices(self) -> None:
        """Offer the viewer's masks as they are now; a single other one is chosen."""
        update_choices(self.other)
        masks = [mask for mask in self.other.choices if mask is not None]
        if self.other.value is None and len(masks) == 1:
            self.other.value = masks[0]

    def _hidden(self) -> list[Labels | None]:
        return [self._mask()]

    def _clicked(self) -> None:
        if self._task is not None:
            self._task.cancel()
            return
        mask, other = self._mask(), self.other.value
        if mask is None or other is None:
            show_error("Two masks are needed. Choose one at the top and another one here.")
            return
        if frames_shape(mask) != frames_shape(other):
            show_error(
                f"'{mask.name}' has the shape {frames_shape(mask)} and '{other.name}' {frames_shape(other)}. "
                "Choose masks of the same frames."
            )
            return
        self._frames = []
        stacks = mask_stack(mask, 2), mask_stack(other, 2)
        name = f"{mask.name} and {other.name}"
        place, order, shape = geometry(mask), frame_order(mask), frames_shape(mask)
        self.button.setText("Stop")
        self._task = Task(
            partial(comparing, *stacks),
            self._viewer,
            title="Comparing",
            total=len(stacks[0]),
            on_yield=self._take,
            on_end=partial(self._end, name, place, (order, shape)),
        )

    def _take(self, frame: ComparedFrame) -> None:
        if not isalive(self):  # type: ignore[no-untyped-call] # the widget was closed meanwhile
            if self._task:
                self._task.drop()
            return
        self._frames.append(frame)
        if self._task:
            self._task.show(len(self._frames))

    def _end(
        self,
        name: str,
        place: dict[str, object],
        axes: tuple[tuple[int, ...], tuple[int, ...]],
        cancelled: bool,
    ) -> None:
        self._task = None
        if not isalive(self):  # type: ignore[no-untyped-call]
            return
        self.button.setText("Compare")
        frames = self._frames
        if not frames:
            return
        values = [[f.scores.dice, f.scores.cldice, f.scores.precision, f.scores.recall] for f in frames]
        rows: list[list[str | float]] = [[str(f.number), *row] for f, row in zip(frames, values, strict=True)]
        if len(rows) > 1:
            rows.append(["mean", *np.mean(values, axis=0).tolist()])
        fill(self.scores, rows)
        self.state.setText(("Stopped. " if cancelled else "") + _LEGEND)
        order, shape = axes
        whole = np.zeros(shape, np.uint8)
        for frame in frames:
            whole.reshape(-1, *shape[-2:])[frame.number] = frame.differences
        colours = {None: "transparent", 0: "transparent", 1: YELLOW, 2: ORANGE, 3: BLUE}
        with keeping_selection(self._viewer):
            self._viewer.add_layer(
                Labels(
                    whole.transpose(np.argsort(order)),
                    name=f"{name}: differences",
                    colormap=DirectLabelColormap(color_dict=colours),
                    **place,
                )
            )
