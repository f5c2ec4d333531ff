"""Draw the best, the median and the worst frame of each set: frame, model, Sato's filter, expert.

    python scripts/comparisons.py --data ../data [--sets dca1_dev drive chase_db1] [--output docs/images]

Frames are ordered by the Dice of the model's mask, cleaned as its file asks for. Sato's filter keeps the fraction of
brightest pixels with the best mean Dice on the set. Of sets that may not be redistributed, only the two computed masks
are drawn, without frames and expert masks.
"""

import argparse
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))

from accuracy import best_fraction, cut_filter, mean_dice, model, model_masks, ridge_filter
from frames import SETS, load, settings

MODELS = {"dca1_dev": "default", "drive": "fundus", "chase_db1": "fundus"}
FREE = {"chase_db1"}
"""Sets that may be redistributed (CC BY 4.0)."""

SIDE = 300  # px of a panel's height
GAP = 6


def panel(image: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Resize an image in [0, 1] or a mask to the height of a panel."""
    height, width = image.shape
    small = resize(image.astype(float), (SIDE, round(width * SIDE / height)), order=1, anti_aliasing=True)
    return np.pad((np.clip(small, 0, 1) * 255).astype(np.uint8), GAP // 2, constant_values=128)


def picture(name: str, data: Path) -> NDArray[np.uint8]:
    """Draw three frames of a set, one per row, and print their scores."""
    samples = list(load(name, data))
    segment = model(MODELS[name], threads=2)
    *_, cleaned = model_masks(MODELS[name]).values()
    masks = [cleaned(segment(one)) for one in samples]
    sato = ridge_filter("sato", settings(name))
    maps = [sato(one) for one in samples]
    ridges = cut_filter(samples, maps, best_fraction(samples, maps))
    dice = [mean_dice([one], [mask]) for one, mask in zip(samples, masks, strict=True)]
    order = np.argsort(dice)
    rows = []
    for label, index in (("best", order[-1]), ("median", order[len(order) // 2]), ("worst", order[0])):
        one = samples[index]
        other = mean_dice([one], [ridges[index]])
        print(f"{name} {label}: {one.name}, {MODELS[name]} {dice[index]:.3f}, sato {other:.3f}")
        shown = [masks[index] & one.counted, ridges[index]]
        if name in FREE:
            shown = [one.intensity, *shown, one.truth]
        rows.append(np.hstack([panel(part) for part in shown]))
    return np.vstack(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--output", type=Path, default=Path("docs/images"))
    args = parser.parse_args()
    for name in args.sets:
        iio.imwrite(args.output / f"compare_{name}.png", picture(name, args.data))


if __name__ == "__main__":
    main()
