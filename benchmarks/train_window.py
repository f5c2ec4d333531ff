"""Measure the delay of napari's window during training; needs a display and two cores or more.

    xvfb-run -a python benchmarks/train_window.py [--seconds 60]

A 10 ms timer runs in the window's thread, first without training, then while `lite` is trained on frames of the sample,
after the first previews (new ones follow every 20 steps). Prints the delay in ms (median, 99th percentile, maximum) and
the steps per second with and without a window.
"""

import argparse
import tempfile
import time
from pathlib import Path

import napari
import numpy as np
from qtpy.QtCore import QEventLoop, Qt, QTimer

from napari_darl import Trainer
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram
from napari_darl.training.config import training_config

TICK = 0.01  # s
STEPS = 30


def lateness(seconds: float) -> np.ndarray:
    """Process the events of the window, and return the delay of each tick in ms."""
    late, last = [], time.perf_counter()
    timer, loop = QTimer(), QEventLoop()
    timer.setTimerType(Qt.TimerType.PreciseTimer)

    def tick() -> None:
        nonlocal last
        now = time.perf_counter()
        late.append(max(0.0, now - last - TICK))
        last = now

    timer.timeout.connect(tick)
    timer.start(round(1000 * TICK))
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()
    return 1000 * np.array(late)


def idle(seconds: float) -> None:
    loop = QEventLoop()
    QTimer.singleShot(round(1000 * seconds), loop.quit)
    loop.exec()


def alone(frames: np.ndarray, folder: Path) -> float:
    """Return the steps per second of the same training without a window."""
    run = Trainer(training_config("lite", steps=STEPS), folder, list(frames)).run()
    for _ in range(3):
        next(run)
    began = time.perf_counter()
    return (STEPS - 3) / (len(list(run)) and time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    args = parser.parse_args()
    frames = np.stack([np.rot90(sample_angiogram(), turn) for turn in range(4)])
    with tempfile.TemporaryDirectory() as folder:
        viewer = napari.Viewer()
        viewer.add_image(frames, name="angiograms")
        widget = viewer.window.add_plugin_dock_widget("napari-darl", "Train a model")[1]
        widget.folder.setText(f"{folder}/run")
        widget.preview_every.setValue(20)
        idle(5)
        rows = [("no training", lateness(args.seconds), None)]
        widget.start()
        while len(viewer.layers) < 7:
            idle(0.1)
        began, first = time.perf_counter(), widget.bar.value()
        late = lateness(args.seconds)
        speed = (widget.bar.value() - first) / (time.perf_counter() - began)
        rows.append(("training", late, speed))
        widget.button.click()
        while widget.button.text() != "Start":
            idle(0.1)
        viewer.close()
        table = [(name, *np.percentile(late, (50, 99)).tolist(), float(late.max()), rate) for name, late, rate in rows]
        table.append(("training without a window", None, None, None, alone(frames, Path(folder) / "alone")))
    print(markdown_table(("", "median, ms", "99 %, ms", "worst, ms", "steps/s"), table))


if __name__ == "__main__":
    main()
