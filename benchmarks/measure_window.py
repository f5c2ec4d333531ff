"""How late napari's window is while the Measure widget measures a movie; needs a display.

    xvfb-run -a python benchmarks/measure_window.py

A timer of 10 ms runs in the window's thread, first without work, then while the masks of 100 frames of 512 x 512 are
measured, until the paths of the first one are on the screen. Prints how late it was, in ms: median, 99th percentile,
worst.
"""

import time

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer

import napari_darl
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram

TICK = 0.01  # s
FRAMES = 100


class Lateness:
    """Notes by how many ms each tick of a timer came late."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(round(1000 * TICK))

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late.append(1000 * max(0.0, now - self._last - TICK))
        self._last = now


def idle(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def main() -> None:
    mask = napari_darl.segment(sample_angiogram())
    movie = np.stack([np.roll(mask, number, axis=1) for number in range(FRAMES)])
    viewer = napari.Viewer()
    viewer.add_labels(movie, name="movie")
    _, widget = viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
    idle(3)
    rows = []
    watch = Lateness()
    idle(10)
    rows.append(("no work", watch.late))
    watch = Lateness()
    began = time.perf_counter()
    widget.measure()
    while widget.measurement is None:
        idle(0.1)
    spent = time.perf_counter() - began
    idle(0.5)
    rows.append(("measuring", watch.late))
    viewer.close()
    table = [(name, *np.percentile(late, (50, 99)).tolist(), float(max(late))) for name, late in rows]
    print(markdown_table(("", "median, ms", "99 %, ms", "worst, ms"), table))
    print(f"\n{FRAMES} frames took {spent:.0f} s.")


if __name__ == "__main__":
    main()
