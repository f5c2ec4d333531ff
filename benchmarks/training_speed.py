"""Measure how soon training starts and how many steps a second it does.

    python benchmarks/training_speed.py [--presets lite fundus] [--sides 512 1000] [--frames 64] [--steps 12]

Trains on copies of a sample at several sizes, each copy shifted, so that each frame needs labels of its own. Prints a
Markdown table with the seconds to the first step, drawing and labels included, the median seconds of the later half of
the steps, the ratio of the two, and where the time of a later step goes: drawing its batch, or optimising.
"""

import argparse
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from skimage.transform import resize

from napari_darl import Trainer, training_config
from napari_darl.evaluation.report import markdown_table
from napari_darl.samples import sample_angiogram, sample_fundus


def stack(preset: str, side: int, count: int) -> list[np.ndarray]:
    """Return frames of a side, in px, that suit a preset."""
    sample = sample_fundus()[..., 1] if preset == "fundus" else sample_angiogram()
    frame = resize(sample, (side, side), preserve_range=True).astype(np.uint8)
    return [np.roll(frame, 7 * number, axis=number % 2) for number in range(count)]


def measure(preset: str, side: int, count: int, steps: int) -> tuple[str, ...]:
    config = training_config(preset, steps=steps)
    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(config, Path(folder) / "run", stack(preset, side, count), device="cpu")
        times = [time.perf_counter()]
        for _ in trainer.run():
            times.append(time.perf_counter())
        start = time.perf_counter()
        trainer.sampler.draw(steps, config.batch)
        drawing = time.perf_counter() - start
    seconds = np.diff(times)
    later = statistics.median(seconds[steps // 2 :])
    texts = f"{seconds[0]:.2f}", f"{later:.2f}", f"{seconds[0] / later:.1f}", f"{drawing:.2f}"
    return (preset, f"{side} x {side}", *texts)


def main() -> None:
    """Measure and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--presets", nargs="+", default=["lite", "fundus"])
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 1000], help="of the frames, px")
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    rows = [measure(preset, side, args.frames, args.steps) for preset in args.presets for side in args.sides]
    header = ("preset", "frames", "first step, s", "later step, s", "ratio", "drawing a batch, s")
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
