"""Measure models and ridge filters on frames with expert masks, and print Markdown tables.

    python benchmarks/accuracy.py --data ../data --sets dca1_dev --models default
    python benchmarks/accuracy.py --data ../data --sets drive chase_db1 --models fundus --noise
    python benchmarks/accuracy.py --data ../data --sets dca1_dev --models default --zoom 0.5 1 2
    python benchmarks/accuracy.py --data ../data --sets drive dca1_dev --models fluorescence --invert

For rows marked "best", the threshold of a model or the fraction of brightest pixels of a filter was chosen with the
expert masks, one value for all frames: an upper bound, not what a user gets. "x sato" is the time per frame relative to
Sato's filter. With `--noise`, Gaussian noise is added to the 8-bit frames; filters keep the best fraction of the clean
frames ("kept"), or use the best fraction for each noise level. With `--zoom`, models segment copies of another size,
and their probabilities are resampled to the original grid. With `--invert`, models see inverted frames. Masks at
"0.5, cleaned" are those that users get of a model whose file asks for a cleaning.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import numpy.typing as npt
from baselines import BASELINES, BaselineSettings, brightest, vesselness
from frames import SETS, Sample, load, settings, to_intensity
from skimage.transform import resize

from napari_darl.errors import DarlError
from napari_darl.evaluation.metrics import MEASURES, Mask, Scores, mean_scores, score
from napari_darl.evaluation.report import markdown_table
from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.models import model_info

FRACTIONS = np.arange(0.02, 0.205, 0.01)
THRESHOLDS = np.arange(0.05, 0.955, 0.05)
SIGMAS = (10, 25, 50)

Map = npt.NDArray[np.float32]
Method = Callable[[Sample], Map]


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    method: str
    cut: str
    scores: Scores
    seconds: float


def mean_dice(samples: Sequence[Sample], masks: Sequence[Mask]) -> float:
    """Return the mean Dice only, which is fast enough for finding the best threshold."""
    pairs = [(mask[one.counted], one.truth[one.counted]) for mask, one in zip(masks, samples, strict=True)]
    return float(np.mean([2 * (m & t).sum() / max(m.sum() + t.sum(), 1) for m, t in pairs]))


def full_scores(samples: Sequence[Sample], masks: Sequence[Mask], maps: Sequence[Map]) -> Scores:
    """Return the means of all measures over the frames."""
    each = zip(masks, maps, samples, strict=True)
    return mean_scores([score(mask, s.truth, probability=map_, fov=s.counted) for mask, map_, s in each])


def timed(method: Method, samples: Sequence[Sample]) -> tuple[list[Map], float]:
    """Apply a method to each frame; also return the median time per frame in seconds, after a first call."""
    method(samples[0])
    maps, seconds = [], []
    for sample in samples:
        start = perf_counter()
        maps.append(method(sample))
        seconds.append(perf_counter() - start)
    return maps, median(seconds)


def ridge_filter(name: str, scales: BaselineSettings) -> Method:
    """Return a ridge filter that is applied inside the field of view."""
    return lambda sample: vesselness(name, sample.intensity, scales, sample.filtered)


def model(name: str, threads: int, invert: bool = False) -> Method:
    """Return a model as users apply it: frame, inverted if asked for, to probability, at the estimated pixel size."""
    import torch

    from napari_darl import load_model, segment_probability

    torch.set_num_threads(threads)
    loaded = load_model(name)
    return lambda sample: segment_probability(np.invert(sample.grey) if invert else sample.grey, loaded)


def model_masks(name: str) -> dict[str, Callable[[Map], Mask]]:
    """Return how a model's masks are made: by 0.5 alone and, if its file asks for more, cleaned."""
    cleaning = Cleaning.of_model(model_info(name))
    ways: dict[str, Callable[[Map], Mask]] = {"0.5": lambda map_: map_ > 0.5}
    if not cleaning.is_threshold_alone:
        ways["0.5, cleaned"] = lambda map_: clean_mask(map_, cleaning) > 0
    return ways


def cut_filter(samples: Sequence[Sample], maps: Sequence[Map], fraction: float) -> list[Mask]:
    """Return masks of the same fraction of brightest pixels in each frame."""
    return [brightest(map_, fraction, one.counted) for map_, one in zip(maps, samples, strict=True)]


def best_fraction(samples: Sequence[Sample], maps: Sequence[Map]) -> float:
    """Return the fraction of brightest pixels with the best mean Dice on the set."""
    return float(max(FRACTIONS, key=lambda fraction: mean_dice(samples, cut_filter(samples, maps, fraction))))


