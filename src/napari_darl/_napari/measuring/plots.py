"""Curves of the Measure widget: a quantity over the frames of a movie, and diameters along a vessel."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyqtgraph as pg
from qtpy.QtCore import QSignalBlocker, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_darl._napari.colours import BLUE, ORANGE, PINK

if TYPE_CHECKING:
    from napari_darl.measuring.stenosis import Stenosis

Floats = npt.NDArray[np.float64]

_LESION = QColor(ORANGE)
_LESION.setAlpha(40)


class _Plot(QWidget):
    """A plot that takes the width that there is."""

    def __init__(self, bottom: str, left: str) -> None:
        super().__init__()
        self.plot = pg.PlotWidget(background=None)
        self.plot.setMinimumHeight(150)
        self.plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)  # its own hint is large
        self.plot.setLabel("bottom", bottom)
        self.plot.plotItem.layout.setContentsMargins(1, 1, 1, 5)  # else the label below is cut off
        self.plot.setLabel("left", left)
        self.plot.showGrid(x=True, y=True, alpha=0.2)
        self.plot.setMenuEnabled(False)
        menu = self.plot.plotItem.ctrlMenu
        menu.setParent(self.plot, menu.windowFlags())  # else it outlives the plot
        self.plot.hideButtons()
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self.plot)


class MovieCurve(_Plot):
    """A quantity over frames, with a cursor at the frame that is shown.

    Signals
    -------
    moved : int
        The user dragged the cursor to a frame.
    """

    moved = Signal(int)

    def __init__(self) -> None:
        super().__init__("frame", "")
        self._curve = self.plot.plot(pen=pg.mkPen(BLUE, width=2), symbol="o", symbolSize=4, symbolBrush=BLUE)
        self._cursor = pg.InfiniteLine(movable=True, pen=pg.mkPen(ORANGE, width=2))
        self._cursor.setCursor(Qt.CursorShape.SizeHorCursor)
        self.plot.addItem(self._cursor)
        self._count = 0
        self._cursor.sigPositionChanged.connect(self._dragged)

    def draw(self, values: Floats, name: str) -> None:
        """Draw a quantity of each frame."""
        self._count = len(values)
        self._curve.setData(np.arange(len(values)), values, connect="finite")
        self.plot.setLabel("left", name)
        self.plot.enableAutoRange()

    def show_frame(self, number: int) -> None:
        """Put the cursor at a frame."""
        with QSignalBlocker(self._cursor):
            self._cursor.setValue(number)

    @property
    def frame(self) -> int:
        """Where the cursor is."""
        return round(float(self._cursor.value()))

    def _dragged(self) -> None:
        if self._count:
            self.moved.emit(int(np.clip(self.frame, 0, self._count - 1)))


class StenosisPlot(_Plot):
    """Diameters along a vessel, the reference, the lesion and the minimum."""

    def __init__(self) -> None:
        super().__init__("along the vessel", "diameter")
        self._curve = self.plot.plot(pen=pg.mkPen(BLUE, width=2))
        dashed = pg.mkPen(PINK, width=2, style=Qt.PenStyle.DashLine)
        self._reference = self.plot.plot(pen=dashed)
        self._minimum = self.plot.plot(pen=None, symbol="o", symbolSize=8, symbolBrush=ORANGE, symbolPen=None)
        self._lesion = pg.LinearRegionItem(movable=False, brush=pg.mkBrush(_LESION), pen=pg.mkPen(None))
        self._lesion.setZValue(-10)
        self._lesion.hide()
        self.plot.addItem(self._lesion)

    def draw(self, found: "Stenosis | None") -> None:
        """Draw a stenosis, or nothing."""
        self._lesion.setVisible(found is not None)
        if found is None:
            for curve in (self._curve, self._reference, self._minimum):
                curve.setData([], [])
            return
        self._curve.setData(found.position, found.diameter)
        self._reference.setData(found.position, found.reference)
        self._minimum.setData([found.minimum_position], [found.minimum_diameter])
        self._lesion.setRegion(found.lesion)
        self.plot.setLabel("bottom", f"along the vessel, {found.unit}")
        self.plot.setLabel("left", f"diameter, {found.unit}")
        top = 1.1 * max(found.diameter.max(), found.reference.max())
        self.plot.setRange(xRange=(0, found.position[-1]), yRange=(0, top), padding=0)

    @property
    def values(self) -> Floats:
        """The diameters that are drawn."""
        values = self._curve.yData
        return np.zeros(0) if values is None else np.asarray(values, np.float64)
