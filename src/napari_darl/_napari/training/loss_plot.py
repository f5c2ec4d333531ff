"""Losses of a run as live curves, on a logarithmic scale."""

from typing import Any

import numpy as np
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

from napari_darl._napari.colours import BLUE, GREEN, ORANGE, PINK
from napari_darl._napari.pickers import explanation
from napari_darl._napari.training.loss_history import LossHistory

try:
    import pyqtgraph as pg
except ImportError:  # training works without it
    pg = None

# An adversarial loss and its discriminator's have one colour; the discriminator's curve is dashed.
_CURVES = {
    "diffusion": (BLUE, False),
    "cycle": (GREEN, False),
    "adversarial_angiogram": (ORANGE, False),
    "discriminator_angiogram": (ORANGE, True),
    "adversarial_mask": (PINK, False),
    "discriminator_mask": (PINK, True),
}
_LEAST = 1e-4  # a loss of 0 has no logarithm


_MISSING = "Curves need pyqtgraph, which isn't installed. Install it with: pip install pyqtgraph"


class _LogAxis(object if pg is None else pg.AxisItem):  # type: ignore[misc]
    """A logarithmic axis with numbers at 1, 2 and 5 alone, which don't overlap."""

    def logTickStrings(self, *ticks: Any) -> list[str]:  # noqa: N802 (pyqtgraph's name)
        return [text if text.lstrip("0.")[:1] in ("1", "2", "5") else "" for text in super().logTickStrings(*ticks)]


class LossPlot(QWidget):
    """Draws the losses of a run, or says that pyqtgraph is missing."""

    def __init__(self) -> None:
        super().__init__()
        self._curves: dict[str, Any] = {}
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        if pg is None:
            line = explanation()
            line.setText(_MISSING)
            column.addWidget(line)
            return
        self._plot = pg.PlotWidget(background=None, axisItems={"left": _LogAxis("left")})
        self._plot.setMinimumHeight(190)
        self._plot.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Ignored)  # its own size hint is large
        self._plot.setLogMode(y=True)
        self._plot.setLabel("bottom", "step")
        self._plot.plotItem.layout.setContentsMargins(1, 1, 1, 5)  # else the label below is cut off
        self._plot.showGrid(x=True, y=True, alpha=0.2)
        self._plot.setMenuEnabled(False)
        self._plot.addLegend(offset=(1, 1), labelTextSize="7pt", colCount=2, verSpacing=-6)
        column.addWidget(self._plot)
        self._plot.hide()  # until there are losses, since empty axes say nothing

    def draw(self, losses: LossHistory) -> None:
        """Draw all losses; curves of another run are removed."""
        if pg is None:
            return
        names = losses.names()
        if not self._curves.keys() <= set(names):
            self._plot.clear()
            self._curves.clear()
        for name in _CURVES:
            if name in names:
                steps, values = losses.curve(name)
                self._curve(name).setData(steps, np.maximum(values, _LEAST))
        self._plot.setVisible(bool(self._curves))

    def _curve(self, name: str) -> Any:
        if name not in self._curves:
            colour, dashed = _CURVES[name]
            style = Qt.PenStyle.DashLine if dashed else Qt.PenStyle.SolidLine
            pen = pg.mkPen(colour, width=1, style=style)
            self._curves[name] = self._plot.plot(pen=pen, name=name.replace("_", " "))
        return self._curves[name]
