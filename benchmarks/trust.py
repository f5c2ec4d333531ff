"""Measure whether the label-free score orders frames and models as Dice with an expert does.

    python benchmarks/trust.py --data ../data [--sets dca1_dev drive chase_db1] [--models default fundus | --own]

Prints the mean Dice of the masks that models make, cleaned as their files ask for, the mean score and Spearman's rank
correlation of the two over the frames, for each set and model; then the rank correlation over the frames of all sets
together, each with the model made for it, also of the differences from the means of its set, and that of the means over
all pairs of set and model. Other rows are simpler scores: "no views' masks" without the Dice between the mask and those
of mirrored views, "sure outline" also without the doubt about the outline, "one view" of the frame as it is alone, and
"mirror alone" nothing but the Dice between the mask and those of mirrored views.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from accuracy import mean_dice
from frames import SETS, load
from scipy.stats import spearmanr

from napari_darl.evaluation.report import markdown_table
from napari_darl.inference.cleaning import clean_mask
from napari_darl.inference.loading import Model, load_model
from napari_darl.inference.scale import guess_resize
from napari_darl.inference.segment import segment_probability
from napari_darl.inference.trust import expected_dice, outline_agreement, quality, view_agreement

SCORES = ("score", "no views' masks", "sure outline", "one view", "mirror alone")
OWN = {"dca1_dev": "default", "drive": "fundus", "chase_db1": "fundus"}
"""The bundled model that is made for each set."""


def scores(grey: np.ndarray, counted: np.ndarray, model: Model) -> tuple[np.ndarray, dict[str, float]]:
    """Return the mask of a frame and its scores."""
    config = model.network.config
    pixel = 1 / guess_resize(*grey.shape, *config.pixel_size)
    views = [segment_probability(grey, model)]
    for axes in ((0,), (1,), (0, 1)):
        views.append(np.flip(segment_probability(np.ascontiguousarray(np.flip(grey, axes)), model), axes))
    masks = [(clean_mask(view, model.cleaning) > 0) & counted for view in views]
    views = [view * counted for view in views]
    expected = expected_dice(views, masks[0])
    values = (
        quality(views, masks, pixel),
        expected * outline_agreement(masks[0], pixel / 2),
        expected,
        expected_dice(views[:1], masks[0]),
        view_agreement(masks),
    )
    return masks[0], dict(zip(SCORES, values, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument(
        "--models", nargs="+", default=["default", "fundus"], help="bundled names, files or run folders"
    )
    parser.add_argument("--own", action="store_true", help="measure each set only with the model made for it")
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows, means = [], []
    of_own: dict[str, list[np.ndarray]] = {score: [] for score in SCORES}
    for name in args.sets:
        samples = list(load(name, args.data))
        for model_name in [OWN[name]] if args.own else args.models:
            model = load_model(model_name, "cpu")
            found = [scores(one.grey, one.counted, model) for one in samples]
            dice = [mean_dice([one], [mask]) for one, (mask, _) in zip(samples, found, strict=True)]
            for score in SCORES:
                values = [each[score] for _, each in found]
                rank = spearmanr(values, dice).statistic
                rows.append(
                    (name, Path(model_name).name, score, float(np.mean(dice)), float(np.mean(values)), float(rank))
                )
                if model_name == OWN[name]:
                    of_own[score].append(np.array([values, dice]))
                means.append((score, float(np.mean(dice)), float(np.mean(values))))
    print(markdown_table(("set", "model", "score", "mean Dice", "mean score", "rank correlation"), rows))
    for score in SCORES:
        if sets := of_own[score]:
            together = np.hstack(sets)
            centred = np.hstack([of_set - of_set.mean(axis=1, keepdims=True) for of_set in sets])
            rank, within = spearmanr(*together).statistic, spearmanr(*centred).statistic
            print(f"\nOver all {together.shape[1]} frames, each with the model made for it, {score}: {rank:.3f}, and")
            print(f"{within:.3f} if the means of each set are subtracted")
    for score in SCORES:
        of = [(dice, value) for which, dice, value in means if which == score]
        print(
            f"\nOver the {len(of)} pairs of set and model, {score}: {spearmanr(*zip(*of, strict=True)).statistic:.2f}"
        )


if __name__ == "__main__":
    main()
