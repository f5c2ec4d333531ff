"""Controls of the Measure widget: which layers, and how large a pixel is."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from magicgui.widgets import ComboBox
from napari.layers import Layer
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QComboBox, QHBoxLayout, QSizePolicy, QWidget

from napari_darl._napari.decimals import DecimalBox
from napari_darl._napari.layers import bare
from napari_darl._napari.measuring.layer_scale import LayerScale
from napari_darl._napari.pickers import widen

if TYPE_CHECKING:
    import napari.viewer

_UNITS = ("mm", "µm", "px")
_NONE = "none"


def layer_choice(
    viewer: "napari.viewer.Viewer", kind: type[Layer], tip: str, *, optional: bool, leave_out: Callable[[], Any] = list
) -> ComboBox:
    """Choose one of the viewer's layers of a kind; the choices follow the layer list.

    Parameters
    ----------
    viewer
        The viewer.
    kind
        A class of layers.
    tip
        Tooltip.
    optional
        Whether there is "none".
    leave_out
        Returns layers that can't be chosen.
    """

    def choices(*_: object) -> list[tuple[str, Layer]]:
        hidden = leave_out()
        layers = [bare(layer) for layer in viewer.layers]
        return [(layer.name, layer) for layer in layers if isinstance(layer, kind) and layer not in hidden]

    box = ComboBox(choices=choices, nullable=optional, tooltip=tip)
    box.null_string = _NONE
    box.reset_choices()
    widen(box.native)
    return box


class PixelSizeForm(QWidget):
    """Sets a pixel size in place of the layer's.

    Signals
    -------
    changed
        The user chose another size, or the layer's again.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.own = QCheckBox("set")
        self.own.setToolTip("Use this size in place of the layer's scale.")
        self.side = DecimalBox()
        self.side.setDecimals(5)
        self.side.setRange(1e-5, 1e5)
        self.side.setValue(1)
        self.side.setToolTip("Side of a pixel; the shorter one, where its sides differ.")
        self.side.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.unit = QComboBox()
        self.unit.addItems(_UNITS)
        self.unit.setToolTip("Unit of the side of a pixel.")
        self.source = "as you set it"
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.addWidget(self.own)
        row.addWidget(self.side, 1)
        row.addWidget(self.unit)
        self._enable()
        self.own.toggled.connect(self._edited)
        self.side.valueChanged.connect(self._edited)
        self.unit.currentTextChanged.connect(self._edited)

    def set(self, size: float, unit: str, source: str) -> None:
        """Set a size that was measured."""
        with QSignalBlocker(self.own), QSignalBlocker(self.side), QSignalBlocker(self.unit):
            self.own.setChecked(True)
            self.side.setValue(size)
            self.unit.setCurrentText(unit)
        self.source = source
        self._enable()
        self.changed.emit()

    def applied(self, scale: LayerScale) -> LayerScale:
        """Return a layer's scale, or the one that is set in its place."""
        if not self.own.isChecked():
            return scale
        return scale.replaced(self.side.value(), self.unit.currentText(), self.source)

    def _edited(self) -> None:
        self.source = "as you set it"
        self._enable()
        self.changed.emit()

    def _enable(self) -> None:
        for control in (self.side, self.unit):
            control.setEnabled(self.own.isChecked())
