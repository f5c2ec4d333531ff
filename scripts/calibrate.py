"""Calibrate a model without labels, by its agreement with other models that were trained without labels.

    python scripts/calibrate.py MODEL.safetensors FRAMES/ --others OTHER.safetensors ... [--output CALIBRATED]

The others' masks are taken at 0.5, the model's at every threshold. Of the thresholds whose mean Dice with the
others is within one standard error of the greatest one (paired over frames), the lowest becomes 0.5
(`Calibration.cut`). The temperature is chosen so that the mean of `expected_dice`, of the frame alone, is the greatest
mean Dice, which is how well such models agree.

With `--teacher`, the threshold at which the model marks as many pixels as its teacher becomes 0.5 instead. The teacher
has no part in the temperature, since the model was trained to agree with it. With `--outline`, the threshold whose
outlines lie where the frames change the most becomes 0.5: masks are as wide as the vessels look. Frames that have to be
enlarged for the model get a cut of their own (`Calibration.enlarged`). It is found on copies of the frames so small
that the model enlarges them to twice their size: masks of the copies have to agree with the pixels that the vessels
touch.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import binary_dilation, binary_erosion, gaussian_gradient_magnitude
from skimage.transform import resize

from napari_darl import load_model, segment_probability
from napari_darl.darl.checkpoint import load_tensors, model_from, save_model
from napari_darl.darl.config import Calibration
from napari_darl.errors import DarlError
from napari_darl.frames.normalisation import intensity_range, normalise
from napari_darl.frames.stacks import read_stack
from napari_darl.inference.loading import Model
from napari_darl.inference.trust import expected_dice
from napari_darl.training.crops import touched_pixels

CUTS = np.round(np.concatenate([np.arange(0.05, 0.3, 0.025), np.arange(0.3, 0.96, 0.05)]), 3)

Frame = npt.NDArray[np.float32]


def dice(a: npt.NDArray[np.bool_], b: npt.NDArray[np.bool_]) -> float:
    """Return the Dice coefficient of two masks."""
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1))


def corrected(probability: Frame, calibration: Calibration) -> Frame:
    """Apply a calibration to a probability."""
    p = np.clip(probability.astype(np.float64), 1e-7, 1 - 1e-7)
    logit = (np.log(p / (1 - p)) - calibration.shift) / calibration.temperature
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


def cut_of_area(found: list[Frame], masks: list[npt.NDArray[np.bool_]]) -> float:
    """Return the threshold above which there are as many pixels as in the masks of the same frames."""
    share = np.concatenate([mask.ravel() for mask in masks]).mean()
    return float(np.quantile(np.concatenate([p.ravel() for p in found]), 1 - share))


def cut_of_outline(found: list[Frame], frames: list[Frame], cuts: npt.NDArray[np.float64] = CUTS) -> float:
    """Return the threshold with the steepest intensities on both sides of its outlines, in [-1, 1] per px."""
    steepness = []
    for p, frame in zip(found, frames, strict=True):
        slopes = gaussian_gradient_magnitude(frame, 1.0)
        steepness.append([slopes[binary_dilation(p > cut) & ~binary_erosion(p > cut)].mean() for cut in cuts])
    means = np.mean(steepness / np.max(steepness, axis=1, keepdims=True), axis=0)
    for cut, value in zip(cuts, means, strict=True):
        print(f"cut {cut:.3f}: steepness {value:.4f} of the greatest of each frame")
    return float(cuts[means.argmax()])


def reduced(image: npt.NDArray[Any], factor: float) -> npt.NDArray[Any]:
    """Return an image (H, W) whose sides are divided by a factor, in its own dtype."""
    shape = round(image.shape[0] / factor), round(image.shape[1] / factor)
    smaller = resize(image, shape, order=1, anti_aliasing=True, preserve_range=True)
    return (np.round(smaller) if image.dtype.kind in "iu" else smaller).astype(image.dtype)


def cut_of_touched(
    model: Model, frames: list[Frame], masks: list[npt.NDArray[np.bool_]], *, bright: bool = False
) -> float:
    """Return the cut for small copies of frames, at which they agree best with the pixels that vessels touch.

    The copies are so small that the model enlarges them to twice their size.
    """
    dices = []
    for frame, mask in zip(frames, masks, strict=True):
        factor = 2 * min(frame.shape) / model.network.config.side
        copy = reduced(frame, factor)
        found = segment_probability(copy, model, bright=bright)
        touched = touched_pixels(mask, copy.shape)
        dices.append([dice(found > cut, touched) for cut in CUTS])
    return float(CUTS[np.mean(dices, axis=0).argmax()])


def calibrate(
    found: list[Frame], others: list[list[npt.NDArray[np.bool_]]], cuts: npt.NDArray[np.float64] = CUTS
) -> tuple[Calibration, float]:
    """Return the calibration, whose cut is one of `cuts`, and the agreement that it is made from."""
    each = np.array(
        [[np.mean([dice(p > cut, masks[index]) for masks in others]) for index, p in enumerate(found)] for cut in cuts]
    )
    agreement = each.mean(axis=1)
    lost = each[agreement.argmax()] - each
    error = lost.std(axis=1, ddof=1) / len(found) ** 0.5
    for cut, value, one in zip(cuts, agreement, error, strict=True):
        print(f"cut {cut:.3f}: agreement {value:.4f}, standard error of what is lost {one:.4f}")
    best, wanted = float(cuts[np.flatnonzero(lost.mean(axis=1) <= error)[0]]), float(agreement.max())
    low, high = 1.0, 32.0
    for _ in range(12):
        middle = (low * high) ** 0.5
        trial = Calibration(cut=best, temperature=middle)
        score = np.mean([expected_dice([q], q > 0.5) for q in (corrected(p, trial) for p in found)])
        low, high = (middle, high) if score > wanted else (low, middle)
    return Calibration(cut=round(best, 3), temperature=round((low * high) ** 0.5, 2)), wanted


def main() -> None:
    """Calibrate, and write the model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("frames", type=Path, help="training frames")
    parser.add_argument("--others", nargs="+", required=True, help="other models: names or files")
    parser.add_argument("--every", type=int, default=1, help="take every n-th frame")
    parser.add_argument("--teacher", help="model that taught it, name or file: take the cut from its vessel area")
    parser.add_argument("--outline", action="store_true", help="take the cut from the intensities along the outlines")
    parser.add_argument("--bright", action="store_true")
    parser.add_argument("--output", type=Path, help="model file to write")
    args = parser.parse_args()
    torch.set_num_threads(1)
    frames = read_stack(args.frames).frames[:: args.every]
    plain = load_model(str(args.model), "cpu")
    if plain.network.config.calibration != Calibration():
        sys.exit(f"{args.model} has a calibration already. Give the model as it was trained.")

    def probabilities(model: Model) -> list[Frame]:
        return [segment_probability(frame, model, bright=args.bright) for frame in frames]

    def masks(name: str) -> list[npt.NDArray[np.bool_]]:
        return [p > 0.5 for p in probabilities(load_model(name, "cpu"))]

    found, others = probabilities(plain), []
    for name in args.others:
        others.append(masks(name))
        print(name, f"{np.mean([dice(p > 0.5, m) for p, m in zip(found, others[-1], strict=True)]):.4f} at 0.5")
    cuts = CUTS
    if args.teacher:
        cuts = np.array([cut_of_area(found, masks(args.teacher))])
    elif args.outline:
        shown = [normalise(frame, intensity_range(frame, plain.network.config.normalisation)) for frame in frames]
        cuts = np.array([cut_of_outline(found, shown)])
    calibration, agreement = calibrate(found, others, cuts)
    if args.outline:
        marked = [p > calibration.cut for p in found]
        calibration = calibration.updated(enlarged=cut_of_touched(plain, frames, marked, bright=args.bright))
    print(f"{calibration}, from an agreement of {agreement:.3f} in {len(frames)} frames")
    if args.output:
        tensors, contents = load_tensors(args.model, "model")
        network = model_from(tensors, contents, args.model)
        network.config = network.config.updated(calibration=calibration)
        save_model(args.output, network, contents.get("info"), half=network.config.preset != "published")


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
