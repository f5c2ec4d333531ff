"""Measure how fast pseudo-masks are drawn, and compare their statistics with those of real masks.

    python benchmarks/pseudo_masks.py --masks some/folder/of/masks --resize-to 512

Real masks are images with vessels brighter than half of the range. Lengths are in pixels.
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from numpy.typing import NDArray
from skimage.transform import resize

from napari_darl import measure
from napari_darl.synthetic.fractals import draw_fractal
from napari_darl.synthetic.trees import MaskGenerator, draw_trees

Mask = NDArray[np.bool_]

GENERATORS: dict[str, MaskGenerator] = {"draw_trees": draw_trees, "draw_fractal": draw_fractal}


def rate(generator: MaskGenerator, size: int, seconds: float) -> float:
    """Masks of size x size px drawn per second."""
    rng = np.random.default_rng(0)
    generator((size, size), rng)
    start, count = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        generator((size, size), rng)
        count += 1
    return count / (time.perf_counter() - start)


def statistics(masks: Iterable[Mask]) -> dict[str, float]:
    """Return coverage, widths, branch points and tortuosity of all masks, measured by `napari_darl.measure`."""
    coverage, widths, forks, length, tortuosity = [], [], 0, 0.0, []
    for mask in masks:
        found = measure(mask)
        coverage.append(found.summary["area_density"])
        widths += found.diameters  # about one a pixel of length
        forks += len(found.branch_points["degree"])
        length += found.summary["length"]
        tortuosity.append(found.segments["tortuosity"][found.segments["length"] >= 20])
    width, bent = np.concatenate(widths), np.concatenate(tortuosity)
    return {
        "masks": len(coverage),
        "coverage, mean %": float(np.mean(coverage)),
        "coverage, 5 %": float(np.percentile(coverage, 5)),
        "coverage, 95 %": float(np.percentile(coverage, 95)),
        "width, 5 %": float(np.percentile(width, 5)),
        "width, median": float(np.median(width)),
        "width, 95 %": float(np.percentile(width, 95)),
        "forks / 1000 px": 1000 * forks / length,
        "arc / chord, median": float(np.nanmedian(bent)),
        "arc / chord, 95 %": float(np.nanpercentile(bent, 95)),
    }


def read_masks(folder: Path, width: int | None) -> list[Mask]:
    """All masks of a folder, resized to a common width if one is given."""
    masks = []
    for file in sorted(f for f in folder.iterdir() if f.suffix.lower() in {".png", ".tif", ".tiff", ".gif"}):
        image = np.squeeze(iio.imread(file))
        mask = (image if image.ndim == 2 else image[..., 0]) > np.iinfo(image.dtype).max / 2
        if width:
            height = round(width * mask.shape[0] / mask.shape[1])
            mask = resize(mask.astype(float), (height, width), order=1) > 0.5  # type: ignore[no-untyped-call]
        masks.append(mask)
    return masks


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--masks", type=Path, action="append", default=[], help="folder of real masks; repeatable")
    parser.add_argument("--resize-to", type=int, help="width that real masks are resized to, px")
    parser.add_argument("--number", type=int, default=40, help="pseudo-masks of 512 x 512 px to measure")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each rate")
    options = parser.parse_args()

    print(f"{'masks per second':22}" + "".join(f"{size:>10} px" for size in (128, 256, 512)))
    for name, generator in GENERATORS.items():
        rates = (rate(generator, size, options.seconds) for size in (128, 256, 512))
        print(f"{name:22}" + "".join(f"{r:13.0f}" for r in rates))

    columns = {}
    for name, generator in GENERATORS.items():
        rng = np.random.default_rng(0)
        columns[name] = statistics(generator((512, 512), rng).mask for _ in range(options.number))
    for folder in options.masks:
        columns["/".join(folder.parts[-2:])] = statistics(read_masks(folder, options.resize_to))
    print("\n" + " " * 22 + "".join(f"{name:>28}" for name in columns))
    for row in next(iter(columns.values())):
        print(f"{row:22}" + "".join(f"{column[row]:28.3g}" for column in columns.values()))


if __name__ == "__main__":
    main()
