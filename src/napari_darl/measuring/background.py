"""The nearest background of each pixel of a mask, block by block.

A block and a margin about it are looked at together. What is further from the background than the margin is wide may
be nearer to some outside of it, so the margin grows until nothing is. Blocks fit into a processor's cache: a large mask
costs no more time a pixel than a small one.
"""

from collections.abc import Iterator
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy.ndimage import distance_transform_edt

from napari_darl.measuring.lines import Floats
from napari_darl.measuring.skeleton import Mask

_PIXELS = 2**18  # of a block
_MARGIN = 32  # px, to begin with


def nearest_background(
    mask: Mask, scale: Floats, labels: npt.NDArray[np.integer]
) -> tuple[Floats, npt.NDArray[np.integer]]:
    """Find the background that is nearest to each pixel of a mask.

    Parameters
    ----------
    mask
        (...) bool, False at the edges of the array.
    scale
        (D,) size of a pixel.
    labels
        (...) integers, of the background.

    Returns
    -------
    distance, label : ndarray
        Distance to that pixel of the background, and its label; 0 outside the mask.
    """
    distance, label = np.zeros(mask.shape), np.zeros_like(labels)
    for block in _blocks(mask.shape):
        if mask[block].any():
            outer, inner, apart, nearest = _around(mask, block, scale)
            distance[block] = apart[inner]
            label[block] = np.where(mask[block], labels[outer][tuple(side[inner] for side in nearest)], 0)
    return distance, label


def edge_distances(mask: Mask, scale: Floats) -> Floats:
    """Return the distance of each pixel of a mask to the background."""
    return nearest_background(mask, scale, np.zeros(mask.shape, np.uint8))[0]


def _blocks(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    side = round(_PIXELS ** (1 / len(shape)))
    yield from product(*([slice(start, min(start + side, n)) for start in range(0, n, side)] for n in shape))


def _around(
    mask: Mask, block: tuple[slice, ...], scale: Floats
) -> tuple[tuple[slice, ...], tuple[slice, ...], Floats, npt.NDArray[np.int32]]:
    """Return a block with its margin, the block's place in it, and distances and nearest background there."""
    margin = _MARGIN
    while True:
        sides = list(zip(block, mask.shape, strict=True))
        outer = tuple(slice(max(side.start - margin, 0), min(side.stop + margin, n)) for side, n in sides)
        starts = [side.start - around.start for side, around in zip(block, outer, strict=True)]
        inner = tuple(slice(start, start + side.stop - side.start) for start, side in zip(starts, block, strict=True))
        if not mask[outer].all():
            apart, nearest = distance_transform_edt(mask[outer], sampling=scale, return_indices=True)
            if apart[inner].max() <= margin * scale.min() or apart.shape == mask.shape:
                return outer, inner, apart, nearest
        margin *= 4
