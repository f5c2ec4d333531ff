"""The Segment widget: a layer, a model and a button, then controls that the mask follows."""

from time import monotonic
from typing import TYPE_CHECKING

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels
from napari.utils.notifications import show_error
from qtpy.QtCore import QSignalBlocker
from qtpy.QtWidgets import QApplication, QComboBox, QFormLayout, QHBoxLayout, QPushButton, QWidget

from napari_darl._napari.command_line import copy_button
from napari_darl._napari.device_picker import DevicePicker
from napari_darl._napari.layers import NO_IMAGE, bare, chosen_image, frames_shape, slice_distance, stack_axes
from napari_darl._napari.mask_files import prefer_own_reader
from napari_darl._napari.pickers import (
    ModelPicker,
    axes_box,
    channel_choice,
    explanation,
    resize_box,
    scrolled_column,
    show_polarity,
    update_choices,
    vessels_choice,
    widen,
)
from napari_darl._napari.refining.form import RefineForm
from napari_darl._napari.segmenting.cleaning_form import CleaningForm
from napari_darl._napari.segmenting.command import copy_segmenting
from napari_darl._napari.segmenting.hint import ModelHint
from napari_darl._napari.segmenting.options import Options, preferred_options
from napari_darl._napari.segmenting.region import chosen_region, region_choices
from napari_darl._napari.segmenting.saving import ask_and_save
from napari_darl._napari.segmenting.segmenter import Segmenter
from napari_darl._napari.segmenting.unsaved import UnsavedEdits
from napari_darl.errors import DarlError
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.scale import guess_resize
from napari_darl.models import model_info, model_traits

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl._napari.segmenting.result import Result


