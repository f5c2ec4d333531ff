"""Measure how whole the trees of models are, on frames without labels: pieces, and gaps between collinear ends.

    python benchmarks/pieces.py FRAME.jpg ... --models default default:plain runs/former

Of the mask at 0.5, cleaned as the file of the model asks for, but for ":plain" after its name, the centreline is taken.
A piece is a connected part of it with at least 5 pixels; those of long pieces have at least 100. A gap lies between two
ends of different pieces, or of the same, that are less than 10 px apart along the image, where the line between them
leaves each end within 35 degrees of the direction in which its vessel ran. Figures are per 1,000 px of centreline.
"""

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage
from skimage.morphology import skeletonize

from napari_darl.evaluation.report import markdown_table

Mask = npt.NDArray[np.bool_]

SHORTEST = 5  # px of a piece
LONG = 100  # px of a long piece
GAP = 10.0  # px between two ends
ANGLE = 35.0  # degrees between an end's direction and the gap's
BACK = 8  # px along the centreline that tell an end's direction
NEIGHBOURS = np.ones((3, 3))


def pieces_and_gaps(mask: Mask) -> tuple[int, int, int, int]:
    """Count the centreline's pixels, those of long pieces, its pieces and the gaps between collinear ends."""
    line = skeletonize(mask)
    parts, count = ndimage.label(line, NEIGHBOURS)
    sizes = np.bincount(parts.ravel(), minlength=count + 1)
    sizes[0] = 0
    line &= sizes[parts] >= SHORTEST
    ends = [(np.array(end), _direction(line, end)) for end in _ends(line)]
    gaps = 0
    for i, (a, out_a) in enumerate(ends):
        for b, out_b in ends[i + 1 :]:
            way = (b - a).astype(float)
            length = float(np.linalg.norm(way))
            if not 1.5 < length < GAP:
                continue
            along = np.cos(np.radians(ANGLE)) * length
            gaps += bool(way @ out_a > along and -way @ out_b > along)
    return int(line.sum()), int(sizes[sizes >= LONG].sum()), int((sizes >= SHORTEST).sum()), gaps


def _ends(line: Mask) -> list[tuple[int, int]]:
    around = ndimage.convolve(line.astype(int), NEIGHBOURS.astype(int), mode="constant") - 1
    return [(int(y), int(x)) for y, x in np.argwhere(line & (around == 1))]


def _direction(line: Mask, end: tuple[int, int]) -> npt.NDArray[np.float64]:
    """Return the unit vector that points out of a vessel at its end."""
    path, seen = [end], {end}
    for _ in range(BACK):
        y, x = path[-1]
        beside = [(y + j, x + i) for j in (-1, 0, 1) for i in (-1, 0, 1) if (j, i) != (0, 0)]
        following = [
            p for p in beside if p not in seen and 0 <= p[0] < line.shape[0] and 0 <= p[1] < line.shape[1] and line[p]
        ]
        if not following:
            break
        seen.update(following)
        path.append(following[0])
    way = np.subtract(path[0], path[-1]).astype(float)
    return way / max(float(np.linalg.norm(way)), 1e-9)


def main() -> None:
    """Print a row a model."""
    import torch
    from frames import named_model

    from napari_darl import clean_mask, segment_probability
    from napari_darl.io.images import read_image

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="+", type=Path)
    parser.add_argument("--models", nargs="+", default=["default"])
    args = parser.parse_args()
    torch.set_num_threads(1)
    images = [read_image(path).data for path in args.frames]
    rows = []
    for name in args.models:
        model, cleaning = named_model(name)
        masks = [clean_mask(segment_probability(image, model), cleaning) > 0 for image in images]
        found = np.array([pieces_and_gaps(mask) for mask in masks])
        length, long, pieces, gaps = found.sum(axis=0)
        rows.append((Path(name).stem, f"{length}", f"{long}", 1000 * pieces / length, 1000 * gaps / length))
    print(markdown_table(("model", "centreline, px", "long, px", "pieces / 1000 px", "gaps / 1000 px"), rows))


if __name__ == "__main__":
    main()
