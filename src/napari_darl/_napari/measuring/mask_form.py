"""What the Measure widget measures: a mask, its image, and how large a pixel is."""

from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Image, Labels, Layer
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QFormLayout, QWidget

from napari_darl._napari.file_scale import with_file_scale
from napari_darl._napari.layers import bare, frame_order, frames_shape
from napari_darl._napari.measuring.controls import PixelSizeForm, layer_choice
from napari_darl._napari.measuring.layer_scale import PIXEL, LayerScale, frame_time, layer_scale
from napari_darl._napari.measuring.own_image import own_image, own_mask
from napari_darl._napari.measuring.stenosis_tab import Source
from napari_darl._napari.pickers import explanation, update_choices, widen

if TYPE_CHECKING:
    import napari.viewer

_MOVIE, _VOLUME = "movie", "volume"


class MaskForm(QWidget):
    """Chooses a mask, its image and the size of a pixel, and watches the mask.

    Signals
    -------
    changed
        Another mask was chosen, or its scale, its kind of stack or the pixel size changed.
    edited
        The values of the mask changed.
    """

    changed = Signal()
    edited = Signal()

    def __init__(self, viewer: "napari.viewer.Viewer") -> None:
        super().__init__()
        self._watched: Labels | None = None
        self.masks: ComboBox = layer_choice(viewer, Labels, "The mask to measure.", optional=False)
        tip = "Its image, in whose profiles diameters are measured, too; none to leave them out."
        self.image: ComboBox = layer_choice(viewer, Image, tip, optional=True)
        self._viewer = viewer
        self._offered: Image | None = None  # the image that was chosen for the user
        self.stack = QComboBox()
        self.stack.addItems([_MOVIE, _VOLUME])
        self.stack.setToolTip("A movie is measured frame by frame, a volume (Z, Y, X) as a whole.")
        widen(self.stack)
        self.separate = QCheckBox("each label by itself")
        self.separate.setToolTip("Vessels of different labels are then never joined.")
        self.pixel_size = PixelSizeForm()
        self.unit_line = explanation()
        self._form = QFormLayout(self)
        self._form.setContentsMargins(0, 0, 0, 0)
        self._form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        self._form.addRow("mask", self.masks.native)
        self._form.addRow("image", self.image.native)
        self._form.addRow("stack is a", self.stack)
        self._form.addRow("labels", self.separate)
        self._form.addRow("pixel size", self.pixel_size)
        self._form.addRow(self.unit_line)
        self.masks.changed.connect(self._mask_changed)
        self.image.changed.connect(self._scale_changed)
        self.stack.currentTextChanged.connect(self._scale_changed)
        self.pixel_size.changed.connect(self._scale_changed)
        self.reset_choices()
        active = bare(viewer.layers.selection.active)
        mask = own_mask(active, viewer) if isinstance(active, Image) else active
        if isinstance(mask, Labels):
            self.masks.value = mask
        self._mask_changed()

    @property
    def chosen(self) -> Labels | None:
        """The chosen mask."""
        mask: Labels | None = self.masks.value
        return mask

    @property
    def dimensions(self) -> int:
        """3 if the mask is measured as a volume, else 2."""
        mask = self.chosen
        return 3 if mask is not None and mask.ndim > 2 and self.stack.currentText() == _VOLUME else 2

    def scale_of(self, mask: Labels) -> LayerScale:
        """Return the size of a mask's pixels and where it comes from."""
        return self.pixel_size.applied(layer_scale(self._described(mask), self.dimensions))

    def source(self) -> Source | None:
        """Return what a stenosis is measured in: the mask, its image, and the scale of a frame; None without a mask."""
        if (mask := self.chosen) is None:
            return None
        return Source(mask, self.image.value, self.pixel_size.applied(layer_scale(self._described(mask), 2)))

    def _described(self, mask: Labels) -> Layer:
        """Return a mask with the scale of its own file or of its image's, if napari doesn't know it."""
        return with_file_scale(mask, self.image.value or own_image(mask, self._viewer))

    def options(self, mask: Labels) -> dict[str, Any]:
        """Return what is chosen as options of `napari-darl measure`."""
        scale, volume = self.scale_of(mask), self.dimensions == 3
        known = scale.unit != PIXEL
        return {
            "images": self.image.value,
            "pixel_size": ",".join(map(repr, scale.size)) if known else None,
            "unit": scale.unit if known else None,
            "frame_time": frame_time(self._described(mask), self.dimensions) if not volume else None,
            "labels": self.separate.isChecked(),
            "volume": volume,
        }

    def reset_choices(self) -> None:
        """Offer the viewer's layers as they are now."""
        decided = self.image.value is not self._offered
        for chooser in (self.image, self.masks):
            update_choices(chooser)
        if not decided:
            self._offer_image()

    def _mask_changed(self) -> None:
        mask = self.chosen
        if mask is not self._watched:
            self._watch(self._watched, mask)
            self._watched = mask
            self._offer_image()
        stacked = mask is not None and len(frames_shape(mask)) > 2
        self._form.setRowVisible(self.stack, stacked)
        if stacked and mask is not None:
            labels = [self._described(mask).axis_labels[axis] for axis in frame_order(mask)]
            self.stack.setCurrentText(_VOLUME if labels[-3].lower() == "z" else _MOVIE)
        self._scale_changed()

    def _offer_image(self) -> None:
        """Choose the mask's own image, if it is known."""
        if (mask := self.chosen) is not None:
            self.image.value = self._offered = own_image(mask, self._viewer)

    def _watch(self, before: Labels | None, mask: Labels | None) -> None:
        """Hear of changes of the chosen mask, and of it alone."""
        for layer, connecting in ((before, False), (mask, True)):
            if layer is not None:
                # napari emits no event for values changed in place, but it redraws the layer.
                for event in (layer.events.paint, layer.events.data, layer.events.set_data, layer.events.labels_update):
                    (event.connect if connecting else event.disconnect)(self._values_changed)
                for event in (layer.events.scale, layer.events.units, layer.events.affine):
                    (event.connect if connecting else event.disconnect)(self._scale_changed)

    def _values_changed(self) -> None:
        if isalive(self):  # type: ignore[no-untyped-call]
            self.edited.emit()

    def _scale_changed(self) -> None:
        if not isalive(self):  # type: ignore[no-untyped-call] # closed, and its mask changed
            return
        self.unit_line.setText("" if self.chosen is None else self.scale_of(self.chosen).words)
        self.changed.emit()
