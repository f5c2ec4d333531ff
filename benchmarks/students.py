"""Train students with one idea changed at a time, and print the effect of each on frames with expert masks.

    python benchmarks/students.py --data data/ --output runs/students [--models default fundus] [--seeds 0 1] [--jobs 2]

The recipes are those of `scripts/make_models.py`, which says what `data` has to hold, beside the sets of `frames.py`
and `volumes.py`. Results are kept in the output folder, and aren't measured again. After `--minutes`, no run begins,
and those at work are saved; the same command goes on with them.

For each set, the table has the Dice of the mean of the seeds at the cut without labels, at the best cut, and the area
under the precision-recall curve. Without labels, the cut is the one at which the student marks as many pixels of its
training frames as its labels do (`scripts/calibrate.py`).
"""

import argparse
import hashlib
import json
import multiprocessing
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import mean
from threading import Event, Timer
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ablation import changed, named
from accuracy import THRESHOLDS
from frames import SETS, load
from volumes import VOLUMES, kept_out

from napari_darl import load_model, segment_probability
from napari_darl.darl.config import Calibration
from napari_darl.evaluation.metrics import score
from napari_darl.evaluation.report import markdown_table
from napari_darl.frames.normalisation import intensity_range, normalise
from napari_darl.inference.loading import Model, starting_networks
from napari_darl.io.atomic import replacing
from napari_darl.training.config import TrainingConfig
from napari_darl.training.distillation import DistillationConfig, mean_probability, soft_labels
from napari_darl.training.trainer import Trainer

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))
import make_models
from calibrate import corrected, cut_of_outline

Frames = list[npt.NDArray[Any]]

Labels = npt.NDArray[np.int8]
Predict = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]

BUNDLED = {"default": ["default"], "fundus": ["fundus"], "fluorescence": ["fluorescence", "default", "fundus"]}
MEASURED = {
    "default": ("dca1_dev",),
    "fundus": ("drive", "chase_db1"),
    "fluorescence": ("dca1_dev", "drive", "octa", "liver"),
}
CHECKED = 24  # training frames that a cut is taken from, at most


@dataclass(frozen=True)
class Variant:
    """A recipe beside that of `make_models.py`: its changes, and others than its teachers.

    Attributes
    ----------
    changes
        Fields of the `TrainingConfig` by the dotted path of their part.
    bundled
        The bundled models are the teachers, and the start.
    outline
        Labels are cut where the outlines of the teacher are steepest (`cut_of_outline`), not at its 0.5.
    """

    changes: dict[str, dict[str, Any]] = field(default_factory=dict)
    bundled: bool = False
    outline: bool = False


_LABELS = "draws.distillation"
_COMMON = {
    "full": Variant(),
    "little noise and blur": Variant({"draws": {"noise": 0.05, "noise_exponent": 1.0, "blur": 1.0}}),
    "no coarse crops": Variant({"draws": {"coarse": 1.0}}),
    "gaps and short pieces as they are": Variant({_LABELS: {"linking": 0.5, "shortest": 0}}),
    "constant learning rates": Variant({"": {"falling": 0.0}}),
    "crops of 128 px": Variant({"draws": {"size": 128}, "": {"batch": 4, "more_angiograms": 12}}),
    "crops of 192 px": Variant({"draws": {"size": 192}, "": {"batch": 3, "more_angiograms": 4}}),
    "crops of 256 px": Variant({"draws": {"size": 256}, "": {"batch": 2, "more_angiograms": 2}}),
    "twice the steps": Variant({"": {"steps": 1400}}),
    "labels of frames as they are": Variant({_LABELS: {"mirrored": False}}),
    "labels by the bundled model": Variant(bundled=True),
    "steepest outlines": Variant(outline=True),
}
VARIANTS = {
    "default": _COMMON,
    "fundus": _COMMON,
    "fluorescence": {"full": Variant(), "labels by the bundled models": Variant(bundled=True)},
}


