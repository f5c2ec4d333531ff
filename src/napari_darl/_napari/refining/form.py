"""The part of the Segment widget that refines a model with corrected masks."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Labels
from napari.utils.colormaps import DirectLabelColormap
from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import QSignalBlocker, QTimer
from qtpy.QtWidgets import QCheckBox, QFileDialog, QGroupBox, QHBoxLayout, QInputDialog, QPushButton, QVBoxLayout

from napari_darl._napari.colours import BLUE, ORANGE
from napari_darl._napari.command_line import copy_button
from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import Index, frame_order, mask_layer, visible_frame
from napari_darl._napari.model_list import free_path, remember
from napari_darl._napari.pickers import explanation, short_name
from napari_darl._napari.refining.command import copy_refining
from napari_darl._napari.refining.corrections import corrections
from napari_darl._napari.refining.proofreading import KEYS, Proofreader
from napari_darl._napari.refining.work import Refined, RefineRun
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.settings import read_settings
from napari_darl._napari.task import Task
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.segmenting.result import Result

_EVERY = 200  # ms between two looks at the progress
_COLOURS = {None: "transparent", 0: "transparent", 1: BLUE, 2: ORANGE}


class RefineForm(QGroupBox):
    """Refines the model of the shown mask with its corrections, and asks whether to keep what came of it.

    Policy: a mask is never changed. The refined model's masks go into a new layer, beside a layer with the difference;
    frames ticked as finished are taken over as they are. The refined model is written to a file only when it is kept.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__("Correct and refine")
        self._viewer = viewer
        self._proofreader = Proofreader.of(viewer)
        self._result: Result | None = None
        self._task: Task | None = None
        self._run: RefineRun | None = None
        self._refined: Refined | None = None
        self._added: list[Labels] = []

        self.finished = QCheckBox("this frame is finished")
        self.finished.setToolTip(
            "All pixels of the visible frame count as corrected, not only those that you changed. Its mask stays as "
            "it is. Key G."
        )
        self.spot = QPushButton("Next spot")
        self.spot.setToolTip("Goes to the next of the spots where the mask of the frame is most doubtful. Key N.")
        self.told = explanation()
        self.keys = explanation()
        self.keys.setText("Keys: N next, K remove, J join, G finish")
        self.keys.setToolTip("\n".join(f"{key}: {what}" for key, what in KEYS.items()))
        self.button = QPushButton("Refine")
        self.button.setToolTip(
            "Train the model for a minute on your corrections. It stays as it is unless that makes it clearly better."
        )
        self.copy = copy_button()
        self.copy.setToolTip("Saves your corrections as a file, and copies the command line that refines with it.")
        self.keep = QPushButton("Keep...")
        self.keep.setToolTip("Save the refined model under a name. It is no longer label-free.")
        self.discard = QPushButton("Discard")
        self.discard.setToolTip("Remove the refined model and its layers.")
        self.state = explanation()
        choice = QHBoxLayout()
        choice.addWidget(self.keep)
        choice.addWidget(self.discard)
        column = QVBoxLayout(self)
        looking = QHBoxLayout()
        looking.addWidget(self.spot)
        looking.addWidget(self.told, 1)
        column.addLayout(looking)
        column.addWidget(self.keys)
        column.addWidget(self.finished)
        run = QHBoxLayout()
        run.addWidget(self.button, 2)
        run.addWidget(self.copy, 1)
        column.addLayout(run)
        column.addLayout(choice)
        column.addWidget(self.state)
        self._timer = QTimer(self)
        self._timer.setInterval(_EVERY)

        self._timer.timeout.connect(self._show_progress)
        self.spot.clicked.connect(self._proofreader.next_spot)
        self._proofreader.told.connect(self._tell)
        self.finished.toggled.connect(self._tick)
        self.button.clicked.connect(self._clicked)
        self.copy.clicked.connect(self._ask_copy)
        self.keep.clicked.connect(self._ask_name)
        self.discard.clicked.connect(self.discard_refined)
        viewer.dims.events.current_step.connect(self.refresh)
        self.refresh()

    def show_result(self, result: "Result | None") -> None:
        """Act on another result."""
        self._result = self._proofreader.result = result
        self.refresh()

    def refine(self) -> None:
        """Refine the model of the shown result in the background."""
        result = self._result
        if result is None or self._task is not None:
            return
        labels = corrections(result)
        if not labels:
            show_error("Nothing is corrected. Paint on the mask, or tick a frame as finished, and try again.")
            return
        self.discard_refined()
        self._run = RefineRun(result, labels)
        self._task = Task(
            self._run.work,
            self._viewer,
            title="Refining",
            total=0,
            on_yield=lambda refined: self._receive(refined, result),
            on_end=self._end,
        )
        self.state.setText(f"Loading the model; {len(labels)} corrected frames.")
        self._timer.start()
        self.refresh()

    def keep_as(self, name: str) -> Path | None:
        """Save the refined model in the folder of the user's models, under a name that doesn't exist; offer it."""
        if self._refined is None:
            return None
        folder = read_settings().models
        path = free_path(folder, name)
        try:
            self._refined.refinement.save(path)
            remember(path, folder)
        except DarlError as error:
            show_error(str(error))
            return None
        self._refined, self._added = None, []
        Segmenter.of(self._viewer).offer(str(path))
        saved = f"The refined model was saved as {short_name(str(path))}."  # the list of models has its whole path
        show_info(f"{saved} It has learnt from your corrections: it isn't label-free.")
        self.state.setText("")
        self.refresh()
        return path

    def discard_refined(self) -> None:
        """Remove the refined model and the layers that show it."""
        for layer in self._added:
            if layer in self._viewer.layers:
                self._viewer.layers.remove(layer)
        self._refined, self._added = None, []
        self.state.setText("")
        self.refresh()

    def refresh(self) -> None:
        """Show what can be done now."""
        result, working = self._result, self._task is not None
        self.finished.setEnabled(result is not None and not working)
        self.spot.setEnabled(result is not None)
        self.button.setEnabled(result is not None or working)
        self.copy.setEnabled(result is not None)
        self.button.setText("Stop" if working else "Refine")
        for button in (self.keep, self.discard):
            button.setVisible(self._refined is not None)
        ticked = result is not None and self._frame(result) in result.finished
        with QSignalBlocker(self.finished):
            self.finished.setChecked(ticked)

    def _frame(self, result: "Result") -> Index:
        return visible_frame(result.image, self._viewer)

    def _tick(self, on: bool) -> None:
        if self._result is not None:
            Segmenter.of(self._viewer).finish(self._result, on)

    def _tell(self, message: str) -> None:
        self.told.setText(message)
        self._viewer.status = message

    def _clicked(self) -> None:
        if self._task is None:
            self.refine()
        else:
            self._task.cancel()

    def _ask_name(self) -> None:
        name, agreed = QInputDialog.getText(self, "Keep the refined model", "Name:", text="refined")
        if agreed and name.strip():
            self.keep_as(name.strip())

    def _ask_copy(self) -> None:
        if self._result is not None:
            name = f"{self._result.image.name} corrections.tif"
            path, _ = QFileDialog.getSaveFileName(self, "Save the corrections", name, "TIFF (*.tif *.tiff)")
            if path:
                self.copy_with(Path(path))

    def copy_with(self, path: Path) -> None:
        """Save the corrections as a file, and copy the command that refines with it; errors become notifications."""
        if self._result is None:
            return
        try:
            copy_refining(self._result, path)
        except DarlError as error:
            show_error(str(error))

    def _show_progress(self) -> None:
        if self._run is not None and self._run.total:
            self.state.setText(f"Refining: {100 * self._run.done // self._run.total} %")

    def _receive(self, refined: Refined, result: "Result") -> None:
        if not isalive(self):  # type: ignore[no-untyped-call] # the widget was closed meanwhile
            return
        told = ", ".join(f"{name} {it.dice:.2f}" for name, it in refined.refinement.report.items())
        if refined.masks is None:
            self.state.setText(f"The model stays as it is: nothing is clearly better. Held-out Dice: {told}.")
            return
        self._refined = refined
        self.state.setText(f"Chosen: {refined.refinement.choice}. Held-out Dice: {told}. Keep or discard it.")
        self._added = self._layers(refined, result)
        for layer in self._added:
            self._viewer.add_layer(layer)

    def _layers(self, refined: Refined, result: "Result") -> list[Labels]:
        """Return the mask of the refined model and its difference from the present one, with the image's axes."""
        assert refined.masks is not None  # noqa: S101 (the caller has looked)
        masks, before = refined.masks, np.zeros(refined.masks.shape, np.uint8)
        for index in np.ndindex(masks.shape[:-2]):
            before[index] = result.mask(index)
        for index in result.finished:
            masks[index] = before[index]
        difference = np.where(masks == before, 0, np.where(before, 1, 2)).astype(np.uint8)
        axes = np.argsort(frame_order(result.image))
        mask = mask_layer(result.image, self._viewer)
        mask.data = np.ascontiguousarray(masks.transpose(axes))
        mask.name = f"{result.layer.name} refined"
        made = refined.refinement.model.provenance(threshold=refined.refinement.threshold, label_free="no")
        mask.metadata = {"napari-darl": made}
        changes = Labels(
            np.ascontiguousarray(difference.transpose(axes)),
            name=f"{result.layer.name} difference",
            colormap=DirectLabelColormap(color_dict=_COLOURS),
            **geometry(result.image),
        )
        return [mask, changes]

    def _end(self, cancelled: bool) -> None:
        self._task, self._run = None, None
        if not isalive(self):  # type: ignore[no-untyped-call]
            return
        self._timer.stop()
        if cancelled:
            self.state.setText("Stopped. The model stays as it was.")
        elif self.state.text().startswith(("Refining", "Loading")):  # the work has failed, and napari has said why
            self.state.setText("")
        self.refresh()
