"""Measure models and ridge filters on frames with expert masks, and print a Markdown table.

    python benchmarks/accuracy.py --images dca1/images --truth dca1/masks --models default
    python benchmarks/accuracy.py --images drive/images --truth drive/masks --fov drive/fov --sigmas 1 2 3

A row marked "best" took its threshold (of a model) or its part of brightest pixels (of a filter) from the
expert masks, one value for all frames: it tells what is in reach, not what a user gets. "x sato" is the time
a frame, Sato's being 1.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.data.field_of_view import coronary_field_of_view, fundus_field_of_view
from napari_darl.data.files import read_image
from napari_darl.data.frames import intensity_range, normalise, to_grey
from napari_darl.errors import DarlError
from napari_darl.evaluation.baselines import (
    BASELINES,
    BaselineSettings,
    brightest,
    vesselness,
)
from napari_darl.evaluation.metrics import MEASURES, Mask, Scores, above_half, mean_scores, score
from napari_darl.evaluation.report import markdown_table, pair_files
from napari_darl.normalisation import Normalisation

FRACTIONS = np.arange(0.02, 0.205, 0.01)
THRESHOLDS = np.arange(0.05, 0.955, 0.05)

Map = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Sample:
    """A frame with its truth."""

    grey: npt.NDArray[Any]
    bits: int | None
    intensity: npt.NDArray[np.floating[Any]]
    truth: Mask
    counted: Mask


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    method: str
    cut: str
    scores: Scores
    seconds: float


def load(args: argparse.Namespace) -> Iterator[Sample]:
    """Read the frames, their masks and their fields of view."""
    pairs = pair_files(args.images, args.truth, by_order=args.by_order)[: args.limit]
    views = dict(pair_files(args.images, args.fov, by_order=args.by_order)) if args.fov else {}
    for path, expert in pairs:
        image = read_image(path)
        grey = to_grey(image.data, args.channel) if image.rgb else image.data
        intensity = (normalise(grey, intensity_range(grey, Normalisation(kind="bits"), image.bits)) + 1) / 2
        truth = above_half(read_image(expert).data)
        counted = above_half(read_image(views[path]).data) if views else np.ones(truth.shape, np.bool_)
        yield Sample(grey, image.bits, intensity, truth, counted)


def mean_dice(samples: Sequence[Sample], masks: Sequence[Mask]) -> float:
    """Score masks by Dice alone, quickly enough to look for the best threshold."""
    pairs = [(mask[one.counted], one.truth[one.counted]) for mask, one in zip(masks, samples, strict=True)]
    return float(np.mean([2 * (m & t).sum() / max(m.sum() + t.sum(), 1) for m, t in pairs]))


def full_scores(samples: Sequence[Sample], masks: Sequence[Mask], maps: Sequence[Map]) -> Scores:
    """Average every measure over the frames."""
    each = zip(masks, maps, samples, strict=True)
    return mean_scores([score(mask, s.truth, probability=map_, fov=s.counted) for mask, map_, s in each])


def timed(function: Callable[[Sample], Map], samples: Sequence[Sample]) -> tuple[list[Map], float]:
    """Apply a function to each frame; also return the median of the seconds a frame, after a first call."""
    function(samples[0])
    maps, seconds = [], []
    for sample in samples:
        start = perf_counter()
        maps.append(function(sample))
        seconds.append(perf_counter() - start)
    return maps, median(seconds)


def baseline_row(name: str, samples: Sequence[Sample], settings: BaselineSettings, fundus: bool) -> Row:
    """Measure a ridge filter at the part of brightest pixels that suits the set best."""

    def respond(sample: Sample) -> Map:
        inside = fundus_field_of_view(sample.counted) if fundus else coronary_field_of_view(sample.intensity)
        return vesselness(name, sample.intensity, settings, inside)

    def cut(fraction: float) -> list[Mask]:
        return [brightest(map_, fraction, one.counted) for map_, one in zip(maps, samples, strict=True)]

    maps, seconds = timed(respond, samples)
    best = max(FRACTIONS, key=lambda fraction: mean_dice(samples, cut(fraction)))
    return Row(name, f"best: top {best:.0%}", full_scores(samples, cut(best), maps), seconds)


def model_rows(name: str, samples: Sequence[Sample], threads: int) -> list[Row]:
    """Measure a model at 0.5 and at the threshold that suits the set best."""
    import torch

    from napari_darl import load_model, segment_probability

    torch.set_num_threads(threads)
    model = load_model(name)
    maps, seconds = timed(lambda sample: segment_probability(sample.grey, model, bits=sample.bits), samples)

    def cut(threshold: float) -> list[Mask]:
        return [map_ > threshold for map_ in maps]

    best = max(THRESHOLDS, key=lambda threshold: mean_dice(samples, cut(threshold)))
    return [
        Row(name, label, full_scores(samples, cut(threshold), maps), seconds)
        for label, threshold in (("0.5", 0.5), (f"best: {best:.2f}", best))
    ]


def table(rows: Sequence[Row]) -> str:
    """Lay the rows out; Sato's time is the unit."""
    sato = next(row.seconds for row in rows if row.method == "sato")
    header = ("method", "cut", *MEASURES, "s/frame", "x sato")
    return markdown_table(header, [(r.method, r.cut, *astuple(r.scores), r.seconds, r.seconds / sato) for r in rows])


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=Path, required=True, help="folder of frames, vessels dark")
    parser.add_argument("--truth", type=Path, required=True, help="folder of expert masks")
    parser.add_argument("--fov", type=Path, help="folder of fields of view; nothing counts outside")
    parser.add_argument("--by-order", action="store_true", help="pair files by their order, not by their names")
    parser.add_argument("--channel", choices=("green", "luminance"), default="green", help="grey of colours")
    parser.add_argument("--models", nargs="*", default=[], help="names of models or paths of checkpoints")
    parser.add_argument("--baselines", nargs="*", default=list(BASELINES), choices=list(BASELINES))
    parser.add_argument("--sigmas", nargs="+", type=float, default=BaselineSettings().sigmas, help="pixels")
    parser.add_argument("--limit", type=int, help="number of frames to look at")
    parser.add_argument("--threads", type=int, default=1, help="threads a model may use; the filters use one")
    return parser.parse_args()


def main() -> None:
    """Measure and print."""
    args = arguments()
    samples = list(load(args))
    settings = BaselineSettings(sigmas=tuple(args.sigmas))
    filters = dict.fromkeys(("sato", *args.baselines))  # Sato always: its time is the unit
    rows = [baseline_row(name, samples, settings, fundus=args.fov is not None) for name in filters]
    for name in args.models:
        rows += model_rows(name, samples, args.threads)
    print(f"{len(samples)} frames\n\n{table(rows)}")


if __name__ == "__main__":
    try:
        main()
    except DarlError as error:
        sys.exit(f"error: {error}")
