"""Controls that the widgets share: the choice of the model and of options."""

from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.compat import isalive
from qtpy.QtCore import QEvent, QObject, QSignalBlocker, QSize, Qt, Signal
from qtpy.QtGui import QKeyEvent
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QFileDialog,
    QFormLayout,
    QFrame,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QSpinBox,
    QVBoxLayout,
    QWidget,
)

from napari_darl._napari.decimals import DecimalBox
from napari_darl._napari.model_card import show_card
from napari_darl._napari.model_list import import_released, known_models, remember
from napari_darl._napari.removed import DeletesRemoved
from napari_darl._napari.settings import read_settings
from napari_darl._napari.task import Task
from napari_darl.errors import DarlError
from napari_darl.models import bundled_models, model_traits

if TYPE_CHECKING:
    from collections.abc import Generator

    import napari
    from magicgui.widgets import ComboBox

_NAPARI = 593  # pixels of width that napari's own parts need at least
_NARROW = 260  # pixels that a widget takes even so
_BROWSE, _IMPORT = "Browse...", "Import released .pth..."


class ModelPicker(QWidget):
    """Chooses a model: a bundled one, one used before, another file, or a checkpoint to be imported.

    Signals
    -------
    changed
        Another model was chosen.
    """

    changed = Signal()

    def __init__(self, viewer: "napari.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self._choices = QComboBox()
        self._choices.setToolTip("The model that segments: a bundled one, one of yours, or an imported one.")
        widen(self._choices)
        self._card = QPushButton("Card")
        self._card.setToolTip("Shows what the model was trained on, and its limits.")
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self._choices, 1)
        row.addWidget(self._card)
        self._fill(known_models(self._folder)[0])
        self._choices.activated.connect(self._activated)
        self._card.clicked.connect(self.show_card)

    @property
    def _folder(self) -> Path:
        return read_settings().models

    @property
    def model(self) -> str:
        """The chosen model as `load_model` takes it: the name of a bundled one, or the path of a file."""
        return self._model

    def choose(self, model: str | Path) -> None:
        """Choose a model. The path of a file is remembered."""
        if str(model) not in bundled_models():
            try:
                remember(model, self._folder)
            except DarlError as error:
                show_error(str(error))
        self._fill(str(model))
        self.changed.emit()

    def show_card(self) -> None:
        """Open the model's card."""
        show_card(self.model, self, self._viewer)

    def _fill(self, chosen: str) -> None:
        self._model = chosen
        models = known_models(self._folder)
        if chosen not in models:
            models.append(chosen)
        with QSignalBlocker(self._choices):
            self._choices.clear()
            for model in models:
                self._choices.addItem(short_name(model), model)
                self._choices.setItemData(self._choices.count() - 1, model, Qt.ItemDataRole.ToolTipRole)
            self._choices.insertSeparator(self._choices.count())
            self._choices.addItem(_BROWSE)
            self._choices.addItem(_IMPORT)
            self._choices.setCurrentIndex(models.index(chosen))

    def _activated(self, index: int) -> None:
        wanted = self._choices.itemText(index)
        model = self._choices.itemData(index)
        if model is not None:
            self.choose(model)
            return
        self._fill(self._model)  # an entry that opens a dialog is never the choice itself
        if wanted == _BROWSE:
            path, _ = QFileDialog.getOpenFileName(self, "Model", str(self._folder), "Models (*.safetensors)")
            if path:
                self.choose(path)
        elif wanted == _IMPORT:
            path, _ = QFileDialog.getOpenFileName(self, "Released checkpoint", "", "Generator of DARL (*_G.pth *.pth)")
            if path:
                self.import_checkpoint(Path(path))

    def import_checkpoint(self, path: Path) -> None:
        """Import a checkpoint released by DARL's authors in the background, and choose the model."""
        folder = self._folder

        def work(_: Event) -> "Generator[Path, None, None]":
            yield import_released(path, folder)

        def choose(model: Path) -> None:
            if isalive(self):  # type: ignore[no-untyped-call] # else the widget was closed; the next one lists the model
                self.choose(model)

        Task(work, self._viewer, title="Importing", total=0, on_yield=choose, on_end=lambda _: None)


def vessels_choice() -> QComboBox:
    """Make a choice between dark and bright vessels."""
    choices = QComboBox()
    choices.addItems(["dark", "bright"])
    choices.setToolTip("Vessels are dark in angiograms and in the green channel of fundus photographs.")
    widen(choices)
    return choices


def show_polarity(choices: QComboBox, model: str) -> None:
    """Choose the vessels, dark or bright, that a model is made for."""
    choices.setCurrentText("bright" if model_traits(model).bright else "dark")


