"""The Train widget: a form and a button, then curves, previews, and a model to segment with."""

from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog, QHBoxLayout, QProgressBar, QPushButton, QWidget

from napari_darl._napari.command_line import copy_button, copy_command
from napari_darl._napari.layers import bare
from napari_darl._napari.pickers import explanation, scrolled_column
from napari_darl._napari.training.form import TrainingForm
from napari_darl._napari.training.loss_plot import LossPlot
from napari_darl._napari.training.session import TrainingSession, Update
from napari_darl.errors import DarlError

if TYPE_CHECKING:
    import napari.viewer

_MARGIN = 1.1  # around the previews, as a factor of their size


class TrainWidget(QWidget):
    """Trains a model on unpaired stacks, in the background.

    Policy: the run belongs to the viewer's `TrainingSession`. It continues when the widget is closed, and a widget that
    is opened later shows it. The form can be changed during a run; changes count for the next one.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._session = TrainingSession.of(viewer)
        self.form = TrainingForm(viewer, self._session.folder)
        self.button = QPushButton("Start")
        self.button.setToolTip("Starts the run in the background. Stop saves it, and Resume continues it.")
        self.resume = QPushButton("Resume...")
        self.resume.setToolTip("Continues the run in a folder, with the stacks chosen above.")
        self.bar = QProgressBar()
        self.state = explanation()
        self.plot = LossPlot()
        self.copy = copy_button()
        self.look = QPushButton("Look at previews")
        self.look.setToolTip("Moves the camera to the previews.")
        self._lay_out()

        self.button.clicked.connect(self._clicked)
        self.resume.clicked.connect(self._ask_resume)
        self.copy.clicked.connect(self._copy)
        self.look.clicked.connect(self.look_at_previews)
        self._session.changed.connect(self._refresh)
        self._session.advanced.connect(self._advanced)
        self.plot.draw(self._session.losses)
        self._refresh()

    def start(self, *, resume: bool = False) -> None:
        """Start the run that the form describes, or resume that in its folder; errors become notifications."""
        try:
            self._session.start(self.form.order(resume=resume))
        except DarlError as error:
            show_error(str(error))
        else:
            self.plot.draw(self._session.losses)

    def look_at_previews(self) -> None:
        """Move the camera to the previews."""
        if (extent := self._session.previews.extent()) is None:
            return
        low, high = extent
        camera, canvas = self._viewer.scene.camera, np.array(bare(self._viewer).canvas.size)
        camera.center = (*camera.center[:-2], *((low + high) / 2))
        camera.zoom = float(np.min(canvas / (_MARGIN * np.maximum(high - low, 1e-9))))

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        buttons.addWidget(self.button, 2)
        buttons.addWidget(self.resume, 1)
        buttons.addWidget(self.copy, 1)
        column = scrolled_column(self)
        column.addWidget(self.form)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addWidget(self.state)
        column.addWidget(self.plot, 1)
        column.addWidget(self.look)

    def _copy(self) -> None:
        try:
            copy_command("train", {}, self.form.command_options())
        except DarlError as error:
            show_error(str(error))

    def _clicked(self) -> None:
        if self._session.running:
            self._session.stop()
        else:
            self.start()

    def _ask_resume(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Run to resume", self.form.folder.text())
        if folder:
            self.form.folder.setText(folder)
            self.start(resume=True)

    def _advanced(self, _: Update) -> None:
        self.plot.draw(self._session.losses)
        self._refresh()

    def _refresh(self) -> None:
        session = self._session
        self.button.setText("Stop" if session.running else "Start")
        self.button.setEnabled(not session.stopping)
        self.resume.setEnabled(not session.running)
        self.bar.setVisible(session.running)
        self.look.setEnabled(session.previews.extent() is not None)
        self.state.setText(self._describe())
        if session.running and not session.stopping:
            done, total = (session.last.step, session.last.total) if session.last else (0, 0)  # 0 of 0 is a busy bar
            self.bar.setRange(0, total)
            self.bar.setValue(done)

    def _describe(self) -> str:
        session = self._session
        if session.stopping:
            return "Saving..."
        if not session.running:
            if (self.form.path / "checkpoint.safetensors").exists():
                return "The output folder holds a run. Resume continues it; Start needs another folder."
            return ""
        if session.last is None:
            return "Reading the frames..."
        left = session.seconds_left
        remaining = f", {_duration(left)} left" if left else ""
        return f"Step {session.last.step} of {session.last.total}{remaining}"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
