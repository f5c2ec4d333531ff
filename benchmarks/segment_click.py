"""Measure how quickly napari's window responds to Segment and to the threshold slider; needs a display.

    python benchmarks/segment_click.py [--threads 2] [--repeats 5]

Prints two Markdown tables. The first has the time from a click to the mask on the screen, for the 512 x 512 sample: for
the first click of a process (in several processes) and for later ones, each of which adds a layer. It also has the
longest time for which the window was blocked, measured by the delay of a 10 ms timer.

The second table has the time from a move of the threshold slider to the drawn mask, and the part of it before drawing.
In the movie, the slider moves on while the other frames are still updated; the time is that of the visible frame, and
the last column is the time until all frames have followed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_darl._napari.segmenting.widget import SegmentWidget

PLUGIN = "napari-darl"
OPEN_FOR = 5.0  # s
LATER_CLICKS, MOVES = 10, 50
MOVIE_FRAMES, TICK = 100, 0.01
CLEANINGS = {
    "threshold alone": {"hysteresis": 0.0, "smallest_piece": 0, "largest_hole": 0},
    "hysteresis, pieces, holes": {"hysteresis": 0.2, "smallest_piece": 50, "largest_hole": 50},
}
Rows = dict[str, dict[str, list[float]]]
"""What was done -> what was timed -> seconds, run by run."""


class Window:
    """A napari window that reports when something is on the screen, and how long its thread was blocked."""

    def __init__(self) -> None:
        import napari
        from qtpy.QtCore import QEventLoop, Qt, QTimer

        self.viewer = napari.Viewer()
        self._loop = QEventLoop()
        self._shown: Callable[[], bool] = lambda: False
        self._timer = QTimer()
        self._timer.setTimerType(Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._tick)
        self._ticked = self.worst = 0.0
        canvas = self.viewer.window._qt_viewer.canvas._scene_canvas
        canvas.events.draw.connect(self._drawn, position="last")
        self.idle(1)

    def idle(self, seconds: float) -> None:
        """Process the events of the window for some time."""
        from qtpy.QtCore import QTimer

        QTimer.singleShot(round(1000 * seconds), self._loop.quit)
        self._loop.exec()

    def answer(self, act: Callable[[], object], shown: Callable[[], bool] = lambda: True) -> float:
        """Return the seconds from an action until the canvas has been drawn with its effect."""
        began = time.perf_counter()
        act()
        self._shown = shown
        self._loop.exec()
        return time.perf_counter() - began

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Set `worst` to the longest time, in seconds, for which the event loop was blocked."""
        self._ticked, self.worst = time.perf_counter(), 0.0
        self._timer.start(round(1000 * TICK))
        yield
        self._tick()
        self._timer.stop()

    def settle(self) -> None:
        """Wait for background work, and for the events that follow it."""
        while self.viewer.window._task_status_manager.is_busy():
            self.idle(0.05)
        self.idle(0.5)

    def open_widget(self) -> "SegmentWidget":
        """Open the Segment widget."""
        return self.viewer.window.add_plugin_dock_widget(PLUGIN, "Segment vessels")[1]  # type: ignore[no-any-return]

    def _drawn(self, _: object) -> None:
        from qtpy.QtCore import QTimer
        from vispy.gloo import gl

        if self._shown():
            self._shown = lambda: False  # a second drawing mustn't quit the next loop
            gl.glFinish()
            QTimer.singleShot(0, self._loop.quit)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.worst = max(self.worst, now - self._ticked - TICK)
        self._ticked = now


def menu_scene(window: Window) -> Rows:
    """Click in the menu, with only the plugin's sample open."""
    window.viewer.open_sample(PLUGIN, "angiogram")
    window.idle(1)
    if "torch" in sys.modules:
        raise SystemExit("torch is imported before the first click: this wouldn't measure what it says.")

    def click() -> None:
        from napari_darl._napari.commands import segment_vessels

        segment_vessels(window.viewer)

    return clicks(window, "menu", click)


def button_scene(window: Window) -> Rows:
    """Open the widget, wait, and click its button."""
    window.viewer.open_sample(PLUGIN, "angiogram")
    window.idle(1)
    widgets: list[SegmentWidget] = []
    with window.watched():
        opened = window.answer(lambda: widgets.append(window.open_widget()))
        window.idle(OPEN_FOR)
    opening = {"opening the widget": {"shown": [opened], "held": [window.worst]}}
    return {**opening, **clicks(window, f"button, widget open for {OPEN_FOR:.0f} s", widgets[0].button.click)}