def channel_choice() -> QComboBox:
    """Make a choice of how colours become grey; the first entry is what is taken without a choice."""
    choices = QComboBox()
    choices.addItems(["green", "red", "blue", "luminance"])
    choices.setToolTip("How colours become grey: by one of them, or by their luminance.")
    widen(choices)
    return choices


def axes_box() -> QCheckBox:
    """Return a checkbox for volumes: whether they are segmented along all three axes."""
    box = QCheckBox("along all three axes")
    box.setToolTip(
        "Segments the frames across the slices, too, and averages. Takes three times as long. The distance of the "
        "slices is that of the layer's scale."
    )
    return box


def resize_box(*, may_estimate: bool = False) -> DecimalBox:
    """Make a field for the factor by which frames are resized; with `may_estimate`, 0 leaves it to an estimate."""
    box = DecimalBox()
    box.setRange(0 if may_estimate else 0.05, 16)
    box.setSingleStep(0.05)
    box.setSpecialValueText("estimated" if may_estimate else "")
    box.setToolTip("Frames are resized by this factor first: less than 1 for wide vessels, more than 1 for thin ones.")
    return box


def spin_box(low: int, high: int, value: int, tip: str) -> QSpinBox:
    """Make a field for a whole number from `low` to `high`."""
    box = QSpinBox()
    box.setRange(low, high)
    box.setValue(value)
    box.setToolTip(tip)
    return box


def widen(choices: QComboBox) -> None:
    """Let a combo box take the available width, however long its entries are."""
    choices.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    choices.setMinimumContentsLength(10)
    choices.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)


def update_choices(chooser: "ComboBox") -> None:
    """List the current choices, and keep the chosen layer; magicgui would forget it once it is renamed."""
    chosen = chooser.value
    with chooser.changed.blocked():
        chooser.reset_choices()
        if chosen in chooser.choices:
            chooser.value = chosen
    if chooser.value is not chosen:
        chooser.changed.emit(chooser.value)


def explanation() -> QLabel:
    """Make a line of text that wraps and never widens its widget."""
    line = QLabel()
    line.setWordWrap(True)
    line.setTextFormat(Qt.TextFormat.PlainText)  # names of layers may look like HTML
    line.setMinimumWidth(1)
    line.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Preferred)  # else forms wrap it narrowly
    return line


class More(QWidget):
    """Options that are rarely needed, under a button that shows and hides them."""

    def __init__(self, form: QFormLayout) -> None:
        super().__init__()
        self._options = QWidget()
        self._options.setLayout(form)
        self._options.hide()
        self.button = QPushButton("More options")
        self.button.setToolTip("Shows or hides further options.")
        self.button.clicked.connect(self._toggle)
        form.setContentsMargins(0, 0, 0, 0)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.button)
        column.addWidget(self._options)

    def _toggle(self) -> None:
        shown = self._options.isHidden()
        self._options.setVisible(shown)
        self.button.setText("Fewer options" if shown else "More options")


class Scrolling(QScrollArea):
    """Scrolls a widget vertically where the window is too low for it, and sideways where it is very narrow."""

    def __init__(self, content: QWidget) -> None:
        super().__init__()
        self.setWidget(content)
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        content.installEventFilter(self)

    def sizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the size that the content wants, with room for the vertical bar."""
        return super().sizeHint().expandedTo(QSize(self._width, 0))

    def minimumSizeHint(self) -> QSize:  # noqa: N802 (Qt's name)
        """Return the least width of the content, or what napari leaves it on a small screen."""
        hint = super().minimumSizeHint()
        left = self.screen().availableGeometry().width() - _NAPARI
        hint.setWidth(min(self._width, max(left, _NARROW)))
        return hint

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802 (Qt's name)
        """Leave all keys to the viewer, where arrows and pages step through frames and files; Tab scrolls."""
        event.ignore()

    @property
    def _width(self) -> int:
        content, bar = self.widget(), self.verticalScrollBar().sizeHint().width()
        return 0 if content is None else content.minimumSizeHint().width() + bar + 2 * self.frameWidth()

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:  # noqa: N802 (Qt's name)
        """Follow the content's least width."""
        if event.type() == QEvent.Type.LayoutRequest:
            self.updateGeometry()
        return super().eventFilter(watched, event)


def scrolled_column(widget: QWidget) -> QVBoxLayout:
    """Give a widget a column of controls that scrolls where the window is too low, and return the column."""
    DeletesRemoved(widget)
    content = QWidget()
    whole = QVBoxLayout(widget)
    whole.setContentsMargins(0, 0, 0, 0)
    whole.addWidget(Scrolling(content))
    return QVBoxLayout(content)


def short_name(model: str) -> str:
    """Return the name of a model as lists show it: a file with its folder."""
    path = Path(model)
    return path.parent.name + "/" + path.name if path.is_absolute() else model
