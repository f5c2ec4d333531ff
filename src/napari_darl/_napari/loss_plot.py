"""Losses as live curves on a logarithmic scale."""

from collections.abc import Iterable, Mapping

import numpy as np
import pyqtgraph as pg
from qtpy.QtWidgets import QSizePolicy, QVBoxLayout, QWidget

# Either side of a game in one colour, the discriminator's dashed.
_CURVES = {
    "diffusion": ("#20c0ff", False),
    "cycle": ("#40e080", False),
    "adversarial_angiogram": ("#ff8040", False),
    "discriminator_angiogram": ("#ff8040", True),
    "adversarial_mask": ("#ff40c0", False),
    "discriminator_mask": ("#ff40c0", True),
}
_MOST_POINTS = 300
_LEAST = 1e-4  # a loss of 0 has no logarithm


class LossPlot(QWidget):
    """Draws the losses of a run; each point is a mean over as many steps as keeps a curve to some hundred points."""

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
        self.clear()

    def clear(self) -> None:
        """Forget all steps."""
        self._steps: list[float] = []
        self._values: dict[str, list[float]] = {}
        self._plot.clear()
        self._curves.clear()

    def add(self, rows: Iterable[tuple[int, Mapping[str, float]]]) -> None:
        """Draw further steps: pairs of the step and its losses by name."""
        for step, losses in rows:
            self._steps.append(step)
            for name in _CURVES:
                if name in losses:
                    self._values.setdefault(name, []).append(losses[name])
        width = max(1, -(-len(self._steps) // _MOST_POINTS))
        for name, values in self._values.items():
            self._curve(name).setData(_means(self._steps, width), np.maximum(_means(values, width), _LEAST))

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


def _means(values: list[float], width: int) -> np.ndarray:
    """Average each `width` values, the last ones, if fewer, on their own."""
    array = np.asarray(values, float)
    starts = np.arange(0, len(array), width)
    return np.add.reduceat(array, starts) / np.diff(np.append(starts, len(array)))
