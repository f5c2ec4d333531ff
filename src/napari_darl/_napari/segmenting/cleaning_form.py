"""The form for how probability becomes a mask."""

from typing import Any

from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtWidgets import QFormLayout, QGroupBox, QSpinBox
from superqt import QLabeledDoubleSlider

from napari_darl._napari.decimals import accept_commas
from napari_darl.inference.cleaning import Cleaning

_LARGEST = 100_000  # px
_WIDTH = 220  # of the title, in pixels of the screen


class CleaningForm(QGroupBox):
    """Shows and changes a `Cleaning`.

    Signals
    -------
    changed
        The user changed a control.
    """

    changed = Signal()

    def __init__(self) -> None:
        super().__init__("Mask")
        self._threshold = _slider(0.01, 0.99, "Pixels with a greater probability are vessel.")
        self._hysteresis = _slider(
            0.0,
            0.98,
            "How far the probability may fall along a vessel that is found, as a share of the threshold; 0 is off.",
        )
        self._peak = _slider(
            0.0, 0.99, "Pieces without a pixel of a greater probability than this are removed; 0 keeps all."
        )
        self._piece = _pixels("Connected pieces with fewer pixels are removed.")
        self._hole = _pixels("Holes with up to this number of pixels are filled.")
        self.controls: dict[str, Any] = {
            "threshold": self._threshold,
            "hysteresis": self._hysteresis,
            "peak": self._peak,
            "smallest_piece": self._piece,
            "largest_hole": self._hole,
        }
        form = QFormLayout(self)
        form.addRow("threshold", self._threshold)
        form.addRow("hysteresis", self._hysteresis)
        form.addRow("peak", self._peak)
        form.addRow("smallest piece", self._piece)
        form.addRow("fill holes up to", self._hole)
        self.value = Cleaning()
        for control in self.controls.values():
            control.valueChanged.connect(self.changed)

    def belongs_to(self, name: str | None) -> None:
        """Show the name of the mask layer in the title, shortened so that it doesn't widen the window."""
        title = self.fontMetrics().elidedText(f"Mask: {name}", Qt.TextElideMode.ElideMiddle, _WIDTH)
        self.setTitle(title.replace("&", "&&") if name else "Mask")

    @property
    def value(self) -> Cleaning:
        """The cleaning that the controls show; setting it doesn't emit `changed`."""
        return Cleaning(
            threshold=round(self._threshold.value(), 2),
            hysteresis=round(self._hysteresis.value(), 2),
            peak=round(self._peak.value(), 2),
            smallest_piece=self._piece.value(),
            largest_hole=self._hole.value(),
        )

    @value.setter
    def value(self, cleaning: Cleaning) -> None:
        for name, control in self.controls.items():
            with QSignalBlocker(control):
                control.setValue(getattr(cleaning, name))


def _slider(low: float, high: float, tip: str) -> QLabeledDoubleSlider:
    slider = QLabeledDoubleSlider(Qt.Orientation.Horizontal)
    slider.setRange(low, high)
    slider.setSingleStep(0.01)  # type: ignore[arg-type]
    slider.setDecimals(2)
    accept_commas(slider)
    slider.setToolTip(tip)
    return slider


def _pixels(tip: str) -> QSpinBox:
    box = QSpinBox()
    box.setRange(0, _LARGEST)
    box.setSuffix(" px")
    box.setSpecialValueText("off")
    box.setSingleStep(10)
    box.setToolTip(tip)
    return box
