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
from calibrate import reduced
from make_models import RECIPES, evenly, fluorescence, teachers
from numpy.typing import NDArray

from napari_darl import Model, load_model, segment_probability
from napari_darl.darl.config import Calibration
from napari_darl.errors import DarlError

CUTS = (0.5, 0.6, 0.7, 0.8, 0.9)
FRAMES = 12  # of each source, at most
FACTORS = (1, 2)  # by which the sides of frames are divided
SMALLEST = 64  # px, of the shorter side


def marked(seen: list[tuple[NDArray[Any], NDArray[Any]]], student: Model, enlargement: float) -> float:
    """Return how many pixels of some frames a student marks, divided by those of their masks."""
    maps = [segment_probability(frame, student, bright=False, resize=enlargement) for frame, _ in seen]
    return float(sum((map_ > 0.5).sum() for map_ in maps) / sum((mask > 0.5).sum() for _, mask in seen))


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
    pairs = {}
    for name, frames in sources.by_name.items():
        some = [frame for frame in evenly(frames, FRAMES) if min(frame.shape) <= 1024]
        masks = [(teach(frame) > 0.5).astype(np.float32) for frame in some]
        for factor in FACTORS:
            seen = [(reduced(frame, factor), reduced(mask, factor)) for frame, mask in zip(some, masks, strict=True)]
            pairs[f"{name} / {factor}"] = [(frame, mask) for frame, mask in seen if min(frame.shape) >= SMALLEST]
    means = []
    for cut in CUTS:
        # Probabilities are calibrated before they are brought to the frame's own pixels.
        student.network.config = student.network.config.updated(calibration=Calibration(cut=cut))
        ratios = {source: marked(seen, student, enlargement) for source, seen in pairs.items()}
        means.append(float(np.mean(np.log(list(ratios.values())))))
        shown = ", ".join(f"{source} {ratio:.2f}" for source, ratio in ratios.items())
        print(f"cut {cut}: student / teacher {np.exp(means[-1]):.3f}; {shown}", flush=True)
    print(f"cut {np.interp(0, means[::-1], CUTS[::-1]):.2f}")


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