@dataclass(frozen=True)
class Job:
    """A run to do: where, with what, and when to stop."""

    model: str
    variant: str
    seed: int
    args: argparse.Namespace
    deadline: float

    @property
    def result(self) -> Path:
        """Where its measures are kept."""
        return Path(self.args.output) / "results" / f"{self.model}_{named(self.variant, self.seed)}.json"

    @property
    def folder(self) -> Path:
        """The run folder."""
        return Path(self.args.output) / self.result.stem


def recipe(job: Job) -> TrainingConfig:
    """Return the recipe of a run."""
    config = make_models.RECIPES[job.model].updated(seed=job.seed)
    for path, fields in VARIANTS[job.model][job.variant].changes.items():
        config = changed(config, [part for part in path.split(".") if part], fields)
    return config


def labels(job: Job, stack: Frames, predict: Predict, key: object, config: DistillationConfig) -> list[Labels]:
    """Return the soft labels of all frames.

    Probabilities are kept in files, by frame, for runs with the same key. Runs that begin together share the work,
    since each begins with another frame.
    """
    name = hashlib.sha256(repr((job.model, key, len(stack))).encode()).hexdigest()[:16]
    folder = Path(job.args.output) / "labels" / name
    folder.mkdir(parents=True, exist_ok=True)
    for index in np.roll(np.arange(len(stack)), -time.time_ns() % len(stack)):
        if not (file := folder / f"{index}.npy").exists():
            with replacing(file) as target:
                np.save(target, predict(stack[index]).astype(np.float16))
    maps = [np.load(folder / f"{index}.npy").astype(np.float32) for index in range(len(stack))]
    if VARIANTS[job.model][job.variant].outline:
        normalisation = recipe(job).model.normalisation
        some = make_models.evenly(stack, CHECKED)
        shown = [normalise(frame, intensity_range(frame, normalisation)) for frame in some]
        cut = cut_of_outline(make_models.evenly(maps, CHECKED), shown)
        maps = [corrected(map_, Calibration(cut=cut)) for map_ in maps]
    return [soft_labels(map_, config) for map_ in maps]


def train(job: Job) -> dict[str, Any] | None:
    """Train, or go on, and measure; return nothing if time was up before the end."""
    config, device = recipe(job), job.args.device
    if VARIANTS[job.model][job.variant].bundled:
        files: list[Any] = BUNDLED[job.model]
    else:
        files = make_models.teachers(job.model, Path(job.args.output) / "teachers")
    teachers = [load_model(str(file), device) for file in files]
    stack, predict, views = taught(job, teachers, config.draws.distillation)
    if (job.folder / "checkpoint.safetensors").exists():
        trainer = Trainer.resume(job.folder, stack, steps=config.steps, device=device)
    else:
        start = starting_networks(files[0])
        trainer = Trainer(config, job.folder, stack, start=start, teachers=teachers, device=device)
    learnt = labels(job, stack, predict, (views, [str(file) for file in files]), config.draws.distillation)
    trainer.sampler.angiograms.labels.update(enumerate(learnt))
    stop = Event()
    timer = Timer(max(0.0, job.deadline - time.time()), stop.set)
    timer.start()
    for _ in trainer.run(stop):
        pass
    timer.cancel()
    print(f"{job.result.stem}: step {trainer.step}", flush=True)
    if trainer.step < config.steps:
        return None
    student = load_model(str(job.folder / "model.safetensors"), device)
    return {"cut": cut_of_labels(student, stack, learnt)} | measures(student, job.model, job.args.data)


def taught(
    job: Job, teachers: list[Model], distillation: DistillationConfig
) -> tuple[Frames, Predict, DistillationConfig]:
    """Return the frames that a student sees, what predicts the probability of each, and how it looks at them."""
    views = distillation.updated(unsure=0.0, linking=0.5, shortest=0)
    if job.model == "fluorescence":
        sources = make_models.fluorescence(job.args.data)
        found, predict = sources.frames, sources.teacher(*teachers)
    else:
        found = make_models.FRAMES[job.model](job.args.data)
        predict = partial(mean_probability, models=teachers, config=views)
    return make_models.evenly(found, make_models.STUDENT_FRAMES[job.model]), predict, views


