"""Train `lite` with one idea switched off at a time, and print the effect of each on frames with expert masks.

    python benchmarks/ablation.py --angiograms arcade/ --data ../data --output runs/ablation [--steps 900] [--seeds 0 1]

All runs have the same number of steps, so that other programs don't matter; 900 steps take a quarter
of an hour on one core of an AMD EPYC (Zen 5). Interrupted runs (Ctrl-C saves) resume. Results are kept in `--results`,
by default benchmarks/ablation, and aren't measured again. `--jobs 2` trains two variants at a time, on one thread each.

The table has the Dice at threshold 0.5 of each seed, their mean, and its difference to the mean of the full recipe.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean
from typing import Any

from accuracy import mean_dice, model
from frames import SETS, load

from napari_darl.evaluation.report import markdown_table
from napari_darl.frames.stacks import read_stack
from napari_darl.io.atomic import replacing
from napari_darl.synthetic.raster import FULL_WIDTH
from napari_darl.training.config import TrainingConfig, training_config
from napari_darl.training.trainer import Trainer

Changes = dict[str, dict[str, Any]]

VARIANTS: dict[str, Changes] = {
    "full": {},
    # of the paper
    "no diffusion": {
        "losses": {"diffusion": 0.0},
        "model.schedule": {"first_beta": 1e-12, "last_beta": 2e-12},
    },
    "no switchable SPADE": {"model.generator": {"spade": False}},
    "no cycle": {"losses": {"cycle": 0.0}},
    "no mask discriminator": {"losses": {"adversarial_mask": 0.0}},
    # beyond it
    "no teacher": {"losses": {"teacher": 0.0}},
    "no self-teaching": {"": {"self_teaching": None}},
    "no renderings in the cycle": {"draws": {"grounded": 0.0}},
    "no renderings for path B": {"losses": {"rendering": 0.0}},
    "L1 instead of cross-entropy": {"losses": {"cycle_norm": "l1"}},
    "noise levels uniform": {"": {"faint_noise": 1.0}},
    "no round fields of view": {"draws": {"aperture": 0.0}},
    "no exposure, shading, gamma": {"draws": {"exposure": 0.0, "shading": 0.0, "gamma": 1.0}},
    "pseudo-masks at full width": {"draws.trees": {"outline": FULL_WIDTH}},
    "teacher beyond the crests": {"draws.teacher": {"crest": 0.5}},
    "Sato as teacher": {"draws.teacher": {"filter": "sato", "top_hat": 0.0, "seed": None}},
    "isolated ridges not labelled": {"draws.teacher": {"isolated": False}},
    "constant learning rates": {"": {"falling": 0.0}},
}


def configured(variant: str, steps: int, seed: int) -> TrainingConfig:
    """Return the recipe of a variant; self-teaching begins half-way."""
    config = training_config("lite", steps=steps, seed=seed).updated(self_teaching=max(1, steps // 2))
    for path, fields in VARIANTS[variant].items():
        config = changed(config, [part for part in path.split(".") if part], fields)
    return config


def changed(config: Any, path: list[str], fields: dict[str, Any]) -> Any:
    if path:
        fields = {path[0]: changed(getattr(config, path[0]), path[1:], fields)}
    return type(config).model_validate(dict(config) | fields)


def train(args: argparse.Namespace, variant: str, seed: int, folder: Path) -> None:
    """Train a variant, or resume its run."""
    import torch

    torch.set_num_threads(1)
    frames = read_stack(args.angiograms).frames
    if (folder / "checkpoint.safetensors").exists():
        trainer = Trainer.resume(folder, frames, steps=args.steps)
    else:
        trainer = Trainer(configured(variant, args.steps, seed), folder, frames)
    for _ in trainer.run():
        pass


def measure(folder: Path, args: argparse.Namespace) -> dict[str, float]:
    """Return the Dice at threshold 0.5 on each set."""
    segment = model(str(folder), threads=1)
    result = {}
    for name in args.sets:
        samples = list(load(name, args.data))
        result[name] = mean_dice(samples, [segment(one) > 0.5 for one in samples])
    return result


def runs(args: argparse.Namespace) -> Iterator[tuple[str, int, Path]]:
    """List all runs, seed by seed, so that there is a table of one seed early."""
    for seed in args.seeds:
        for variant in args.variants:
            yield variant, seed, args.results / f"{named(variant, seed)}.json"


def named(variant: str, seed: int) -> str:
    return f"{variant.replace(',', '').replace(' ', '_')}_{seed}"


def table(args: argparse.Namespace) -> str:
    """Return a table of the results so far."""
    found: dict[str, list[dict[str, float]]] = {}
    for variant, _, result in runs(args):
        if result.exists():
            found.setdefault(variant, []).append(json.loads(result.read_text()))
    rows = []
    for name in args.sets:
        full = mean(one[name] for one in found["full"]) if "full" in found else None
        for variant, results in found.items():
            dice = [one[name] for one in results]
            rows.append(
                (
                    variant,
                    name,
                    ", ".join(f"{d:.3f}" for d in dice),
                    mean(dice),
                    None if full is None else mean(dice) - full,
                )
            )
    return markdown_table(("recipe", "set", "seeds", "mean", "to full"), rows)


def main() -> None:
    """Train and measure the missing variants, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--angiograms", type=Path, required=True, help="folder or stack to train on")
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets' folders")
    parser.add_argument("--output", type=Path, required=True, help="folder of the runs")
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "ablation", help="folder of figures")
    parser.add_argument("--steps", type=int, default=900)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--sets", nargs="+", default=["dca1_dev"], choices=list(SETS))
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--table", action="store_true", help="only print what has been measured")
    parser.add_argument("--one", nargs=2, metavar=("VARIANT", "SEED"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        variant, seed = args.one[0], int(args.one[1])
        folder = args.output / named(variant, seed)
        train(args, variant, seed, folder)
        with replacing(args.results / f"{named(variant, seed)}.json") as file:
            file.write(json.dumps(measure(folder, args)).encode())
        return
    if not args.table:
        missing = [(variant, seed) for variant, seed, result in runs(args) if not result.exists()]

        def start(run: tuple[str, int]) -> None:
            subprocess.run([sys.executable, *sys.argv, "--one", run[0], str(run[1])], check=True)

        with ThreadPoolExecutor(args.jobs) as pool:
            list(pool.map(start, missing))
    print(table(args))


if __name__ == "__main__":
    main()
