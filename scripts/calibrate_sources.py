"""Calibrate the student `fluorescence` without labels: find the cut at which it marks as many pixels as its teachers.

    python scripts/calibrate_sources.py runs/fluorescence/model.safetensors --data data/ --output runs

Of each source of frames (`fluorescence_teachers.py`), some training frames are segmented. The share of pixels above the
cut is divided by the teacher's share, and the geometric mean over the sources has to be 1.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch
from make_models import evenly, fluorescence, teachers

from napari_darl import load_model, segment_probability
from napari_darl.errors import DarlError

CUTS = np.round(np.arange(0.3, 0.96, 0.01), 2)
FRAMES = 12  # of each source, at most


def main() -> None:
    """Print the ratio of each source at some cuts, and the cut that becomes 0.5."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, help="the model as it was trained")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets; see make_models.py")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="folder of the runs")
    args = parser.parse_args()
    torch.set_num_threads(1)
    student = load_model(args.model, "cpu")
    sources = fluorescence(args.data)
    teach = sources.teacher(*(load_model(path, "cpu") for path in teachers("fluorescence", args.output / "teachers")))
    ratios = []
    for name, frames in sources.by_name.items():
        some = [frame for frame in evenly(frames, FRAMES) if min(frame.shape) <= 1024]
        found = np.concatenate([segment_probability(frame, student, bright=False).ravel() for frame in some])
        marked = np.mean(np.concatenate([teach(frame).ravel() for frame in some]) > 0.5)
        ratios.append([float(np.mean(found > cut) / marked) for cut in CUTS])
        shown = ", ".join(f"{cut}: {ratio:.2f}" for cut, ratio in list(zip(CUTS, ratios[-1], strict=True))[::10])
        print(f"{name}, {len(some)} frames, {marked:.3f} of the pixels; student / teacher at {shown}", flush=True)
    means = np.exp(np.log(ratios).mean(axis=0))
    print(f"cut {CUTS[np.abs(np.log(means)).argmin()]}")


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
