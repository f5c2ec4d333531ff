"""The form of the Train widget: stacks, recipe, and where the run goes."""

from pathlib import Path
from time import strftime
from typing import TYPE_CHECKING, Any

from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLineEdit,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.model_list import known_models
from napari_darl._napari.pickers import More, short_name, spin_box, widen
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.settings import read_settings
from napari_darl._napari.stacks import StackPicker
from napari_darl._napari.training.session import Order
from napari_darl.errors import DarlError, InputError

if TYPE_CHECKING:
    import napari

FILLED, FIRST, NONE = "none: vessels are filled in", "first frames of each series", "none: train C-DARL"
_DRAWN = "drawn trees"
_SCRATCH = "from scratch"
_FINE_TUNING = 500  # steps
_PRESETS = {
    "lite": "For coronary angiograms; minutes on a GPU, some hours on a CPU core.",
    "fundus": "For fundus photographs, whose vessels are thinner; takes as long as lite.",
    "published": "The networks of the paper; takes days on a GPU.",
}
_FEW = 20  # frames


class TrainingForm(QWidget):
    """All that a training run is asked for; `order` returns it.

    Parameters
    ----------
    viewer : napari.Viewer
        Its image layers are offered as stacks.
    folder : Path, optional
        The run folder; by default one that doesn't exist yet.
    """

    def __init__(self, viewer: "napari.Viewer", folder: Path | None = None) -> None:
        super().__init__()
        self._viewer = viewer
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._add_stacks(form)
        self._add_recipe(form)
        self._add_folder(form, folder or _new_folder())
        column.addLayout(form)
        column.addWidget(self._more())
        self._backgrounds_changed()
        Segmenter.of(viewer).offered.connect(self._list_models)

    def order(self, *, resume: bool) -> Order:
        """Return what the form asks for.

        Parameters
        ----------
        resume : bool
            Whether the run in the folder is resumed. It keeps its own recipe, seed and batch size.

        Raises
        ------
        InputError
            If there are no angiograms, or no folder is named.
        """
        angiograms = self.angiograms.reading()
        if angiograms is None:
            raise InputError("There are no angiograms. Open some, or choose a folder of angiograms.")
        if not self.folder.text().strip():
            raise InputError("The output folder is empty. Enter a folder for the run.")
        changes: dict[str, Any] = {
            "preview_every": self.preview_every.value(),
            "autosave": float(self.autosave.value()),
        }
        if not resume:
            changes["seed"] = self.seed.value()
            if self.batch.value():
                changes["batch"] = self.batch.value()
        return Order(
            folder=self.path,
            angiograms=angiograms,
            backgrounds=self.backgrounds.reading(),
            masks=self.masks.reading(),
            first_frames=self.first_frames.value() if self.backgrounds.chosen == FIRST else 0,
            preset=self.preset.currentText(),
            start=self.start_from.currentData(),
            c_darl=self.backgrounds.chosen == NONE,
            steps=self.steps.value() or None,
            resume=resume,
            device=self.device.device,
            changes=changes,
        )

    def command_options(self) -> dict[str, Any]:
        """Return the options of `napari-darl train` that start the same run.

        Raises
        ------
        InputError
            If no command starts the same run.
        """
        if self.batch.value():
            raise InputError("No command has a batch of its own. Set it to the preset's.")
        chosen = self.backgrounds.chosen
        pickers = {"angiograms": self.angiograms}
        if chosen not in (FILLED, FIRST, NONE):
            pickers["backgrounds"] = self.backgrounds
        if self.masks.chosen != _DRAWN:
            pickers["masks"] = self.masks
        sources = {name: picker.source() for name, picker in pickers.items()}
        if None in sources.values():
            raise InputError("No command takes several layers. Choose one layer, a folder or a file for each stack.")
        return {
            **sources,
            "output": str(self.path),
            "first_frames": self.first_frames.value() if chosen == FIRST else None,
            "preset": self.preset.currentText(),
            "c_darl": chosen == NONE,
            "steps": self.steps.value() or None,
            "start": self.start_from.currentData(),
            "seed": self.seed.value() or None,
            "device": self.device.device if self.device.device != "auto" else None,
        }

    @property
    def path(self) -> Path:
        """The run folder."""
        return Path(self.folder.text()).expanduser()

    def _add_stacks(self, form: QFormLayout) -> None:
        self.angiograms = StackPicker(self._viewer, {}, _FEW, "Frames with contrast agent, in which vessels are dark.")
        without = {
            FILLED: "Anything that may be a vessel is filled in.",
            FIRST: "The frames of each series (T, Y, X) before the contrast agent arrives.",
            NONE: "C-DARL, the variant that needs no backgrounds.",
        }
        tip = "Frames without contrast agent; they need not belong to the angiograms."
        self.backgrounds = StackPicker(self._viewer, without, 0, tip)
        self.backgrounds.changed.connect(self._backgrounds_changed)
        self.first_frames = spin_box(1, 100, 2, "Frames at the start of each series that serve as backgrounds.")
        self.first_frames.setPrefix("the first ")
        self.backgrounds.choices.setMinimumContentsLength(len(FILLED))
        form.addRow("angiograms", self.angiograms)
        form.addRow("backgrounds", self.backgrounds)
        form.addRow("", self.first_frames)

    def _add_recipe(self, form: QFormLayout) -> None:
        self.start_from = QComboBox()
        self.start_from.setToolTip("The model to fine-tune, or random weights.")
        self._list_models()
        self.start_from.currentIndexChanged.connect(self._start_changed)
        self.preset = QComboBox()
        for number, (name, tip) in enumerate(_PRESETS.items()):
            self.preset.addItem(name)
            self.preset.setItemData(number, tip, Qt.ItemDataRole.ToolTipRole)
        self.preset.setToolTip("The networks and how they are trained.")
        self.steps = spin_box(0, 10_000_000, 0, "Number of steps in all, or further steps for a finished run.")
        self.steps.setSpecialValueText("the preset's")
        for choices in (self.start_from, self.preset):
            widen(choices)
        form.addRow("begin", self.start_from)
        form.addRow("preset", self.preset)
        form.addRow("steps", self.steps)

    def _add_folder(self, form: QFormLayout, folder: Path) -> None:
        self.folder = QLineEdit(str(folder))
        self.folder.setToolTip("The run folder: model, checkpoint, losses and settings. Resume continues from it.")
        browse = QPushButton("...")
        browse.setToolTip("Opens a dialog to choose the folder.")
        browse.clicked.connect(self._ask_folder)
        row = QHBoxLayout()
        row.addWidget(self.folder, 1)
        row.addWidget(browse)
        form.addRow("output", row)

    def _more(self) -> QWidget:
        self.masks = StackPicker(
            self._viewer,
            {_DRAWN: "Random trees that look like vessels."},
            0,
            "Masks of the vessels that path B draws.",
            "brightest",
        )
        self.device = DevicePicker()
        self.preview_every = spin_box(1, 100_000, 50, "Number of steps between two previews.")
        self.autosave = spin_box(1, 3600, 60, "Seconds between two checkpoints; a crash loses no more.")
        self.autosave.setSuffix(" s")
        self.batch = spin_box(0, 1024, 0, "Samples per step; fewer need less memory.")
        self.batch.setSpecialValueText("the preset's")
        self.seed = spin_box(0, 2**31 - 1, 0, "The same seed and the same frames give the same run.")
        form = QFormLayout()
        form.addRow("pseudo-masks", self.masks)
        form.addRow("device", self.device)
        form.addRow(self.device.line)
        form.addRow("preview every", self.preview_every)
        form.addRow("save every", self.autosave)
        form.addRow("batch", self.batch)
        form.addRow("seed", self.seed)
        return More(form)

    def _backgrounds_changed(self) -> None:
        self.first_frames.setVisible(self.backgrounds.chosen == FIRST)

    def _start_changed(self) -> None:
        """Take over the preset of the model to fine-tune, and far fewer steps."""
        from napari_darl.inference.loading import preset_of

        model = self.start_from.currentData()
        self.steps.setValue(0 if model is None else _FINE_TUNING)
        if model is not None:
            try:
                self.preset.setCurrentText(preset_of(model))
            except DarlError as error:
                show_error(str(error))

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

    def _ask_folder(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for the run", str(self.path.parent))
        if folder:
            self.folder.setText(folder)


def _new_folder() -> Path:
    """Return a run folder of today that doesn't exist yet."""
    runs, name = read_settings().runs, strftime("%Y-%m-%d")
    number = 1
    while (folder := runs / f"{name}_{number}").exists():
        number += 1
    return folder
