"""How late napari's window is: shared by the scripts that measure it during other work."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer

from napari_darl.evaluation.report import markdown_table

TICK = 0.01  # s

Row = tuple[str | float | None, ...]


class LateTicks:
    """Notes by how many seconds each tick of a timer in the window's thread comes late."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self._last = time.perf_counter()
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._timer.start(round(1000 * TICK))

    def _tick(self) -> None:
        now = time.perf_counter()
        self.late.append(max(now - self._last - TICK, 0.0))
        self._last = now

    def stop(self) -> None:
        """Stop the timer."""
        self._timer.stop()


@contextmanager
def watched() -> Iterator[LateTicks]:
    """Note the lateness of the window meanwhile."""
    ticks = LateTicks()
    try:
        yield ticks
    finally:
        ticks.stop()


def idle(seconds: float) -> None:
    """Process the events of the window for some time."""
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def wait(until: Callable[[], bool]) -> float:
    """Process the events of the window until a condition holds; return the seconds that it took."""
    began = time.perf_counter()
    while not until():
        idle(0.1)
    return time.perf_counter() - began


def lateness_row(name: str, ticks: LateTicks, *more: float | None) -> Row:
    """Return the row of a table: median, 99th percentile and worst lateness in ms, and what else was measured."""
    median, most = 1000 * np.percentile(ticks.late, (50, 99))
    return (name, float(median), float(most), 1000 * max(ticks.late), *more)


def lateness_table(rows: list[Row], *more: str) -> str:
    """Return a Markdown table of such rows."""
    return markdown_table(("", "median, ms", "99 %, ms", "worst, ms", *more), rows)