def clicks(window: Window, name: str, click: Callable[[], None]) -> Rows:
    """Measure a first click and later ones."""
    layers = window.viewer.layers
    rows: Rows = {f"{name}: {which} click": {"shown": [], "held": []} for which in ("first", "later")}
    for turn in range(1 + LATER_CLICKS):
        row = rows[f"{name}: {'later' if turn else 'first'} click"]
        with window.watched():
            row["shown"].append(window.answer(click, lambda: len(layers) > 1 and layers[1].data.any()))
        row["held"].append(window.worst)
        window.settle()
        del layers[1]
        window.idle(0.2)
    return rows


def slider_scene(window: Window) -> Rows:
    """Move the threshold slider over single frames and over a movie."""
    from napari_darl.samples import sample_angiogram

    frame = sample_angiogram()
    large = np.kron(frame, np.ones((4, 4), np.uint8))
    movie = np.stack([np.roll(frame, shift, axis=1) for shift in range(MOVIE_FRAMES)])
    widget = window.open_widget()
    rows: Rows = {}
    for image in (frame, large, movie):
        window.viewer.layers.clear()
        window.viewer.add_image(image, name="frames")
        widget.button.click()
        window.settle()
        for name, cleaning in CLEANINGS.items():
            for key, value in cleaning.items():
                widget.cleaning.controls[key].setValue(value)
            window.idle(1)
            size = " x ".join(str(length) for length in image.shape)
            rows[f"{size} | {name}"] = drag(window, widget, pause=0 if image is movie else 0.05)
    return rows


def drag(window: Window, widget: "SegmentWidget", pause: float) -> dict[str, list[float]]:
    """Drag the slider; return the seconds until a move has returned, is drawn, and all frames have followed."""
    slider = widget.cleaning.controls["threshold"]
    row: dict[str, list[float]] = {"shown": [], "returned": []}

    def move(threshold: float) -> None:
        began = time.perf_counter()
        slider.setValue(threshold)
        row["returned"].append(time.perf_counter() - began)

    for threshold in np.linspace(0.05, 0.95, MOVES):
        if pause:
            window.idle(pause)
        row["shown"].append(window.answer(partial(move, threshold)))
    return {**row, "all": [all_followed(window)]}


def all_followed(window: Window) -> float:
    """Return the seconds until the invisible frames have followed the last move."""
    from napari_darl._napari.segmenting.segmenter import Segmenter

    began = time.perf_counter()
    while Segmenter.of(window.viewer)._timer.isActive():
        window.idle(0.01)
    return time.perf_counter() - began


SCENES: dict[str, Callable[[Window], Rows]] = {"menu": menu_scene, "button": button_scene, "slider": slider_scene}


def in_a_process(scene: str, threads: int) -> Rows:
    """Run a scene in its own process, with napari's default settings."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {"NAPARI_CONFIG": str(Path(folder) / "settings.yaml"), "OMP_NUM_THREADS": str(threads)}
        run = subprocess.run(
            [sys.executable, __file__, "--scene", scene],
            env={**os.environ, **settings},
            check=True,
            stdout=subprocess.PIPE,
            text=True,
        )
    return json.loads(run.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def print_clicks(rows: Rows) -> None:
    print("| | median, ms | longest, ms | longest block of the window, ms | runs |\n|---|---|---|---|---|")
    for name, row in rows.items():
        shown, held = row["shown"], max(row["held"])
        median = statistics.median(shown)
        print(f"| {name} | {1000 * median:.0f} | {1000 * max(shown):.0f} | {1000 * held:.0f} | {len(shown)} |")


def print_moves(rows: Rows) -> None:
    print("| frames | cleaning | median, ms | 95 % | worst | before drawing | all frames, s |")
    print("|---|---|---|---|---|---|---|")
    for name, row in rows.items():
        median, most, worst = 1000 * np.percentile(row["shown"], [50, 95, 100])
        returned, followed = 1000 * statistics.median(row["returned"]), row["all"][0]
        print(f"| {name} | {median:.0f} | {most:.0f} | {worst:.0f} | {returned:.0f} | {followed:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5, help="processes, for the first clicks")
    parser.add_argument("--scene", choices=SCENES, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.scene:
        window = Window()
        print(json.dumps(SCENES[options.scene](window)))
        window.viewer.close()
        return

    clicked: Rows = {}
    for scene in ["menu", "button"] * options.repeats:
        for name, row in in_a_process(scene, options.threads).items():
            for what, times in row.items():
                clicked.setdefault(name, {}).setdefault(what, []).extend(times)
    print_clicks(clicked)
    print()
    print_moves(in_a_process("slider", options.threads))


if __name__ == "__main__":
    main()
