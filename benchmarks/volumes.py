"""Measure models on volumes with bright vessels, slice by slice, and print a Markdown table.

    python benchmarks/volumes.py --data ../data --models fluorescence

Only the second half of each volume is measured; the first takes part in the training of `fluorescence`. Slices whose
mask is empty are left out. Models segment slice by slice, and along three axes (`orthogonal`) both the second half
alone and the whole volume, of which the second half is measured. The voxels of both volumes are taken for cubes. For
Sato's filter and for the smoothed intensity, the share of brightest pixels of a slice (one for the volume) and the
scales were chosen on the masks: they show what is in reach.
"""

import argparse
from collections.abc import Callable
from dataclasses import astuple
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter
from skimage.filters import sato

from napari_darl import Model, load_model, segment_probability
from napari_darl.evaluation.metrics import MEASURES, mean_scores, score
from napari_darl.evaluation.report import markdown_table
from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.io.images import read_image

Volume = npt.NDArray[Any]

VOLUMES = {
    "octa": ("tubenet_sample/OCTA-Data.tif", "tubenet_sample/OCTA-Labels.tif"),
    "liver": ("vesselexpress_liver/images/Raw_liver_1.tiff", "vesselexpress_liver/masks_auto/Binary_liver_1.tiff"),
}
SCALES = ((1.0, 1.5, 2.0, 2.5, 3.0), (1.5, 2.0, 3.0, 4.0, 5.0), (2.0, 3.0, 4.0, 6.0))
FRACTIONS = np.arange(0.04, 0.41, 0.02)
CUTS = np.arange(0.05, 0.96, 0.05)


def kept_out(name: str, data: Path) -> list[tuple[Volume, npt.NDArray[np.bool_]]]:
    """Read the slices of the second half, with their masks."""
    image, mask = (read_image(data / path).data for path in VOLUMES[name])
    half = (len(image) + 1) // 2
    return [(frame, truth > 0) for frame, truth in zip(image[half:], mask[half:], strict=True) if truth.any()]


def probabilities(name: str, data: Path, model: Model) -> dict[str, list[Volume]]:
    """Return the probability of the slices of `kept_out`, by the way in which the volume was segmented."""
    image, mask = (read_image(data / path).data for path in VOLUMES[name])
    half = (len(image) + 1) // 2
    found = {"slices": segment_probability(image[half:], model, bright=True)}
    if len(image) - half >= MIN_SIZE:
        found["orthogonal, half"] = segment_probability(image[half:], model, bright=True, orthogonal=True)
    found["orthogonal, whole"] = segment_probability(image, model, bright=True, orthogonal=True)[half:]
    return {way: [p for p, truth in zip(maps, mask[half:], strict=True) if truth.any()] for way, maps in found.items()}


def row(name: str, label: str, masks: list[npt.NDArray[np.bool_]], slices: Any) -> tuple[Any, ...]:
    """Return the mean scores of masks, without the areas under curves."""
    scores = mean_scores([score(mask, truth) for mask, (_, truth) in zip(masks, slices, strict=True)])
    return (name, label, *astuple(scores)[: len(MEASURES) - 2])


def dice(masks: list[npt.NDArray[np.bool_]], slices: Any) -> float:
    """Return the mean Dice coefficient."""
    return float(np.mean([2 * (m & t).sum() / (m.sum() + t.sum()) for m, (_, t) in zip(masks, slices, strict=True)]))


def best(
    maps: list[Volume], slices: Any, cuts: npt.NDArray[np.floating[Any]], cut: Callable[[Volume, float], Any]
) -> tuple[float, list[Any]]:
    """Return the cut with the greatest mean Dice, and its masks."""
    candidates = [[cut(map_, float(value)) for map_ in maps] for value in cuts]
    index = int(np.argmax([dice(masks, slices) for masks in candidates]))
    return float(cuts[index]), candidates[index]


def brightest(map_: Volume, fraction: float) -> npt.NDArray[np.bool_]:
    """Return the brightest part of a map."""
    mask: npt.NDArray[np.bool_] = map_ > np.quantile(map_, 1 - fraction)
    return mask


def main() -> None:
    """Print a table for each volume."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--models", nargs="+", default=["fluorescence"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    for name in VOLUMES:
        slices = kept_out(name, args.data)
        rows = []
        smooth = [gaussian_filter(frame.astype(float), 1) for frame, _ in slices]
        cut, masks = best(smooth, slices, FRACTIONS, brightest)
        rows.append(row("intensity", f"best: top {cut:.0%}", masks, slices))
        filtered = []
        for sigmas in SCALES:
            maps = [sato(f / np.quantile(f, 0.999).clip(1), sigmas=sigmas, black_ridges=False) for f, _ in slices]
            cut, masks = best(maps, slices, FRACTIONS, brightest)
            filtered.append((dice(masks, slices), cut, masks))
        _, cut, masks = max(filtered, key=lambda one: one[0])
        rows.append(row("sato", f"best: top {cut:.0%}", masks, slices))
        for model in args.models:
            loaded = load_model(model, "cpu")
            for way, maps in probabilities(name, args.data, loaded).items():
                cut, masks = best(maps, slices, CUTS, lambda map_, value: map_ > value)
                rows.append(row(f"{model}, {way}", "0.5", [map_ > 0.5 for map_ in maps], slices))
                rows.append(row(f"{model}, {way}", f"best: {cut:.2f}", masks, slices))
        print(f"{name}, {len(slices)} slices\n")
        print(markdown_table(("method", "cut", *MEASURES[: len(MEASURES) - 2]), rows), "\n")


if __name__ == "__main__":
    main()
