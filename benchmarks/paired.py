"""Compare two models frame by frame, with a confidence interval of the mean difference in Dice.

    python benchmarks/paired.py --data ../data --set drive --models fundus FORMER_MODEL.safetensors
    python benchmarks/paired.py --data ../data --set dca1_dev --models default default:plain
    python benchmarks/paired.py --data ../data --set drive --models fluorescence FORMER_MODEL.safetensors --invert

Masks are taken at 0.5 and cleaned as the file of the model asks for, but for ":plain" after its name. The 95 % interval
is that of a bootstrap over frames.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from accuracy import mean_dice
from frames import SETS, load, named_model

from napari_darl import clean_mask, segment_probability

DRAWS = 10_000


def main() -> None:
    """Print both means, the difference and its interval."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--set", choices=list(SETS), required=True)
    parser.add_argument("--models", nargs=2, required=True)
    parser.add_argument("--invert", action="store_true", help="let both models see inverted frames")
    args = parser.parse_args()
    torch.set_num_threads(1)
    samples = list(load(args.set, args.data))
    dice = []
    for name in args.models:
        model, cleaning = named_model(name)
        seen = [np.invert(one.grey) if args.invert else one.grey for one in samples]
        masks = [clean_mask(segment_probability(frame, model), cleaning) > 0 for frame in seen]
        dice.append([mean_dice([one], [mask]) for one, mask in zip(samples, masks, strict=True)])
    difference = np.subtract(*dice)
    rng = np.random.default_rng(0)
    means = [rng.choice(difference, len(difference)).mean() for _ in range(DRAWS)]
    low, high = np.percentile(means, [2.5, 97.5])
    first, second = (float(np.mean(values)) for values in dice)
    print(f"{args.set}: {first:.4f} and {second:.4f}, difference {difference.mean():+.4f} ({low:+.4f} to {high:+.4f})")


if __name__ == "__main__":
    main()
