"""Drawn vessels, and the Measure widget in a window."""

from typing import Any

import numpy as np
from windows import Window

from napari_darl.synthetic.raster import Segments, rasterise


def drawn(*vessels: tuple[float, float, float, float, float]) -> np.ndarray:
    """Draw vessels from (y, x) to (y, x), each of a radius."""
    table = np.array(vessels)
    count = len(table)
    segments = Segments(
        table[:, :2], table[:, 2:4], table[:, 4:].repeat(2, 1), np.zeros(count, int), np.ones(count), np.ones(count)
    )
    return rasterise((120, 160), segments, outline=1).mask.astype(np.uint8)


FORK = drawn((60.3, 5, 60.3, 80, 5), (60.3, 80, 20, 150, 3), (60.3, 80, 100, 150, 2.5))
LESION = drawn((60.3, 5, 66, 60, 8), (66, 60, 68, 85, 4), (68, 85, 74, 150, 8))


def open_measure(window: Window) -> Any:
    return window.dock("Measure vessels")


def done(window: Window, widget: Any) -> bool:
    return not window.busy() and widget.button.text() == "Measure" and not widget._timer.isActive()


def measured(window: Window, widget: Any) -> Any:
    widget.button.click()
    window.wait(lambda: done(window, widget))
    return widget.measurement.found()
