"""The Train widget: stacks, a recipe and a button; then curves, previews, and a model to segment with."""

from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING

import numpy as np
from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QSpinBox,
    QToolButton,
    QVBoxLayout,
    QWidget,
)
from superqt import QCollapsible

from napari_darl._napari.layers import bare
from napari_darl._napari.model_list import known_models
from napari_darl._napari.pickers import DevicePicker, explanation, short_name, widen
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.settings import read_settings
from napari_darl._napari.stacks import StackPicker
from napari_darl._napari.task import sentence
from napari_darl._napari.training.loss_plot import LossPlot
from napari_darl._napari.training.session import Order, TrainingSession, Update
from napari_darl.errors import DarlError, InputError

if TYPE_CHECKING:
    import napari.viewer

_MADE, _FIRST, _NONE = "none: vessels are filled up", "first frames of each series", "none: train C-DARL"
_DRAWN = "drawn trees"
_SCRATCH = "from scratch"
_FINE_TUNING = 500  # steps
_TIPS = {
    "lite": "For coronary angiograms; about an hour on two CPU cores.",
    "fundus": "For retinas, whose vessels are thinner; as fast.",
    "published": "The paper's networks; days on a GPU.",
}
_FEW = 20
_MARGIN = 1.1


class TrainWidget(QWidget):
    """Trains a model on unpaired stacks, in the background.

    Policy: the run belongs to the viewer's `TrainingSession`: it goes on when the widget is closed, and a widget opened
    meanwhile shows it. Controls can be changed while a run is under way; they count for the next one.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._session = TrainingSession.of(viewer)
        self.angiograms = StackPicker(viewer, {}, _FEW, "Frames with contrast, vessels dark.")
        self.backgrounds = StackPicker(
            viewer,
            {
                _MADE: "What may be a vessel is filled up in the angiograms.",
                _FIRST: "Of series (T, Y, X), the frames before contrast comes.",
                _NONE: "The variant that needs no backgrounds.",
            },
            0,
            "Frames without contrast; they needn't belong to the angiograms.",
        )
        self.first_frames = QSpinBox()
        self.first_frames.setRange(1, 100)
        self.first_frames.setValue(2)
        self.first_frames.setPrefix("the first ")
        self.masks = StackPicker(
            viewer,
            {_DRAWN: "Vessel-like trees, made as they are needed."},
            0,
            "Masks that path B draws vessels by.",
            "brightest",
        )
        self.start_from = QComboBox()
        self._list_models()
        self.start_from.setToolTip("A model to begin with (fine-tuning), or random weights.")
        self.preset = QComboBox()
        for number, (name, tip) in enumerate(_TIPS.items()):
            self.preset.addItem(name)
            self.preset.setItemData(number, tip, 3)  # the tool tip
        self.preset.setToolTip("Networks and recipe.")
        self.steps = _spin(0, 10_000_000, 0, "Steps in all; of a finished run that is resumed, steps more.")
        self.steps.setSpecialValueText("the preset's")
        self.device = DevicePicker()
        self.folder = QLineEdit(str(self._session.folder or _new_folder()))
        self.folder.setToolTip("The run: model, checkpoint, losses, settings. Resume takes it up again.")
        self.browse = QToolButton()
        self.browse.setText("...")
        self.preview_every = _spin(1, 100_000, 50, "Steps between previews.")
        self.autosave = _spin(1, 3600, 60, "Most that a crash can cost.")
        self.autosave.setSuffix(" s")
        self.seed = _spin(0, 2**31 - 1, 0, "The same seed and frames give the same run.")
        self.batch = _spin(0, 1024, 0, "Samples a step: fewer need less memory.")
        self.batch.setSpecialValueText("the preset's")
        self.more = QCollapsible("More")
        for choices in (self.start_from, self.preset):
            widen(choices)
        self.button = QPushButton("Start")
        self.resume = QPushButton("Resume...")
        self.resume.setToolTip("Goes on with a run folder, on the stacks chosen above.")
        self.look = QPushButton("Look at previews")
        self.bar = QProgressBar()
        self.plot = LossPlot()
        self.state = explanation()
        self._lay_out()

        self.button.clicked.connect(self._clicked)
        self.resume.clicked.connect(self._ask_resume)
        self.browse.clicked.connect(self._ask_folder)
        self.look.clicked.connect(self.look_at_previews)
        self.start_from.currentIndexChanged.connect(self._start_changed)
        self.backgrounds.changed.connect(self._backgrounds_changed)
        self._session.changed.connect(self._refresh)
        self._session.advanced.connect(self._advanced)
        Segmenter.of(viewer).offered.connect(self._list_models)
        self._backgrounds_changed()
        self.plot.draw(self._session.losses)
        self._refresh()

    def start(self, *, resume: bool = False) -> None:
        """Begin the run that the controls describe, or go on with that in the folder; errors become notifications."""
        try:
            self._session.start(self._order(resume))
        except DarlError as error:
            show_error(sentence(error))
        else:
            self.plot.draw(self._session.losses)

    def look_at_previews(self) -> None:
        """Turn the camera to the previews."""
        if (extent := self._session.previews.extent()) is None:
            return
        low, high = extent
        camera, canvas = self._viewer.scene.camera, bare(self._viewer).window._qt_viewer.canvas.size
        camera.center = (*camera.center[:-2], *((low + high) / 2))
        camera.zoom = float(np.min(np.array(canvas) / (_MARGIN * np.maximum(high - low, 1e-9))))

    def _order(self, resume: bool) -> Order:
        angiograms = self.angiograms.reading()
        if angiograms is None:
            raise InputError("There are no angiograms: open some, or choose a folder of them.")
        if not self.folder.text().strip():
            raise InputError("The output is empty: name a folder for the run.")
        changes = {"preview_every": self.preview_every.value(), "autosave": float(self.autosave.value())}
        if not resume:
            changes |= {"seed": self.seed.value()}
            if self.batch.value():
                changes |= {"batch": self.batch.value()}
        return Order(
            folder=Path(self.folder.text()).expanduser(),
            angiograms=angiograms,
            backgrounds=self.backgrounds.reading(),
            masks=self.masks.reading(),
            first_frames=self.first_frames.value() if self.backgrounds.chosen == _FIRST else 0,
            preset=self.preset.currentText(),
            start=self.start_from.currentData(),
            c_darl=self.backgrounds.chosen == _NONE,
            steps=self.steps.value() or None,
            resume=resume,
            device=self.device.device,
            changes=changes,
        )

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("angiograms", self.angiograms)
        form.addRow("backgrounds", self.backgrounds)
        form.addRow("", self.first_frames)
        form.addRow("begin", self.start_from)
        form.addRow("preset", self.preset)
        form.addRow("steps", self.steps)
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(self.browse)
        form.addRow("output", row)
        inner = QWidget()
        folded = QFormLayout(inner)
        folded.addRow("pseudo-masks", self.masks)
        folded.addRow("device", self.device)
        folded.addRow(self.device.line)
        folded.addRow("preview every", self.preview_every)
        folded.addRow("save every", self.autosave)
        folded.addRow("batch", self.batch)
        folded.addRow("seed", self.seed)
        self.more.addWidget(inner)
        buttons = QHBoxLayout()
        buttons.addWidget(self.button, 2)
        buttons.addWidget(self.resume, 1)
        column = QVBoxLayout(self)
        column.addLayout(form)
        column.addWidget(self.more)
        column.addLayout(buttons)
        column.addWidget(self.bar)
        column.addWidget(self.state)
        column.addWidget(self.plot)
        column.addWidget(self.look)
        column.addStretch()

    def _clicked(self) -> None:
        if self._session.running:
            self._session.stop()
        else:
            self.start()

    def _ask_resume(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Run to go on with", self.folder.text())
        if folder:
            self.folder.setText(folder)
            self.start(resume=True)

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the run", str(Path(self.folder.text()).parent))
        if folder:
            self.folder.setText(folder)

    def _start_changed(self) -> None:
        """Fine-tuning takes the recipe of the model, and far fewer steps."""
        from napari_darl.inference.loading import preset_of

        model = self.start_from.currentData()
        self.steps.setValue(0 if model is None else _FINE_TUNING)
        if model is not None:
            try:
                self.preset.setCurrentText(preset_of(model))
            except DarlError as error:
                show_error(sentence(error))

    def _list_models(self, _: str = "") -> None:
        chosen = self.start_from.currentData()
        newest = Segmenter.of(self._viewer).newest_model
        models = list(dict.fromkeys([*known_models(read_settings().models), *([newest] if newest else [])]))
        with QSignalBlocker(self.start_from):
            self.start_from.clear()
            self.start_from.addItem(_SCRATCH)
            for model in models:
                self.start_from.addItem(short_name(model), model)
            self.start_from.setCurrentIndex(models.index(chosen) + 1 if chosen in models else 0)

    def _backgrounds_changed(self) -> None:
        self.first_frames.setVisible(self.backgrounds.chosen == _FIRST)

    def _advanced(self, update: Update) -> None:
        self.plot.draw(self._session.losses)
        self._refresh()

    def _refresh(self) -> None:
        session = self._session
        self.button.setText("Stop" if session.running else "Start")
        self.button.setEnabled(not session.stopping)
        self.resume.setEnabled(not session.running)
        self.bar.setVisible(session.running)
        self.look.setEnabled(session.previews.extent() is not None)
        if session.stopping:
            self.state.setText("Saving...")
        elif not session.running:
            self.state.setText("")
            if (Path(self.folder.text()).expanduser() / "checkpoint.safetensors").exists():
                self.state.setText("The output folder holds a run: Resume goes on with it, Start needs another folder.")
        elif session.last is None:
            self.bar.setRange(0, 0)
            self.state.setText("Reading the frames...")
        else:
            self.bar.setRange(0, session.last.total)
            self.bar.setValue(session.last.step)
            left = session.seconds_left
            self.state.setText(
                f"Step {session.last.step} of {session.last.total}" + (f", {_duration(left)} left" if left else "")
            )


def _spin(low: int, high: int, value: int, tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setToolTip(tip)
    return box


def _new_folder() -> Path:
    """Name a folder for a run that isn't there yet."""
    runs, name = read_settings().runs, strftime("%Y-%m-%d")
    number = 1
    while (folder := runs / f"{name}_{number}").exists():
        number += 1
    return folder


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    return f"{minutes} min" if minutes < 90 else f"{minutes / 60:.1f} h"
