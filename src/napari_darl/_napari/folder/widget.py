"""The widget *Segment a folder*: its images with their states, and buttons and keys to step through them."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtGui import QBrush, QColor, QKeySequence, QShortcut
from qtpy.QtWidgets import (
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QWidget,
)

from napari_darl._napari.command_line import copy_button, show_copied
from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.folder.session import FolderSession
from napari_darl._napari.folder.work import Order
from napari_darl._napari.pickers import (
    ModelPicker,
    More,
    channel_choice,
    explanation,
    resize_box,
    scrolled_column,
    show_polarity,
    vessels_choice,
)
from napari_darl._napari.segmenting.cleaning_form import CleaningForm
from napari_darl._napari.segmenting.options import preferred_options
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.tables import take_what_is_left
from napari_darl.errors import DarlError
from napari_darl.inference.cleaning import Cleaning
from napari_darl.models import model_info

if TYPE_CHECKING:
    import napari.viewer

NEXT, PREVIOUS = "PageDown", "PageUp"
"""Keys that napari leaves free."""

_PAUSE = 400  # ms from the last change of a control to a new list
_COLOURS = {"failed": "#d05050", "edited": "#3d8bfd", "foreign": "#c08020"}
_SHOWN = {"foreign": "left as it is"}


class FolderWidget(QWidget):
    """Segments a folder with the names, files and rules of `napari-darl segment`, and steps through the masks.

    Policy: a mask that is painted on is saved to its file a second after each stroke, and never replaced after that.
    Masks of other settings, and files that aren't this program's, are shown and left as they are.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._viewer = viewer
        self.session = FolderSession.of(viewer)
        self.folder = _path_field("Folder of images, or of folders of frames that are one series each.")
        self.output = _path_field("Folder for the masks.")
        self.output.setPlaceholderText("beside the images")
        self.model = ModelPicker(viewer)
        if newest := Segmenter.of(viewer).newest_model:
            self.model.choose(newest)
        self.vessels = vessels_choice()
        show_polarity(self.vessels, self.model.model)
        self.channel = channel_choice()
        self.resize_factor = resize_box(may_estimate=True)
        self.cleaning = CleaningForm()
        self.device = DevicePicker()
        self.images = QTreeWidget()
        self.images.setHeaderLabels(["image", "state"])
        self.images.setRootIsDecorated(False)
        self.images.setUniformRowHeights(True)
        take_what_is_left(self.images)
        self.images.setFocusPolicy(Qt.FocusPolicy.TabFocus)  # a click leaves the keys to the viewer
        self.images.setToolTip("A double click or Enter shows an image.")
        self.images.header().setSectionResizeMode(0, QHeaderView.ResizeMode.Stretch)
        self.button = QPushButton("Segment all")
        self.button.setToolTip("Segments all images that aren't done, from the shown one onwards, in the background.")
        self.copy = copy_button()
        self.previous, self.next = QPushButton("Previous"), QPushButton("Next")
        self.previous.setToolTip(f"Shows the image before this one ({PREVIOUS}). An edited mask is saved first.")
        self.next.setToolTip(f"Shows the next image ({NEXT}). An edited mask is saved first.")
        self.save = QPushButton("Save")
        self.save.setToolTip("Saves the mask that you have edited to its file.")
        self.state = explanation()
        self.progress = QProgressBar()
        self.progress.hide()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(_PAUSE)
        self._lay_out()
        self._take_cleaning()
        self._connect()
        self._list_again()

    def order(self) -> Order:
        """Return what the form asks for."""
        segment = preferred_options().segment.updated(
            bright=self.vessels.currentText() == "bright",
            channel=None if self.channel.currentIndex() == 0 else self.channel.currentText(),
            resize=self.resize_factor.value() or None,
            device=self.device.device,
        )
        output = self.output.text().strip()
        return Order(
            Path(self.folder.text().strip()).expanduser(),
            Path(output).expanduser() if output else None,
            self.model.model,
            segment,
            self.cleaning.value,
        )

    def list_images(self) -> None:
        """List the images of the chosen folder, and what has become of them."""
        self._timer.stop()
        if self.folder.text().strip():
            self.session.list(self.order())

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("images", _with_button(self.folder, self))
        form.addRow("masks", _with_button(self.output, self))
        form.addRow("model", self.model)
        further = QFormLayout()
        further.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        further.addRow("vessels", self.vessels)
        further.addRow("channel", self.channel)
        further.addRow("resize", self.resize_factor)
        further.addRow(self.cleaning)
        further.addRow("device", self.device)
        further.addRow(self.device.line)
        steps = QHBoxLayout()
        for button in (self.previous, self.next, self.save):
            steps.addWidget(button)
        column = scrolled_column(self)
        column.addLayout(form)
        column.addWidget(More(further))
        column.addWidget(self.images, 1)
        column.addWidget(self.state)
        column.addWidget(self.progress)
        run = QHBoxLayout()
        run.addWidget(self.button, 2)
        run.addWidget(self.copy, 1)
        column.addLayout(run)
        column.addLayout(steps)

    def _connect(self) -> None:
        for field in (self.folder, self.output):
            field.editingFinished.connect(self._timer.start)
        self.model.changed.connect(self._model_changed)
        Segmenter.of(self._viewer).offered.connect(self.model.choose)
        for changed in (
            self.vessels.currentTextChanged,
            self.channel.currentTextChanged,
            self.resize_factor.valueChanged,
            self.cleaning.changed,
        ):
            changed.connect(self._timer.start)
        self._timer.timeout.connect(self.list_images)
        self.button.clicked.connect(self._clicked)
        self.copy.clicked.connect(self._copy)
        self.previous.clicked.connect(lambda: self.session.step(-1))
        self.next.clicked.connect(lambda: self.session.step(1))
        self.save.clicked.connect(self.session.save)
        self.images.itemActivated.connect(lambda item, _: self.session.show(self.images.indexOfTopLevelItem(item)))
        self.session.listed.connect(self._list_again)
        self.session.changed.connect(self._refresh)
        for key, by in ((NEXT, 1), (PREVIOUS, -1)):
            self._viewer.bind_key(key, lambda _, by=by: self.session.step(by), overwrite=True)
            # The viewer doesn't see keys that are pressed in the widget.
            shortcut = QShortcut(QKeySequence(key.replace("Page", "Pg")), self)
            shortcut.setContext(Qt.ShortcutContext.WidgetWithChildrenShortcut)
            shortcut.activated.connect(partial(self.session.step, by))

    def _model_changed(self) -> None:
        show_polarity(self.vessels, self.model.model)
        self._take_cleaning()
        self._timer.start()

    def _take_cleaning(self) -> None:
        self.cleaning.value = Cleaning.of_model(model_info(self.model.model))

    def _clicked(self) -> None:
        if self.session.all_wanted:
            self.session.runner.cancel()
        elif not self.session.count:
            show_error("There are no images. Choose a folder of images.")
        else:
            self.session.segment_all()

    def _copy(self) -> None:
        from napari_darl.batch.replay import Settings, segment_command  # imports torch

        if not self.folder.text().strip():
            show_error("There is no folder. Choose a folder of images.")
            return
        order = self.order()
        settings = Settings(order.model, order.options, order.cleaning)
        try:
            show_copied(segment_command(settings, str(order.folder), str(order.output or order.folder)), [])
        except DarlError as error:
            show_error(str(error))

    def _list_again(self) -> None:
        self.images.clear()
        if self.session.listing:
            rows = [QTreeWidgetItem([job.source.name, ""]) for job in self.session.listing.jobs]
            self.images.addTopLevelItems(rows)
            for number in range(len(rows)):
                self._refresh_row(number)
        self._refresh(-1)

    def _refresh(self, number: int) -> None:
        """Show what became of an image, and of all of them."""
        session = self.session
        if number >= 0:
            self._refresh_row(number)
        if session.current is not None and (shown := self.images.topLevelItem(session.current)):
            self.images.setCurrentItem(shown)
        self.button.setText("Cancel" if session.all_wanted else "Segment all")
        self.progress.setVisible(session.all_wanted)
        self.progress.setRange(0, session.count)
        self.progress.setValue(session.count - session.left)
        self.previous.setEnabled(bool(session.current))
        self.next.setEnabled(session.count > 0 and session.current != session.count - 1)
        self.save.setEnabled(session.shown is not None)
        reason = session.outcomes[session.current].reason if session.current in session.outcomes else ""
        self.state.setText("\n".join(filter(None, [session.describe(), reason])))

    def _refresh_row(self, number: int) -> None:
        item, outcome = self.images.topLevelItem(number), self.session.outcomes.get(number)
        if item is None:
            return
        state = "segmenting..." if number == self.session.runner.running else str(outcome.state) if outcome else "..."
        item.setText(1, _SHOWN.get(state, state))
        item.setToolTip(1, outcome.reason if outcome else "")
        colour = _COLOURS.get(state)
        item.setData(1, Qt.ItemDataRole.ForegroundRole, QBrush(QColor(colour)) if colour else None)


def _path_field(tip: str) -> QLineEdit:
    field = QLineEdit()
    field.setToolTip(tip)
    return field


def _with_button(field: QLineEdit, parent: QWidget) -> QHBoxLayout:
    """Put a button that opens a dialog beside the field for a folder."""

    def ask() -> None:
        if folder := QFileDialog.getExistingDirectory(parent, field.toolTip(), field.text()):
            field.setText(folder)
            field.editingFinished.emit()

    button = QPushButton("...")
    button.setToolTip(f"Opens a dialog. {field.toolTip()}")
    button.clicked.connect(ask)
    row = QHBoxLayout()
    row.addWidget(field, 1)
    row.addWidget(button)
    return row
