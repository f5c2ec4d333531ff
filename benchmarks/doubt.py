"""Measure how often doubtful spots lie where a mask is wrong, and print a Markdown table.

    python benchmarks/doubt.py --data ../data

For each frame, the first ten of `doubtful_spots` are compared with random pixels on the borders of the mask (pixels
beside the other side), of which the expected value is taken: the mean over all of them. "wrong" is the share of the
25 pixels within 2 of a spot where the mask and the expert differ, "wrong itself" that of the spots' own pixels.
Pixels outside the field of view are neither spots nor borders.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from frames import SETS, load
from scipy.ndimage import binary_dilation, binary_erosion, uniform_filter

from napari_darl import SegmentOptions, Windows, doubtful_spots, load_model
from napari_darl.evaluation.report import markdown_table

MODELS = {"dca1_dev": "default", "drive": "fundus", "chase_db1": "fundus"}


def borders(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return pixels of the mask beside its background, and of the background beside the mask."""
    return binary_dilation(mask) & ~binary_erosion(mask, border_value=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--spots", type=int, default=10)
    parser.add_argument("--limit", type=int, help="use only the first frames of each set")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows: list[tuple[str | float, ...]] = []
    for name in args.sets:
        model = load_model(MODELS[name], "cpu")
        print(f"{name}: {MODELS[name]}, SHA-256 {model.sha256}", flush=True)
        each = []
        for sample in load(name, args.data, args.limit):
            probability = Windows(sample.grey, model, SegmentOptions()).compute() * sample.counted
            mask = probability > model.threshold
            wrong = mask != sample.truth
            near = uniform_filter(wrong.astype(float), 5)
            spots = tuple(doubtful_spots(probability, model.threshold, most=args.spots).T)
            border = borders(mask) & sample.counted
            if len(spots[0]) and border.any():
                each.append((near[spots].mean(), near[border].mean(), wrong[spots].mean(), wrong[border].mean()))
        at_spots, at_borders, itself, border_itself = np.mean(each, axis=0)
        rows.append((name, at_spots, at_borders, at_spots / at_borders, itself, border_itself, itself / border_itself))
    header = ("set", "wrong at spots", "at borders", "ratio", "wrong itself at spots", "at borders", "ratio")
    print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
