"""Calibrate the student `fluorescence` without labels: find the cut at which it marks as many pixels as its teachers.

    python scripts/calibrate_sources.py runs/fluorescence/model.safetensors --data data/ --output runs

Of each source of frames (`fluorescence_teachers.py`), some training frames are segmented, as they are and at half their
size, where pixels are vessel that vessels cover by more than half. The share of pixels above the cut is divided by the
teacher's share, and the geometric mean over sources and sizes has to be 1.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from make_models import RECIPES, evenly, fluorescence, teachers
from numpy.typing import NDArray
from skimage.transform import resize

from napari_darl import load_model, segment_probability
from napari_darl.errors import DarlError

CUTS = np.round(np.arange(0.3, 0.96, 0.01), 2)
FRAMES = 12  # of each source, at most
SIZES = (1.0, 0.5)
SMALLEST = 64  # px, of the shorter side


def reduced(image: NDArray[Any], size: float) -> NDArray[Any]:
    """Return an image whose sides are multiplied by `size`, in its own dtype."""
    shape = [round(side * size) for side in image.shape]
    smaller = resize(image, shape, order=1, anti_aliasing=True, preserve_range=True)
    return (np.round(smaller) if image.dtype.kind in "iu" else smaller).astype(image.dtype)


def main() -> None:
    """Print the ratio of each source at some cuts, and the cut that becomes 0.5."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model as it was trained")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets; see make_models.py")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the runs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    student = load_model(args.model, "cpu")
    enlargement = RECIPES["fluorescence"].model.enlargement
    sources = fluorescence(args.data)
    teach = sources.teacher(*(load_model(path, "cpu") for path in teachers("fluorescence", args.output / "teachers")))
    ratios = []
    for name, frames in sources.by_name.items():
        some = [frame for frame in evenly(frames, FRAMES) if min(frame.shape) <= 1024]
        masks = [(teach(frame) > 0.5).astype(np.float32) for frame in some]
        for size in SIZES:
            seen = [(reduced(frame, size), reduced(mask, size)) for frame, mask in zip(some, masks, strict=True)]
            seen = [(frame, mask) for frame, mask in seen if min(frame.shape) >= SMALLEST]
            maps = [segment_probability(frame, student, bright=False, resize=enlargement).ravel() for frame, _ in seen]
            marked = np.mean(np.concatenate([mask.ravel() for _, mask in seen]) > 0.5)
            ratios.append([float(np.mean(np.concatenate(maps) > cut) / marked) for cut in CUTS])
            shown = ", ".join(f"{cut}: {ratio:.2f}" for cut, ratio in list(zip(CUTS, ratios[-1], strict=True))[::10])
            print(f"{name} x {size}, {len(seen)} frames, {marked:.3f} of the pixels; student / teacher at {shown}")
    means = np.exp(np.log(ratios).mean(axis=0))
    print(f"cut {CUTS[np.abs(np.log(means)).argmin()]}")


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
