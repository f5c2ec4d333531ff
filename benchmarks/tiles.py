"""What tiles change and cost: their margins against results of whole frames, and their sides against the clock.

    python benchmarks/tiles.py [--model fundus] [--images FOLDER] [--tile 512] [--count 8]

The first table compares probabilities put together from tiles with those of a whole frame in one piece, at a resize
factor of 1: means over the frames. Without `--images`, the frames are the sample that suits the model, four copies
beside each other. Margins are multiples of the network's stride. The second table has the time that the network takes
for a pixel of a tile, on one thread: the least of several rounds, in processor time. "With margin" is the time for a
pixel of the tile's middle.
"""

import argparse
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from napari_darl import Model, SegmentOptions, load_model, open_image
from napari_darl.darl.folded import path_a
from napari_darl.evaluation.report import markdown_table
from napari_darl.inference.options import grey_frame
from napari_darl.inference.pipeline import Pipeline
from napari_darl.samples import sample_angiogram, sample_fundus

SIDES = (256, 512, 768, 1024, 1280, 1536)


def frames(model: Model, folder: Path | None, count: int) -> Iterator[tuple[np.ndarray, SegmentOptions]]:
    """Yield grey frames, and the options that fit them."""
    options = SegmentOptions(resize=1.0, device="cpu")
    if folder is not None:
        for path in sorted(folder.iterdir())[:count]:
            yield grey_frame(open_image(path), options)
    elif model.name == "fundus":
        yield grey_frame(np.tile(sample_fundus(), (2, 2, 1)), options.updated(rgb=True))
    else:
        yield grey_frame(np.tile(sample_angiogram(), (2, 2)), options)


def probability(model: Model, frame: np.ndarray, options: SegmentOptions, tile: int, margin: int) -> np.ndarray:
    """Return the probability of a frame made of tiles with a margin."""
    pipeline = Pipeline(frame.shape, model, options.updated(tile=tile))
    pipeline.rows, pipeline.columns = (replace(axis, margin=margin) for axis in (pipeline.rows, pipeline.columns))
    return pipeline([frame], [pipeline.context(frame, ())], pipeline.whole)[0]


def margins(model: Model, folder: Path | None, count: int, tile: int) -> str:
    stride = model.network.config.stride
    tried = range(0, min(128, tile // 4) + 1, stride)
    found: dict[int, list[tuple[float, float, float]]] = {margin: [] for margin in tried}
    for frame, options in frames(model, folder, count):
        whole = probability(model, frame, options, -(-max(frame.shape) // stride) * stride, 0)
        for margin in tried:
            part = probability(model, frame, options, tile, margin)
            difference, masks = np.abs(part - whole), (part > 0.5, whole > 0.5)
            dice = 2 * np.logical_and(*masks).sum() / max(masks[0].sum() + masks[1].sum(), 1)
            found[margin].append((difference.mean(), difference.max(), dice))
    rows = []
    for margin, of_frames in found.items():
        means, greatest, dices = zip(*of_frames, strict=True)
        texts = f"{np.mean(means):.1e}", f"{max(greatest):.3f}", f"{np.mean(dices):.5f}", f"{min(dices):.5f}"
        rows.append((str(margin), *texts))
    header = ("margin, px", "mean difference", "greatest", "Dice", "worst frame's Dice")
    return f"{model.name}, tiles of {tile} px, {len(of_frames)} frames\n\n{markdown_table(header, rows)}\n"


def sides(model: Model, rounds: int) -> str:
    torch.set_num_threads(1)
    network = path_a(model.network)
    pipeline = Pipeline((4096, 4096), model, SegmentOptions(resize=1.0))
    least = dict.fromkeys(SIDES, np.inf)
    for _ in range(rounds):
        for side in SIDES:
            frame = torch.rand(1, 1, side, side) * 2 - 1
            calls = max(1, 1024**2 // side**2)
            start = time.thread_time()
            for _ in range(calls):
                network(frame, 0)
            least[side] = min(least[side], (time.thread_time() - start) / calls / side**2)
    rows = []
    for side, seconds in least.items():
        share = side / (side - 2 * pipeline.margin)
        rows.append((f"{side}", f"{1e9 * seconds:.0f}", f"{1e9 * seconds * share**2:.0f}"))
    return markdown_table(("side, px", "ns a pixel", f"with margins of {pipeline.margin} px"), rows)


def main() -> None:
    """Measure and print Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="default", help="name of a model or path of a model file")
    parser.add_argument("--images", type=Path, help="folder of large images")
    parser.add_argument("--count", type=int, default=8, help="images")
    parser.add_argument("--tile", type=int, default=512, help="px")
    parser.add_argument("--rounds", type=int, default=5, help="of the clock; 0 leaves it out")
    args = parser.parse_args()
    model = load_model(args.model, "cpu")
    print(margins(model, args.images, args.count, args.tile), flush=True)
    if args.rounds:
        print(sides(model, args.rounds), flush=True)


if __name__ == "__main__":
    main()
