"""A stenosis between two points: its diameters follow the points while they are dragged."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from napari.layers import Image, Labels, Shapes
from napari.utils.notifications import show_error, show_info
from qtpy.compat import isalive
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QFileDialog, QFormLayout, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from napari_darl._napari.colours import BLUE, ORANGE, YELLOW
from napari_darl._napari.decimals import DecimalBox
from napari_darl._napari.geometry import geometry
from napari_darl._napari.layers import frame_order, keeping_selection
from napari_darl._napari.measuring.layer_scale import LayerScale
from napari_darl._napari.measuring.measurement import image_stack, mask_stack
from napari_darl._napari.measuring.plots import StenosisPlot
from napari_darl._napari.measuring.points import TwoPoints
from napari_darl._napari.measuring.work import Latest, StenosisFinder, StenosisRequest
from napari_darl._napari.pickers import explanation
from napari_darl.errors import DarlError, InputError

if TYPE_CHECKING:
    import napari.viewer

    from napari_darl.measuring.stenosis import Stenosis

_HOW = "Place two points on a vessel, before and behind the narrow part. Then drag them; the graph follows."


@dataclass(frozen=True)
class Source:
    """What is measured now: the mask, its image, and the size of a pixel."""

    mask: Labels
    image: Image | None
    scale: LayerScale


class StenosisTab(QWidget):
    """Measures a stenosis, and calibrates by a catheter.

    Signals
    -------
    calibrated : float, str
        Size of a pixel in mm, and where it comes from.
    """

    calibrated = Signal(float, str)

    def __init__(self, viewer: "napari.viewer.Viewer", source: Callable[[], Source | None]) -> None:
        super().__init__()
        self._viewer, self._source = viewer, source
        self.points = TwoPoints(viewer, "stenosis points", ORANGE)
        self.catheter = TwoPoints(viewer, "catheter points", BLUE)
        self._path: Shapes | None = None
        self._asked: tuple[Source, tuple[int, ...]] | None = None
        self.found: Stenosis | None = None
        self._finder = Latest(StenosisFinder(), self._show)
        self.place = QPushButton("Place points")
        self.place.setToolTip("The next two clicks in the viewer are the ends of the stretch to be measured.")
        self.save = QPushButton("Save curve...")
        self.save.setToolTip("Saves position, diameter and reference along the vessel as CSV.")
        self.save.setEnabled(False)
        self.plot = StenosisPlot()
        self.result = explanation()
        self.result.setText(_HOW)
        self.french = DecimalBox()
        self.french.setRange(1, 40)
        self.french.setValue(6)
        self.french.setSuffix(" F")
        self.french.setToolTip("Outer diameter of the catheter: 1 F is 1/3 mm.")
        self.place_catheter = QPushButton("Place points on a catheter")
        self.place_catheter.setToolTip(
            "Two points on a straight stretch of it, in the image, give the size of a pixel."
        )
        self._lay_out()

        self.place.clicked.connect(self._place)
        self.place_catheter.clicked.connect(self._place_catheter)
        self.save.clicked.connect(self._ask_save)
        self.points.moved.connect(self.update_found)
        self.catheter.moved.connect(self._calibrate)
        self.french.valueChanged.connect(self._calibrate)

    @property
    def busy(self) -> bool:
        """Whether a measurement is under way."""
        return self._finder.busy

    def update_found(self) -> None:
        """Measure between the points as they are now, in the background."""
        source, points = self._source(), self.points.points
        if source is None or points is None:
            return
        try:
            request, leading = self._request(source, points)
        except InputError as error:
            self._show(str(error))
            return
        self._asked = source, leading
        self._finder(request)

    def write(self, path: Path) -> None:
        """Write the diameters along the vessel as CSV."""
        from napari_darl.measuring.tables import write_csv

        found = self.found
        if found is None:
            return
        columns = {"position": found.position, "y": found.path[:, 0], "x": found.path[:, 1]}
        columns |= {"diameter": found.diameter, "reference": found.reference}
        write_csv(path, columns | {"unit": np.full(len(found.position), found.unit)}, overwrite=True)

    def _lay_out(self) -> None:
        column = QVBoxLayout(self)
        row = QHBoxLayout()
        row.addWidget(self.place)
        row.addWidget(self.save)
        column.addLayout(row)
        column.addWidget(self.result)
        column.addWidget(self.plot, 1)
        form = QFormLayout()
        line = QHBoxLayout()
        line.addWidget(self.french)
        line.addWidget(self.place_catheter, 1)
        form.addRow("calibrate", line)
        column.addLayout(form)

    def _place(self) -> None:
        if (source := self._source()) is None:
            show_error("There is no mask to measure in. Segment an image, or open a mask.")
            return
        self.result.setText(_HOW)
        self.points.place(source.mask)

    def _place_catheter(self) -> None:
        source = self._source()
        if source is None or source.image is None:
            show_error("A catheter is measured in an image. Choose the image of the mask first.")
            return
        self.catheter.place(source.mask)

    def _request(self, source: Source, points: np.ndarray) -> tuple[StenosisRequest, tuple[int, ...]]:
        """Read the frame that the points lie in."""
        order = frame_order(source.mask)
        stack, images = mask_stack(source.mask, 2), image_stack(source.image, source.mask, 2)
        if points.shape[1] != len(order):
            raise InputError("The points belong to another mask. Place them anew.")
        leading = np.rint(points[:, order[:-2]]).astype(int)
        if (leading[0] != leading[1]).any():
            raise InputError("The points lie in two frames. Place both in one.")
        place = tuple(int(np.clip(at, 0, n - 1)) for at, n in zip(leading[0], stack.leading, strict=True))
        number = int(np.ravel_multi_index(place, stack.leading)) if place else 0
        start, end = (tuple(point[list(order[-2:])].tolist()) for point in points)
        size = source.scale.size[-2:]
        request = StenosisRequest(
            stack[number],
            None if images is None else images[number],
            (start[0], start[1]),
            (end[0], end[1]),
            (size[0], size[1]),
            source.scale.unit,
        )
        return request, place

    def _show(self, found: "Stenosis | str") -> None:
        """Show a stenosis, or say why there is none."""
        if not isalive(self):  # type: ignore[no-untyped-call] # the widget was closed meanwhile
            return
        self.found = None if isinstance(found, str) else found
        self.save.setEnabled(self.found is not None)
        self.plot.draw(self.found)
        if isinstance(found, str):
            self.result.setText(found)
            self._show_path([])
            return
        length = 100 if found.unit == "px" else 1000
        self.result.setText(
            f"{found.percent_diameter:.0f} % diameter stenosis: {_rounded(found.minimum_diameter, length)} of "
            f"{_rounded(found.reference_diameter, length)} {found.unit}, over "
            f"{_rounded(found.lesion_length, length)} {found.unit}. Diameters from the {found.source}."
        )
        self._show_path([found.path])

    def _show_path(self, lines: list[np.ndarray]) -> None:
        if self._asked is None:
            return
        source, leading = self._asked
        if source.mask not in self._viewer.layers:
            return
        order = frame_order(source.mask)
        placed = []
        for line in lines:
            points = np.zeros((len(line), len(order)))
            for axis, values in zip(order, (*leading, *line.T), strict=True):
                points[:, axis] = values
            placed.append(points)
        if self._path is None or self._path not in self._viewer.layers or self._path.ndim != len(order):
            if not placed:
                return
            with keeping_selection(self._viewer):
                place = geometry(source.mask)
                self._path = Shapes(
                    placed, shape_type="path", name="stenosis path", edge_color=YELLOW, edge_width=1, **place
                )
                active = self._viewer.layers.selection.active
                self._viewer.add_layer(self._path)
                self._viewer.layers.selection.active = active
            return
        self._path.data = [(points, "path") for points in placed]
        if placed:
            self._path.edge_color = YELLOW
            self._path.edge_width = 1

    def _calibrate(self) -> None:
        from napari_darl.measuring.catheter import calibrate_by_catheter

        source, points = self._source(), self.catheter.points
        if source is None or source.image is None or points is None:
            return
        try:
            images = image_stack(source.image, source.mask, 2)
            request, place = self._request(source, points)
            number = int(np.ravel_multi_index(place, images.leading)) if images and place else 0
            french = self.french.value()
            if images is None:
                return
            size = calibrate_by_catheter(images[number], request.start, request.end, french)
        except DarlError as error:
            show_error(str(error))
            return
        show_info(f"The catheter of {french:g} F makes a pixel {size:.4g} mm.")
        self.calibrated.emit(size, f"from a catheter of {french:g} F")

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Diameters along the vessel", "stenosis.csv", "CSV (*.csv)")
        if path:
            try:
                self.write(Path(path))
            except DarlError as error:
                show_error(str(error))


def _rounded(value: float, steps: int) -> str:
    return f"{round(value * steps) / steps:.4g}"
