"""Measure what correcting two frames does to all the others, and print a Markdown table.

    python benchmarks/refining.py --data ../data --sets chase_db1 drive dca1_dev [--corrected 2] [--strokes]

In each of `--draws` draws, two random frames of a set are corrected: their labels are the expert's masks, inside the
field of view. The model is refined with them and four frames that stay as they are; Dice is the mean over all frames
that weren't corrected. "best threshold" is one threshold for the other frames, chosen by their own expert masks: the
most that a threshold alone could give. `--strokes` labels 5 % of the pixels only, in discs of 9 pixels where the
model is wrong and beside. `--wrong` passes wrong corrections instead: no vessel at all, or another frame's mask.
`--cost` compares the processor time of one refinement with that of one of its trainings.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import numpy.typing as npt
import torch
from frames import SETS, Sample, load
from scipy.ndimage import binary_dilation

from napari_darl import Refinement, SegmentOptions, Windows, load_model, refine
from napari_darl.evaluation.report import markdown_table
from napari_darl.inference.loading import Model
from napari_darl.refining.corrections import read_corrections, read_others
from napari_darl.refining.fitting import Fitting
from napari_darl.refining.refine import FIT

THRESHOLDS = np.arange(0.05, 0.96, 0.05)

Maps = list[npt.NDArray[np.float32]]


def probabilities(samples: Sequence[Sample], model: Model) -> Maps:
    return [Windows(one.grey, model, SegmentOptions()).compute() for one in samples]


def mean_dice(samples: Sequence[Sample], maps: Maps, threshold: float) -> float:
    pairs = [((p > threshold)[s.counted], s.truth[s.counted]) for p, s in zip(maps, samples, strict=True)]
    return float(np.mean([2 * (m & t).sum() / max(m.sum() + t.sum(), 1) for m, t in pairs]))


def labels_of(sample: Sample) -> npt.NDArray[np.int8]:
    return np.where(sample.counted, sample.truth, -1).astype(np.int8)


def strokes(sample: Sample, found: npt.NDArray[np.bool_], rng: np.random.Generator) -> npt.NDArray[np.int8]:
    """Label 5 % of the pixels: discs about wrong pixels, as someone with a brush would."""
    wrong = np.flatnonzero((found != sample.truth) & sample.counted)
    said = np.zeros(sample.truth.shape, np.bool_)
    disc = np.hypot(*np.mgrid[-4:5, -4:5]) <= 4.5
    for spot in rng.permutation(wrong):
        if said.mean() >= 0.05:
            break
        one = np.zeros_like(said)
        one.flat[spot] = True
        row, column = np.unravel_index(spot, said.shape)
        window = (slice(max(row - 9, 0), row + 10), slice(max(column - 9, 0), column + 10))
        said[window] |= binary_dilation(one[window], disc)
    return np.where(said & sample.counted, sample.truth, -1).astype(np.int8)


def wrong_labels(kind: str, sample: Sample, other: Sample) -> npt.NDArray[np.int8]:
    return np.zeros(sample.truth.shape, np.int8) if kind == "erased" else other.truth.astype(np.int8)


def summary(done: Refinement) -> str:
    told = ", ".join(f"{name} {c.dice:.3f}/{c.disagreement:.2f}" for name, c in done.report.items())
    return f"{done.choice} at {done.threshold:.2f} ({told})"


def cost(model: Model, samples: list[Sample]) -> str:
    """Return processor times of a refinement with two corrected and four other frames, and of its trainings."""
    corrected, others = [(one.grey, labels_of(one)) for one in samples[:2]], [one.grey for one in samples[2:6]]
    began = process_time()
    refine(model, corrected, others)
    whole = process_time() - began
    frames = read_corrections(corrected, model, SegmentOptions())
    fitting = Fitting(model.network, read_others(others, model, SegmentOptions(), 4), FIT, 0, lambda: None)
    told = []
    for kind in ("anchored", "free"):
        began = process_time()
        fitting.fit(frames, kind)
        seconds = process_time() - began
        told.append(f"{whole / seconds:.1f} times one {kind} training of {FIT.steps} steps ({seconds:.1f} s)")
    return f"{whole:.1f} s of processor time: " + ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--model", default="default")
    parser.add_argument("--corrected", type=int, default=2)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--limit", type=int, help="use only the first frames of each set")
    parser.add_argument("--strokes", action="store_true")
    parser.add_argument("--wrong", choices=["erased", "another"])
    parser.add_argument("--cost", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    model = load_model(args.model, "cpu")
    print(f"{args.model}, SHA-256 {model.sha256}", flush=True)
    rows: list[tuple[str | float, ...]] = []
    for name in args.sets:
        samples = list(load(name, args.data, args.limit))
        if args.cost:
            print(f"{name}: {cost(model, samples)}")
            continue
        maps = probabilities(samples, model)
        each = []
        for draw in range(args.draws):
            rng = np.random.default_rng((draw, 0))
            order = rng.permutation(len(samples))
            chosen, rest = order[: args.corrected], order[args.corrected :]
            corrected = []
            for index in chosen:
                one = samples[index]
                labels = labels_of(one)
                if args.strokes:
                    labels = strokes(one, maps[index] > model.threshold, rng)
                if args.wrong:
                    labels = wrong_labels(args.wrong, one, samples[rest[-1]])
                corrected.append((one.grey, labels))
            began = perf_counter()
            done = refine(model, corrected, [samples[index].grey for index in rest[:8]], seed=draw)
            seconds = perf_counter() - began
            tested, before = [samples[index] for index in rest], [maps[index] for index in rest]
            at_best = max(mean_dice(tested, before, threshold) for threshold in THRESHOLDS)
            changed = done.model.network is not model.network
            after = probabilities(tested, done.model) if changed else before
            dice = mean_dice(tested, before, model.threshold), at_best, mean_dice(tested, after, done.threshold)
            each.append(dice)
            told = ", ".join(f"{value:.3f}" for value in dice)
            print(f"{name} draw {draw}: {told} in {seconds:.0f} s; {summary(done)}", flush=True)
        values = np.array(each)
        gain, over = values[:, 2] - values[:, 0], values[:, 2] - values[:, 1]
        rows.append((name, *values.mean(0), float(gain.mean()), float(gain.min()), float(over.mean())))
    if rows:
        header = ("set", "before", "best threshold", "after", "gain", "worst gain", "over best threshold")
        print(markdown_table(header, rows))


if __name__ == "__main__":
    main()
