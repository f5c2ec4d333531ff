"""Measure the effect of smoothing movies over time on masks under noise, without labels.

    python benchmarks/smoothing.py SERIES... [--sigma 15] [--frames 10 22]

A series is a folder of frames or a stack. Gaussian noise (of 255) is added to its frames. The table has the mean Dice
with the masks of the series without noise: for noisy frames, for smoothed noisy frames, and for smoothed frames without
noise.
"""

import argparse
from pathlib import Path

import numpy as np

from napari_darl import segment
from napari_darl.evaluation.metrics import score
from napari_darl.evaluation.report import markdown_table
from napari_darl.frames.smoothing import smooth_over_time
from napari_darl.frames.stacks import read_stack


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("series", type=Path, nargs="+")
    parser.add_argument("--sigma", type=float, default=15.0)
    parser.add_argument("--frames", type=int, nargs=2, default=(10, 22), help="first, and the one after the last")
    args = parser.parse_args()
    rows = []
    for path in args.series:
        movie = np.stack(read_stack(path).frames[slice(*args.frames)])
        noise = np.random.default_rng(0).normal(0, args.sigma, movie.shape)
        noisy = np.clip(np.rint(movie + noise), 0, 255).astype(np.uint8)
        clean = segment(movie)

        def agreement(other: np.ndarray, clean: np.ndarray = clean) -> float:
            return float(np.mean([score(a > 0, b > 0).dice for a, b in zip(segment(other), clean, strict=True)]))

        rows.append(
            (path.name, agreement(noisy), agreement(smooth_over_time(noisy)), agreement(smooth_over_time(movie)))
        )
    print(markdown_table(("series", "noise", "noise, smoothed", "no noise, smoothed"), rows))


if __name__ == "__main__":
    main()