class SegmentWidget(QWidget):
    """Segments a layer, and cleans its mask until the user edits it.

    Policy: the widget and the menu command share the viewer's `Segmenter`, so the controls also act on masks made by
    the command. They act on the selected mask layer or, if another layer is selected, on the latest mask of the image.
    A mask that the user has edited is left alone.
    """

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        prefer_own_reader()
        self._viewer = viewer
        self._segmenter = Segmenter.of(viewer)
        self._shown: tuple[Image, tuple[int, ...], str] | None = None
        self._estimated = True
        self._clicked_at = 0.0
        self._own = Cleaning()  # of the model whose cleaning was taken last

        self.image = ComboBox(choices=self._images, nullable=False, tooltip="The layer to segment.")
        self.model = ModelPicker(viewer)
        self.vessels = vessels_choice()
        self.resize_factor = resize_box()
        self.estimate = explanation()
        self.estimate.setWordWrap(False)  # a form would keep it narrow and high
        self.frames = QComboBox()
        self.frames.setToolTip("All frames of a stack, the visible one first, or only the visible one.")
        self.channel = channel_choice()
        self.orthogonal = axes_box()
        self.region = ComboBox(
            choices=lambda _: region_choices(viewer), nullable=False, tooltip="Only vessels in this region are kept."
        )
        self.device = DevicePicker()
        for choices in (self.image.native, self.frames, self.region.native):
            widen(choices)
        self.button = QPushButton("Segment")
        self.button.setToolTip("Segments the image in the background. A second click cancels.")
        self.save = QPushButton("Save mask...")
        self.save.setToolTip("Saves a TIFF file that napari opens exactly over the image again.")
        self.copy = copy_button()
        self.state = explanation()
        self.cleaning = CleaningForm()
        self.refine = RefineForm(viewer)
        self.unsaved = UnsavedEdits(viewer)
        self.hint = ModelHint(viewer)
        self._lay_out()
        self._connect()
        self._take_cleaning()
        self.hint.show_chosen(self.model.model)
        self._layers_changed()
        if self._segmenter.newest_model:
            self.model.choose(self._segmenter.newest_model)
        if (image := chosen_image(viewer)) is not None:
            self.image.value = image

    def _connect(self) -> None:
        self.button.clicked.connect(self._clicked)
        self.save.clicked.connect(self._save)
        self.copy.clicked.connect(self._copy)
        self.image.changed.connect(self._image_changed)
        self.resize_factor.valueChanged.connect(self._resize_changed)
        self.frames.currentIndexChanged.connect(self._show_axes)
        self.model.changed.connect(self._estimate)
        self.model.changed.connect(self._model_changed)
        self.hint.accepted.connect(self.model.choose)
        self.cleaning.changed.connect(self._clean)
        self._segmenter.changed.connect(self._refresh)
        self._segmenter.offered.connect(self.model.choose)
        layers = self._viewer.layers
        for event in (layers.events.inserted, layers.events.removed, layers.events.reordered, layers.events.renamed):
            event.connect(self._layers_changed)
        layers.selection.events.active.connect(self._refresh)

    def segment(self) -> None:
        """Segment the chosen layer; errors become notifications."""
        image = self.image.value
        if image is None:
            show_error(NO_IMAGE)
            return
        try:
            self._take_cleaning()
            self._segmenter.run(image, self._options(image), self.cleaning.value)
        except DarlError as error:
            show_error(str(error))

    def _take_cleaning(self) -> None:
        """Take the cleaning that the model's file asks for, where it differs from that of the model before."""
        own = Cleaning.of_model(model_info(self.model.model))
        changed = {name: value for name, value in own if value != getattr(self._own, name)}
        self.cleaning.value = self.cleaning.value.updated(**changed)
        self._own = own

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow("image", self.image.native)
        self._form = form
        form.addRow("channel", self.channel)
        form.addRow("model", self.model)
        form.addRow("vessels", self.vessels)
        form.addRow("resize", self.resize_factor)
        form.addRow("", self.estimate)
        form.addRow("frames", self.frames)
        form.addRow("", self.orthogonal)
        form.addRow("region", self.region.native)
        form.addRow("device", self.device)
        form.addRow(self.device.line)
        column = scrolled_column(self)
        column.addWidget(self.unsaved)
        column.addWidget(self.hint)
        column.addLayout(form)
        column.addWidget(self.button)
        column.addWidget(self.cleaning)
        row = QHBoxLayout()
        row.addWidget(self.save)
        row.addWidget(self.copy)
        column.addLayout(row)
        column.addWidget(self.state)
        column.addWidget(self.refine)
        column.addStretch()

    def _options(self, image: Image) -> Options:
        preferred = preferred_options()
        segment = preferred.segment.updated(
            bright=self.vessels.currentText() == "bright",
            channel=self.channel.currentText() if image.rgb else None,
            resize=None if self._estimated else self.resize_factor.value(),
            device=self.device.device,
        )
        whole, distance = self.frames.currentIndex() == 0, slice_distance(image)
        if whole and distance and self.orthogonal.isChecked():
            segment = segment.updated(orthogonal=True, slice_distance=distance)
        return Options(self.model.model, segment, chosen_region(self.region.value, image), whole=whole)

    def _clicked(self) -> None:
        if not self._segmenter.progress:
            self._clicked_at = monotonic()
            self.segment()
        elif monotonic() - self._clicked_at > QApplication.doubleClickInterval() / 1000:
            self._segmenter.cancel()  # the second click of a double click doesn't cancel

    def _clean(self) -> None:
        self._segmenter.begin_with(self.image.value, self.cleaning.value)
        if (result := self._result()) is not None:
            self._segmenter.clean(result, self.cleaning.value)

    def _save(self) -> None:
        if (result := self._result()) is not None:
            ask_and_save(result.layer, self)

    def _copy(self) -> None:
        if (image := self.image.value) is None:
            show_error(NO_IMAGE)
            return
        try:
            copy_segmenting(image, self._options(image), self.cleaning.value, self._viewer)
        except DarlError as error:
            show_error(str(error))

    def _result(self) -> "Result | None":
        active = bare(self._viewer.layers.selection.active)
        shown = self._segmenter.result_on(active) if isinstance(active, Labels) else None
        return shown or self._segmenter.result_on(self.image.value)

    def _images(self, _: object = None) -> list[Image]:
        return [bare(layer) for layer in self._viewer.layers if isinstance(layer, Image)]

    def _layers_changed(self) -> None:
        for chooser in (self.image, self.region):
            update_choices(chooser)
        self._image_changed()

    def _image_changed(self) -> None:
        """Adapt to the image's shape; keep the user's choices for the same image with the same shape."""
        image = self.image.value
        shown = None if image is None else (image, frames_shape(image), stack_axes(image))
        if shown == self._shown:
            self._refresh()
            return
        self._shown = shown
        self._form.setRowVisible(self.channel, image is not None and bool(image.rgb))
        self._estimated = True
        self.frames.clear()
        if image is not None:
            for event in (image.events.data, image.events.axis_labels):
                event.connect(self._image_changed)
            stacked = stack_axes(image)
            self.frames.addItems([f"all: {stacked}", "the visible frame"] if stacked else ["a single frame"])
            self.frames.setEnabled(bool(stacked))
        self._show_axes()
        self.unsaved.look_for(image)
        self.hint.look_at(image)
        self._estimate()
        self._refresh()

    def _show_axes(self) -> None:
        """Offer all three axes for volumes of which all slices are segmented."""
        image = self.image.value
        self._form.setRowVisible(self.orthogonal, image is not None and slice_distance(image) is not None)
        self.orthogonal.setEnabled(self.frames.currentIndex() == 0)

    def _estimate(self) -> None:
        """Estimate the resize factor, unless the user has chosen one for this image."""
        if self._estimated and (image := self.image.value) is not None:
            height, width = frames_shape(image)[-2:]
            with QSignalBlocker(self.resize_factor):
                traits = model_traits(self.model.model)
                self.resize_factor.setValue(guess_resize(height, width, *traits.pixel_size))
        self._resize_shown()

    def _model_changed(self) -> None:
        show_polarity(self.vessels, self.model.model)
        if self._result() is None:  # otherwise the controls show the result's own cleaning
            self._take_cleaning()
        self.hint.show_chosen(self.model.model)

    def _resize_changed(self) -> None:
        self._estimated = False
        self._resize_shown()

    def _resize_shown(self) -> None:
        image = self.image.value
        y, x = frames_shape(image)[-2:] if image is not None else (0, 0)
        self.estimate.setText(f"estimated from {y} x {x} px" if self._estimated and image is not None else "")
        self.estimate.setVisible(bool(self.estimate.text()))

    def _refresh(self) -> None:
        """Show how far the run has come, and which mask the controls act on."""
        progress, result = self._segmenter.progress, self._result()
        self.button.setText("Cancel" if progress else "Segment")
        self.cleaning.setEnabled(result is None or not result.claimed)
        self.cleaning.belongs_to(result.layer.name if result else None)
        self.save.setEnabled(result is not None)
        self.refine.show_result(result)
        if result:
            self.cleaning.value = result.cleaning
        if progress:
            self.state.setText(f"{progress}...")
        elif result and result.claimed:
            self.state.setText(f"You have edited '{result.layer.name}', so it is left alone. Segment adds a new layer.")
        else:
            self.state.setText("")
