"""Losses as live curves on a logarithmic scale."""

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_darl._napari.training.loss_history import LossHistory

# Either side of a game in one colour, the discriminator's dashed.
_CURVES = {
    "diffusion": ("#20c0ff", False),
    "cycle": ("#40e080", False),
    "adversarial_angiogram": ("#ff8040", False),
    "discriminator_angiogram": ("#ff8040", True),
    "adversarial_mask": ("#ff40c0", False),
    "discriminator_mask": ("#ff40c0", True),
}
_LEAST = 1e-4  # a loss of 0 has no logarithm


class LossPlot(QWidget):
    """Draws the losses of a run."""

    def __init__(self) -> None:
        super().__init__()
        self._plot = pg.PlotWidget(background=None)
        self._plot.setMinimumHeight(190)
        self._plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Expanding)  # its own hint is wide
        self._plot.setLogMode(y=True)
        self._plot.setLabel("bottom", "step")
        self._plot.showGrid(x=True, y=True, alpha=0.2)
        self._plot.setMenuEnabled(False)
        self._plot.addLegend(offset=(1, 1), labelTextSize="7pt", colCount=2, verSpacing=-6)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addWidget(self._plot)
        self._curves: dict[str, pg.PlotDataItem] = {}

    def draw(self, losses: LossHistory) -> None:
        """Draw what there is, and nothing of another run."""
        names = losses.names()
        if not self._curves.keys() <= set(names):
            self._plot.clear()
            self._curves.clear()
        for name in _CURVES:
            if name in names:
                steps, values = losses.curve(name)
                self._curve(name).setData(steps, np.maximum(values, _LEAST))

    def points(self, name: str) -> int:
        """Count the points that a curve has."""
        return len(self._curves[name].xData) if name in self._curves else 0

    def _curve(self, name: str) -> pg.PlotDataItem:
        if name not in self._curves:
            colour, dashed = _CURVES[name]
            style = pg.QtCore.Qt.PenStyle.DashLine if dashed else pg.QtCore.Qt.PenStyle.SolidLine
            pen = pg.mkPen(colour, width=1, style=style)
            self._curves[name] = self._plot.plot(pen=pen, name=name.replace("_", " "))
        return self._curves[name]
