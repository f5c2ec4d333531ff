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
from lateness import idle, lateness_row, lateness_table, wait, watched

from napari_darl import Trainer
from napari_darl.samples import sample_angiogram
from napari_darl.training.config import training_config

STEPS = 30


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
        widget.form.folder.setText(f"{folder}/run")
        widget.form.preview_every.setValue(20)
        idle(5)
        with watched() as quiet:
            idle(args.seconds)
        widget.start()
        wait(lambda: len(viewer.layers) >= 7)
        began, first = time.perf_counter(), widget.bar.value()
        with watched() as busy:
            idle(args.seconds)
        speed = (widget.bar.value() - first) / (time.perf_counter() - began)
        widget.button.click()
        wait(lambda: widget.button.text() == "Start")
        viewer.close()
        rows = [lateness_row("no training", quiet, None), lateness_row("training", busy, speed)]
        rows.append(("training without a window", None, None, None, alone(frames, Path(folder) / "alone")))
    print(lateness_table(rows, "steps/s"))


if __name__ == "__main__":
    main()
