"""What was measured of the frame that is shown, and a quantity over all frames."""

from typing import TYPE_CHECKING

import numpy as np
from qtpy.QtWidgets import QComboBox, QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from napari_darl._napari.measuring.plots import MovieCurve
from napari_darl._napari.measuring.tables import fill, value_table
from napari_darl._napari.pickers import explanation, widen

if TYPE_CHECKING:
    from napari_darl.measuring.morphometry import Morphometry

# Name of a column of `Morphometry.frames` -> its title, unit (of the unit of length u) and meaning.
_ROWS = {
    "length": ("total length", "u", "Length of all centrelines."),
    "area": ("vessel area", "u²", "Area of all vessels."),
    "volume": ("vessel volume", "u³", "Volume of all vessels."),
    "mean_diameter": ("mean diameter", "u", "Mean over segments, weighted by their length."),
    "area_density": ("area density", "%", "Vessel area, as part of the frame."),
    "volume_density": ("volume density", "%", "Vessel volume, as part of the whole."),
    "length_density": ("length density", "u/u²", "Total length over the area of the frame."),
    "branch_points": ("branch points", "", "Places where three segments or more meet."),
    "branch_point_density": ("branch point density", "1/u²", "Branch points over the area of the frame."),
    "segments": ("segments", "", "Vessels between branch points or free ends."),
    "pieces": ("pieces", "", "Parts of the mask that no vessel connects."),
    "fractal_dimension": ("fractal dimension", "", "Box counting of the centrelines."),
    "fractal_dimension_error": ("its standard error", "", "Of the fit of the fractal dimension."),
}
_CURVES = ("length", "area", "volume", "branch_points", "mean_diameter")


class VesselsTab(QWidget):
    """Shows the summary of a frame, and for movies a curve over the frames."""

    def __init__(self) -> None:
        super().__init__()
        self.summary = value_table("measure", "value", "unit", tip="The frame that the viewer shows.")
        self.features = QPushButton("Show tables")
        self.features.setToolTip("napari's own table of the selected layer: sort, copy, save; a row selects its path.")
        self.save = QPushButton("Save tables...")
        self.save.setToolTip("Segments, branch points and frames as CSV, and where they come from as JSON.")
        self.legend = explanation()
        self.quantity = QComboBox()
        self.quantity.setToolTip("What the curve below shows of each frame.")
        widen(self.quantity)
        self.curve = MovieCurve()
        self.peak = explanation()
        self._found: Morphometry | None = None

        column = QVBoxLayout(self)
        row = QHBoxLayout()
        row.addWidget(self.features)
        row.addWidget(self.save)
        column.addWidget(self.summary, 2)
        column.addWidget(self.legend)
        column.addLayout(row)
        self._movie = QWidget()
        over = QVBoxLayout(self._movie)
        over.setContentsMargins(0, 0, 0, 0)
        line = QHBoxLayout()
        line.addWidget(QLabel("over frames"))
        line.addWidget(self.quantity, 1)
        over.addLayout(line)
        over.addWidget(self.curve)
        over.addWidget(self.peak)
        column.addWidget(self._movie, 3)
        self._movie.hide()
        self.quantity.currentIndexChanged.connect(self._draw)

    def show_found(self, found: "Morphometry") -> None:
        """Take new measurements; `show_frame` shows them."""
        self._found = found
        movie = len(found.frames["frame"]) > 1
        self._movie.setVisible(movie)
        names = [name for name in _CURVES if name in found.frames]
        chosen = self.quantity.currentData()
        self.quantity.clear()
        for name in names:
            self.quantity.addItem(_titled(name, found.unit), name)
        self.quantity.setCurrentIndex(max(names.index(chosen) if chosen in names else 0, 0))
        if movie:
            peak, time = int(found.summary["peak_frame"]), found.summary.get("time_to_peak")
            after = "" if time is None else f", {time:.4g} ms after the first"
            self.peak.setText(f"Most is filled in frame {peak}{after}.")
        self._draw()

    def show_frame(self, number: int) -> None:
        """Show the summary of a frame, if it was measured."""
        found = self._found
        if found is None or number >= len(found.frames["frame"]):
            self.summary.setRowCount(0)
            return
        names = [name for name in _ROWS if name in found.frames]
        rows = [(_ROWS[name][0], float(found.frames[name][number]), _unit(name, found.unit)) for name in names]
        fill(self.summary, rows, [_ROWS[name][2] for name in names])
        self.curve.show_frame(number)

    def _draw(self) -> None:
        name = self.quantity.currentData()
        if self._found is not None and name:
            self.curve.draw(np.asarray(self._found.frames[name], np.float64), self.quantity.currentText())


def _unit(name: str, unit: str) -> str:
    return _ROWS[name][1].replace("u", unit)


def _titled(name: str, unit: str) -> str:
    of = _unit(name, unit)
    return f"{_ROWS[name][0]}, {of}" if of else _ROWS[name][0]
