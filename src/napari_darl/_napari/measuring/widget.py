"""The Measure widget: a mask, its vessels in numbers, stenoses, and another mask to compare with."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QPushButton, QTabWidget, QWidget

from napari_darl._napari.command_line import copy_button, copy_command
from napari_darl._napari.measuring.compare_tab import CompareTab
from napari_darl._napari.measuring.features_table import open_features_table
from napari_darl._napari.measuring.mask_form import MaskForm
from napari_darl._napari.measuring.measurement import Measurement, image_stack
from napari_darl._napari.measuring.stenosis_tab import StenosisTab
from napari_darl._napari.measuring.vessels_tab import VesselsTab
from napari_darl._napari.measuring.work import MeasuredFrame, measuring
from napari_darl._napari.pickers import explanation, scrolled_column
from napari_darl._napari.task import Task
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    import napari.viewer

_PAUSE = 150  # ms without another change, before paths are drawn anew
_TABS = (
    "Lengths, diameters and branch points, frame by frame.",
    "Diameters along a vessel between two points.",
    "Scores against another mask.",
)
"""Tooltips of the tabs."""

_NO_MASK = "There is no mask. Segment an image, open a mask, or draw a Labels layer."


class MeasureWidget(QWidget):
    """Measures a Labels layer.

    Policy: a measurement belongs to the mask as it was. When the mask, its scale or the pixel size changes, the widget
    says that the numbers are out of date, and Measure makes them anew. Its layers show the frame that the viewer
    shows. A layer of ours that the user edits is theirs.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._task: Task | None = None
        self._running: Measurement | None = None
        self.measurement: Measurement | None = None
        self.form = MaskForm(viewer)
        self.button = QPushButton("Measure")
        self.button.setToolTip("Measures all frames of the mask in the background. A second click stops.")
        self.copy = copy_button()
        self.state = explanation()
        self.vessels = VesselsTab()
        self.stenosis = StenosisTab(viewer, self.form.source)
        self.compare = CompareTab(viewer, lambda: self.form.chosen)
        self.tabs = QTabWidget()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._lay_out()
        self._connect()
        self._layers_changed()
        self._form_changed()

    def measure(self) -> None:
        """Measure the chosen mask in the background; what stands in the way becomes a notification."""
        form, mask, image = self.form, self.form.chosen, self.form.image.value
        if mask is None:
            show_error(_NO_MASK)
            return
        try:
            measurement = Measurement.of(self._viewer, mask, image, form.scale_of(mask), form.separate.isChecked())
            images = image_stack(image, mask, measurement.stack.dimensions)
        except DarlError as error:
            show_error(str(error))
            return
        last = self.measurement
        if last is not None and last.mask is mask:
            measurement.overlay = last.overlay
        self._running = measurement
        self.button.setText("Stop")
        self.state.setText("Measuring...")
        work = partial(measuring, measurement.stack, images, measurement.scale.size, measurement.separate)
        total = len(measurement.stack)
        self._task = Task(
            work,
            self._viewer,
            title="Measuring",
            total=total if total > 1 else 0,
            on_yield=self._take,
            on_end=self._end,
        )

    def write_tables(self, folder: Path) -> None:
        """Write the tables of the last measurement into a folder.

        Raises
        ------
        FileError
            If one of the files exists already, or can't be written.
        """
        if self.measurement is not None:
            self.measurement.write_tables(folder)

    def _lay_out(self) -> None:
        self.tabs.addTab(self.vessels, "Vessels")
        self.tabs.addTab(self.stenosis, "Stenosis")
        self.tabs.addTab(self.compare, "Compare")
        for number, tip in enumerate(_TABS):
            self.tabs.setTabToolTip(number, tip)
        column = scrolled_column(self)
        column.addWidget(self.form)
        row = QHBoxLayout()
        row.addWidget(self.button, 2)
        row.addWidget(self.copy, 1)
        column.addLayout(row)
        column.addWidget(self.state)
        column.addWidget(self.tabs, 1)

    def _connect(self) -> None:
        self.button.clicked.connect(self._clicked)
        self.copy.clicked.connect(self._copy)
        self.form.changed.connect(self._form_changed)
        self.form.edited.connect(self._wait)
        self.form.image.changed.connect(self.stenosis.update_found)
        self.stenosis.calibrated.connect(lambda size, source: self.form.pixel_size.set(size, "mm", source))
        self.vessels.save.clicked.connect(self._ask_save)
        self.vessels.features.clicked.connect(self._show_features)
        self.vessels.curve.moved.connect(self._go_to)
        self._timer.timeout.connect(self._refresh)
        events = self._viewer.layers.events
        for event in (events.inserted, events.removed, events.reordered, events.renamed):
            event.connect(self._layers_changed)
        self._viewer.dims.events.point.connect(self._wait)

    def _clicked(self) -> None:
        if self._task is None:
            self.measure()
        else:
            self._task.cancel()

    def _copy(self) -> None:
        if (mask := self.form.chosen) is None:
            show_error(_NO_MASK)
            return
        copy_command("measure", {"mask.tif": mask}, {"output": "tables"} | self.form.options(mask))

    def _take(self, frame: MeasuredFrame) -> None:
        if not isalive(self) or self._running is None:  # type: ignore[no-untyped-call] # closed meanwhile
            if self._task:
                self._task.drop()
            return
        self._running.frames.append(frame)
        done, total = len(self._running.frames), len(self._running.stack)
        if total > 1:
            self.state.setText(f"{done} of {total} frames measured")
        if self._task:
            self._task.show(done)  # last, since napari processes events in it, and the task may end there

    def _end(self, cancelled: bool) -> None:
        running, self._running, self._task = self._running, None, None
        if not isalive(self):  # type: ignore[no-untyped-call]
            return
        self.button.setText("Measure")
        if running is None:  # its mask was removed, which the state says
            return
        if not running.frames:
            self.state.setText("Stopped." if cancelled else "")
            return
        self.state.setText("")
        self.measurement = running
        found = running.found()
        self.vessels.show_found(found)
        running.overlay.follow(running.mask)
        self._refresh()
        self.vessels.legend.setText(running.legend())
        if not len(found.segments["frame"]):
            show_info(f"'{running.mask.name}' holds no vessel.")
        if cancelled:
            show_info(f"Stopped: {len(running.frames)} of {len(running.stack)} frames are measured.")
        if running.overlay.paths is not None:
            self._viewer.layers.selection.active = running.overlay.paths

    def _refresh(self) -> None:
        """Show the visible frame's measurement, and say whether it still holds."""
        if not isalive(self):  # type: ignore[no-untyped-call]
            return
        measurement = self.measurement
        if measurement is None or measurement.mask not in self._viewer.layers:
            return
        number = measurement.frame_shown(self._viewer)
        measurement.show(number)
        self.vessels.show_frame(number)
        self._tell_outdated(measurement, number)

    def _tell_outdated(self, measurement: Measurement, number: int) -> None:
        if self._task is not None:
            return
        if self.form.chosen is not measurement.mask:
            self.state.setText(f"The numbers below are of '{measurement.mask.name}'.")
            return
        why = measurement.outdated(number, self.form.scale_of(measurement.mask))
        self.state.setText(f"OUT OF DATE: {why} Click Measure." if why else "")

    def _go_to(self, number: int) -> None:
        """Show a frame, as the cursor of the curve asks."""
        measurement = self.measurement
        if measurement is not None and measurement.mask in self._viewer.layers:
            measurement.go_to(number, self._viewer)

    def _wait(self) -> None:
        """Refresh once nothing has changed for a moment."""
        self._timer.start()

    def _layers_changed(self) -> None:
        self.form.reset_choices()
        self.compare.reset_choices()
        if self._running and self._running.mask not in self._viewer.layers and self._task:
            self._task.drop()
            self._running = None
            self.state.setText("The mask was removed: nothing was measured.")
        if self.measurement and self.measurement.mask not in self._viewer.layers:
            self.state.setText(f"'{self.measurement.mask.name}' was removed; its numbers can still be saved.")

    def _form_changed(self) -> None:
        self.compare.reset_choices()
        self.stenosis.update_found()
        self._wait()

    def _show_features(self) -> None:
        measurement = self.measurement
        if measurement is None or measurement.overlay.paths is None:
            show_error("There is no table yet. Click Measure first.")
            return
        open_features_table(self._viewer)
        self._viewer.layers.selection.active = measurement.overlay.paths

    def _ask_save(self) -> None:
        if self.measurement is None:
            show_error("There is nothing to save yet. Click Measure first.")
            return
        folder = QFileDialog.getExistingDirectory(self, "Folder for the tables")
        if folder:
            try:
                self.write_tables(Path(folder))
                show_info(f"Tables saved in {folder}.")
            except DarlError as error:
                show_error(str(error))