def cut_of_labels(student: Model, stack: Frames, learnt: list[Labels]) -> float:
    """Return the cut at which a student marks as many pixels of some training frames as its labels do."""
    share = np.mean([np.mean(labels > 0) for labels in make_models.evenly(learnt, CHECKED)])
    some = make_models.evenly(stack, CHECKED)
    found = [segment_probability(frame, student, bright=False) for frame in some]
    return float(np.mean([np.quantile(map_, 1 - share) for map_ in found]))


def measures(student: Model, name: str, data: Path) -> dict[str, dict[str, Any]]:
    """Return the Dice at each threshold, and the area under the precision-recall curve, on the sets of a model."""
    found: dict[str, dict[str, Any]] = {}
    for one in MEASURED[name]:
        if one in VOLUMES:
            samples = [(frame, truth, None) for frame, truth in kept_out(one, data)]
        else:
            samples = [(sample.grey, sample.truth, sample.counted) for sample in load(one, data)]
        maps = [segment_probability(frame, student, bright=one in VOLUMES) for frame, _, _ in samples]
        pairs = list(zip(maps, samples, strict=True))
        areas = [score(p > 0.5, truth, probability=p, fov=counted).pr_auc for p, (_, truth, counted) in pairs]
        found[one] = {
            "dice": [mean(score(p > cut, truth, fov=fov).dice for p, (_, truth, fov) in pairs) for cut in THRESHOLDS],
            "pr_auc": mean(area or 0.0 for area in areas),
        }
    return found


def run(job: Job) -> None:
    """Do a job, and keep its result."""
    torch.set_num_threads(1)
    if time.time() > job.deadline or job.result.exists():
        return
    try:
        measured = train(job)
    except Exception:  # noqa: BLE001 - the other runs are wanted all the same
        traceback.print_exc()
        return
    if measured is not None:
        job.result.parent.mkdir(parents=True, exist_ok=True)
        with replacing(job.result) as file:
            file.write((json.dumps(measured, indent=1) + "\n").encode())


def jobs(args: argparse.Namespace) -> Iterator[Job]:
    """List all runs, seed by seed, so that there is a table of one seed early."""
    deadline = time.time() + 60 * args.minutes
    for seed in args.seeds:
        for name in args.models:
            for variant in VARIANTS[name]:
                if not args.variants or variant in args.variants:
                    yield Job(name, variant, seed, args, deadline)


def table(name: str, done: list[Job]) -> str:
    """Return the table of a model's variants so far."""
    results: dict[str, list[dict[str, Any]]] = {}
    for job in done:
        if job.model == name and job.result.exists():
            results.setdefault(job.variant, []).append(json.loads(job.result.read_text()))
    if not results:
        return ""
    sets = [one for one in (*SETS, *VOLUMES) if one in next(iter(results.values()))[0]]
    rows = []
    for variant, found in results.items():
        row: list[str | float] = [variant, f"{len(found)}"]
        for one in sets:
            at_cut = [float(np.interp(each["cut"], THRESHOLDS, each[one]["dice"])) for each in found]
            best = mean(max(each[one]["dice"]) for each in found)
            row += [", ".join(f"{dice:.3f}" for dice in at_cut), mean(at_cut), best]
            row += [mean(each[one]["pr_auc"] for each in found)]
        rows.append(row)
    header = [f"{one}{what}" for one in sets for what in (", seeds", ", mean", ", best cut", ", pr_auc")]
    return markdown_table(("recipe", "seeds", *header), rows)


def main() -> None:
    """Train and measure what is missing, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--output", type=Path, default=Path("runs/students"), help="folder of the runs")
    parser.add_argument("--models", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--variants", nargs="+", help="only these")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--minutes", type=float, default=1e6)
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    todo = list(jobs(args))
    with multiprocessing.get_context("spawn").Pool(args.jobs) as pool:
        for _ in pool.imap_unordered(run, todo):
            pass
    for name in args.models:
        print(f"{name}\n\n{table(name, todo)}\n")


if __name__ == "__main__":
    main()