def accuracy(samples: Sequence[Sample], filters: dict[str, Method], models: dict[str, Method]) -> str:
    """Return all measures and the time, at the threshold or fraction of each method."""
    rows = []
    for name, method in filters.items():
        maps, seconds = timed(method, samples)
        best = best_fraction(samples, maps)
        rows.append(
            Row(name, f"best: top {best:.0%}", full_scores(samples, cut_filter(samples, maps, best), maps), seconds)
        )
    for name, method in models.items():
        maps, seconds = timed(method, samples)
        best = max(THRESHOLDS, key=lambda level: mean_dice(samples, [map_ > level for map_ in maps]))
        for label, mask_of in model_masks(name).items():
            rows.append(Row(name, label, full_scores(samples, [mask_of(map_) for map_ in maps], maps), seconds))
        at_best = full_scores(samples, [map_ > best for map_ in maps], maps)
        rows.append(Row(name, f"best: {best:.2f}", at_best, seconds))
    sato = next(row.seconds for row in rows if row.method == "sato")
    header = ("method", "cut", *MEASURES, "s/frame", "x sato")
    return markdown_table(header, [(r.method, r.cut, *astuple(r.scores), r.seconds, r.seconds / sato) for r in rows])


def noised(samples: Sequence[Sample], sigma: float) -> list[Sample]:
    """Add Gaussian noise to frames of 8 bits, the same at each call."""
    rng = np.random.default_rng(0)
    made = []
    for one in samples:
        grey = one.grey + rng.normal(0, sigma, one.grey.shape)
        grey = np.clip(np.round(grey), 0, 255).astype(np.uint8)
        made.append(replace(one, grey=grey, intensity=to_intensity(grey)))
    return made


def robustness(samples: Sequence[Sample], filters: dict[str, Method], models: dict[str, Method]) -> str:
    """Return the Dice without and with noise, and the loss."""
    levels = [samples, *(noised(samples, sigma) for sigma in SIGMAS)]
    rows: list[tuple[str | float, ...]] = []
    for name, method in filters.items():
        maps = [[method(one) for one in level] for level in levels]
        kept = best_fraction(samples, maps[0])
        cuts = {"kept": [kept] * len(levels), "best": [best_fraction(*it) for it in zip(levels, maps, strict=True)]}
        for label, fractions in cuts.items():
            each = zip(levels, maps, fractions, strict=True)
            dice = [mean_dice(level, cut_filter(level, found, cut)) for level, found, cut in each]
            rows.append((name, label, *dice, *(value - dice[0] for value in dice[1:])))
    for name, method in models.items():
        found = [[method(one) for one in level] for level in levels]
        for label, mask_of in model_masks(name).items():
            each = zip(levels, found, strict=True)
            dice = [mean_dice(level, [mask_of(map_) for map_ in maps]) for level, maps in each]
            rows.append((name, label, *dice, *(value - dice[0] for value in dice[1:])))
    header = ("method", "cut", "clean", *(f"{s}" for s in SIGMAS), *(f"lost, {s}" for s in SIGMAS))
    return markdown_table(header, rows)


def scaled(samples: Sequence[Sample], models: dict[str, Method], zooms: Sequence[float]) -> str:
    """Return the Dice at threshold 0.5 for copies of other sizes, on the original grid."""

    def at(method: Method, sample: Sample, zoom: float) -> Map:
        if zoom == 1:
            return method(sample)
        shape = tuple(round(length * zoom) for length in sample.grey.shape)
        copy = resize(sample.grey, shape, order=1, anti_aliasing=zoom < 1, preserve_range=True)
        found = method(replace(sample, grey=np.round(copy).astype(sample.grey.dtype)))
        back: Map = resize(found, sample.grey.shape, order=1, anti_aliasing=zoom > 1)
        return back

    rows = []
    for name, method in models.items():
        found = [[at(method, one, zoom) for one in samples] for zoom in zooms]
        for label, mask_of in model_masks(name).items():
            rows.append((name, label, *(mean_dice(samples, [mask_of(map_) for map_ in maps]) for maps in found)))
    return markdown_table(("method", "cut", *(f"x {zoom:g}" for zoom in zooms)), rows)


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds the sets' folders")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=list(SETS))
    parser.add_argument("--models", nargs="*", default=[], help="names of models or paths of checkpoints")
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--noise", action="store_true", help="measure under noise instead")
    parser.add_argument("--zoom", nargs="+", type=float, help="measure copies of these sizes instead")
    parser.add_argument("--invert", action="store_true", help="let models see inverted frames")
    parser.add_argument("--limit", type=int, help="number of frames to look at")
    parser.add_argument("--threads", type=int, default=1, help="threads a model may use; the filters use one")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    args = arguments()
    models = {name: model(name, args.threads, args.invert) for name in args.models}
    for name in args.sets:
        samples = list(load(name, args.data, args.limit))
        names = dict.fromkeys(("sato", *args.baselines))  # Sato always: its time is the unit
        filters = {it: ridge_filter(it, settings(name)) for it in names}
        if args.zoom:
            table = scaled(samples, models, args.zoom)
        else:
            table = (robustness if args.noise else accuracy)(samples, filters, models)
        print(f"{name}, {len(samples)} frames\n\n{table}\n", flush=True)


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
