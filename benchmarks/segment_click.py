"""How quickly napari's window answers a click on Segment and the threshold slider; needs a display.

    python benchmarks/segment_click.py [--threads 2] [--repeats 5]

Prints two Markdown tables. The first has the time from a click to the mask on the screen, for the 512 x 512 sample: the
first click of a process (the median and the worst of some processes) and later ones, each of which adds a layer; and the
longest time for which the window's thread was held meanwhile, by the lateness of a 10 ms timer. The second has the time
from a move of the threshold slider to the drawn mask; in the movie the other frames are made anew all the while, and only
the visible one counts.
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
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from napari_darl._napari.segment_widget import SegmentWidget

PLUGIN = "napari-darl"
OPEN_FOR = 5.0  # s
LATER_CLICKS, MOVES = 10, 50
MOVIE_FRAMES, TICK = 100, 0.01
CLEANINGS = {
    "threshold alone": {"hysteresis": 0.0, "smallest_piece": 0, "largest_hole": 0},
    "hysteresis, pieces, holes": {"hysteresis": 0.2, "smallest_piece": 50, "largest_hole": 50},
}
Times = dict[str, list[float]]


class Window:
    """A napari window that tells when something is on the screen, and how long its thread was held."""

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
        """Let the window live."""
        from qtpy.QtCore import QTimer

        QTimer.singleShot(round(1000 * seconds), self._loop.quit)
        self._loop.exec()

    def answer(self, act: Callable[[], object], shown: Callable[[], bool] = lambda: True) -> float:
        """Seconds from an act until a drawing of the canvas in which it shows has ended."""
        began = time.perf_counter()
        act()
        self._shown = shown
        self._loop.exec()
        self._shown = lambda: False
        return time.perf_counter() - began

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Leave in `worst` the longest time, in seconds, for which the event loop didn't turn meanwhile."""
        self._ticked, self.worst = time.perf_counter(), 0.0
        self._timer.start(round(1000 * TICK))
        yield
        self._tick()
        self._timer.stop()

    def settle(self) -> None:
        """Wait for the work in the background, and what the window does after it."""
        while self.viewer.window._task_status_manager.is_busy():
            self.idle(0.05)
        self.idle(0.5)

    def open_widget(self) -> "SegmentWidget":
        return self.viewer.window.add_plugin_dock_widget(PLUGIN, "Segment vessels")[1]  # type: ignore[no-any-return]

    def _drawn(self, _: object) -> None:
        from qtpy.QtCore import QTimer
        from vispy.gloo import gl

        if self._shown():
            gl.glFinish()
            QTimer.singleShot(0, self._loop.quit)

    def _tick(self) -> None:
        now = time.perf_counter()
        self.worst = max(self.worst, now - self._ticked - TICK)
        self._ticked = now


def menu_click(viewer: Any) -> None:
    from napari_darl._napari.commands import segment_vessels

    segment_vessels(viewer)


def clicks(window: Window, name: str, act: Callable[[], None]) -> Times:
    """Time a first click and later ones."""
    viewer = window.viewer
    times: Times = {}
    for turn in range(1 + LATER_CLICKS):
        with window.watched():
            seconds = window.answer(act, lambda: len(viewer.layers) > 1 and viewer.layers[1].data.any())
        row = times.setdefault(f"{name}, {'later' if turn else 'first'} click", [])
        held = times.setdefault(f"{name}, {'later' if turn else 'first'} click, held", [])
        row.append(seconds)
        held.append(window.worst)
        window.settle()
        del viewer.layers[1]
        window.idle(0.2)
    return times


def menu_scene(window: Window) -> Times:
    """Click in the menu, with nothing of the plugin open but its sample."""
    window.viewer.open_sample(PLUGIN, "angiogram")
    window.idle(1)
    if "torch" in sys.modules:
        raise SystemExit("torch is imported before the first click: this doesn't measure what it says.")
    return clicks(window, "menu", lambda: menu_click(window.viewer))


def button_scene(window: Window) -> Times:
    """Open the widget, look at it, and click its button."""
    window.viewer.open_sample(PLUGIN, "angiogram")
    window.idle(1)
    widgets: list[SegmentWidget] = []
    opened = window.answer(lambda: widgets.append(window.open_widget()))
    with window.watched():
        window.idle(OPEN_FOR)
    opening = {"opening the widget": [opened], "opening the widget, held": [window.worst]}
    return {**opening, **clicks(window, f"button, {OPEN_FOR:.0f} s after", widgets[0].button.click)}


def slider_scene(window: Window) -> Times:
    """Move the threshold's slider over single frames and over a movie."""
    from napari_darl.data.samples import sample_angiogram

    frame = sample_angiogram()
    large = np.asarray(np.kron(frame, np.ones((4, 4), np.uint8)))
    shifts = np.linspace(0, 40, MOVIE_FRAMES).astype(int)
    movie = np.stack([np.roll(frame, shift, axis=1) for shift in shifts])
    widget = window.open_widget()
    times: Times = {}
    for image in (frame, large, movie):
        window.viewer.layers.clear()
        window.viewer.add_image(image, name="frames")
        widget.button.click()
        window.settle()
        for cleaning, values in CLEANINGS.items():
            for key, value in values.items():
                widget.cleaning.controls[key].setValue(value)
            window.idle(1)
            size = " x ".join(str(length) for length in image.shape)
            times[f"{size} | {cleaning}"] = list(moves(window, widget, pause=0 if image is movie else 0.05))
    return times


def moves(window: Window, widget: "SegmentWidget", pause: float) -> Iterator[float]:
    """Drag the slider; a movie's is dragged without a pause, so that its other frames are always being made anew."""
    slider = widget.cleaning.controls["threshold"]
    for threshold in np.linspace(0.05, 0.95, MOVES):
        if pause:
            window.idle(pause)
        yield window.answer(lambda value=threshold: slider.setValue(value))


SCENES: dict[str, Callable[[Window], Times]] = {"menu": menu_scene, "button": button_scene, "slider": slider_scene}


def in_a_process(scene: str, threads: int) -> Times:
    """Play a scene in a process of its own, with napari's default settings."""
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


def print_clicks(times: Times) -> None:
    print("| | median, ms | worst | window held at worst | runs |\n|---|---|---|---|---|")
    for name, runs in times.items():
        if not name.endswith(", held"):
            median, worst, held = (1000 * it for it in (statistics.median(runs), max(runs), max(times[f"{name}, held"])))
            print(f"| {name} | {median:.0f} | {worst:.0f} | {held:.0f} | {len(runs)} |")


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

    times: Times = {}
    for _ in range(options.repeats):
        for scene in ("menu", "button"):
            for name, runs in in_a_process(scene, options.threads).items():
                times.setdefault(name, []).extend(runs)
    print_clicks(times)
    print("\n| frames | cleaning | median, ms | 95 % | worst |\n|---|---|---|---|---|")
    for name, runs in in_a_process("slider", options.threads).items():
        median, most, worst = 1000 * np.percentile(runs, [50, 95, 100])
        print(f"| {name} | {median:.0f} | {most:.0f} | {worst:.0f} |")


if __name__ == "__main__":
    main()
