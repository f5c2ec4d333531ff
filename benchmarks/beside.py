"""Measure segmenting beside other work: busy processes, and a training in the same window; needs a display.

    python benchmarks/beside.py [--threads 2] [--repeats 15] [--scenes load training]

Prints two Markdown tables. The first has the time of a 512 x 512 frame on the quiet machine and beside one busy process
a core. The second has the time from a click to the mask on the screen without and with a training of `lite` in the same
window, and by how much a 10 ms timer of the window was late from a second before a click to half a second after the
mask was shown: the share of its ticks that came within 50 ms, and the lateness that 99 % of them did not exceed.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lateness import watched
from segment_click import PLUGIN, Window

from napari_darl.evaluation.report import markdown_table

BUSY = "while True: sum(n * n for n in range(10_000))"
BEFORE_CLICK, AFTER_CLICK = 1.0, 0.5  # s


@contextmanager
def busy_processes(count: int) -> Iterator[None]:
    """Keep some cores busy."""
    processes = [subprocess.Popen([sys.executable, "-c", BUSY]) for _ in range(count)]
    try:
        time.sleep(1)
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def frame_seconds(repeats: int) -> float:
    """Return the median seconds of a frame."""
    from napari_darl import load_model, segment_probability
    from napari_darl.samples import sample_angiogram

    model, frame, seconds = load_model("default", "cpu"), sample_angiogram(), []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        segment_probability(frame, model, resize=1.0)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[1:])


def load_table(threads: int, repeats: int) -> str:
    import torch

    torch.set_num_threads(threads)
    quiet = frame_seconds(repeats)
    with busy_processes(os.cpu_count() or 1):
        beside = frame_seconds(repeats)
    rows = [("quiet", f"{1e3 * quiet:.0f}", "1.00")]
    rows.append(("one busy process a core", f"{1e3 * beside:.0f}", f"{beside / quiet:.2f}"))
    return markdown_table(("machine", "ms a frame", "ratio"), rows)


def _masks(layers: list[Any], known: set[Any]) -> list[Any]:
    """Return the new Labels layers that show something."""
    return [layer for layer in layers if layer not in known and hasattr(layer, "brush_size") and layer.data.any()]


def clicks(window: Window, repeats: int) -> tuple[float, list[float]]:
    """Return the median seconds of a click on Segment, and the lateness of the window."""
    from napari_darl._napari.commands import segment_vessels

    layers, late, seconds = window.viewer.layers, [], []
    for _ in range(repeats + 1):
        with watched() as ticks:
            window.idle(BEFORE_CLICK)
            known = set(layers)
            layers.selection.active = layers[0]
            masks = partial(_masks, layers, known)
            seconds.append(window.answer(partial(segment_vessels, window.viewer), masks))
            window.idle(AFTER_CLICK)
        late += ticks.late
        for mask in masks():  # napari collects garbage then, which takes .2 s and is no part of a click
            layers.remove(mask)
        window.idle(AFTER_CLICK)
    return statistics.median(seconds[1:]), late


def training_table(repeats: int) -> str:
    from napari_darl._napari.training.session import Order, TrainingSession
    from napari_darl.frames.stacks import Stack
    from napari_darl.samples import sample_angiogram

    window = Window()
    window.viewer.open_sample(PLUGIN, "angiogram")
    found = {"no training": clicks(window, repeats)}
    session = TrainingSession.of(window.viewer)
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack([[sample_angiogram()] * 4])
        session.start(Order(Path(folder) / "run", lambda: stack, changes={"preview_every": 10_000}))
        while session.last is None or session.last.step < 2:
            window.idle(0.2)
        found["while lite trains"] = clicks(window, repeats)
        session.stop()
        while session.running:
            window.idle(0.2)
    window.viewer.close()
    quiet = found["no training"][0]
    rows = []
    for name, (seconds, late) in found.items():
        within, most = 100 * np.mean(np.array(late) <= 0.05), 1e3 * np.percentile(late, 99)
        rows.append((name, f"{1e3 * seconds:.0f}", f"{seconds / quiet:.2f}", f"{within:.1f}", f"{most:.0f}"))
    header = ("window", "ms to the mask", "ratio", "% of ticks within 50 ms", "99 % late by at most, ms")
    return markdown_table(header, rows)


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--scenes", nargs="+", choices=("load", "training"), default=["load", "training"])
    args = parser.parse_args()
    if "load" in args.scenes:
        print(f"{load_table(args.threads, args.repeats)}\n", flush=True)
    if "training" in args.scenes:
        print(training_table(args.repeats), flush=True)


if __name__ == "__main__":
    main()
