"""Tiles of a frame: where they lie depends on the frame's origin and the model only."""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

Span = tuple[slice, int, int]
"""A tile's place along one axis, and the pixels that it shares with the one before and the one after."""


class Tile(NamedTuple):
    """A part of a frame; `before` and `after` pixels at its ends are shared with its neighbours, along y and x."""

    rows: slice
    columns: slice
    before: tuple[int, int]
    after: tuple[int, int]


def tile_grid(shape: tuple[int, int], tile: int, overlap: int) -> Iterator[Tile]:
    """Tiles of `tile` x `tile` pixels from the origin on, sharing `overlap`; the last ones end with the frame.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the frame.
    tile, overlap : int
        In pixels, overlap at most half of tile.
    """
    yield from crossed(list(spans(shape[0], tile, overlap)), list(spans(shape[1], tile, overlap)))


def crossed(down: list[Span], across: list[Span]) -> Iterator[Tile]:
    """Tiles of the spans along y and along x, row by row."""
    for rows, above, below in down:
        for columns, left, right in across:
            yield Tile(rows, columns, (above, left), (below, right))


def apply_tiled(
    function: Callable[[Tensor, Tile], Tensor],
    frames: Tensor,
    tiles: Iterable[Tile],
    stride: int,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """Apply a function tile by tile and blend the results where tiles overlap.

    Pixels all of whose tiles are there get the same values whatever other tiles there are.

    Parameters
    ----------
    function : callable
        Maps (N, 1, h, w) to the same shape, h and w multiples of `stride`; tiles are reflected to get there.
    frames : Tensor
        Float (N, 1, H, W): whole frames, or the part of them in which the tiles lie.
    tiles : iterable of Tile
        Of the whole frame, in the order of `tile_grid`.
    stride : int
        In pixels.
    origin : tuple of int
        Where the part begins.

    Returns
    -------
    Tensor
        Float32 (N, 1, H, W), on the frames' device.
    """
    result = torch.zeros_like(frames, dtype=torch.float32)
    for part in tiles:
        rows, columns = _moved(part.rows, origin[0]), _moved(part.columns, origin[1])
        window = frames[:, :, rows, columns]
        h, w = window.shape[2:]
        output = function(pad_to_multiple(window, stride), part)[:, :, :h, :w].to(result)
        down = _ramp(h, part.before[0], part.after[0])[:, None]
        across = _ramp(w, part.before[1], part.after[1])
        result[:, :, rows, columns] += output * (down * across).to(result)
    return result


def pad_to_multiple(frames: Tensor, stride: int) -> Tensor:
    """Enlarge (N, 1, H, W) at the bottom and the right, by reflection, to multiples of `stride`."""
    height, width = frames.shape[2:]
    below, right = -height % stride, -width % stride
    # A reflection must be smaller than what it reflects.
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(frames, (0, right, 0, below), mode=mode)


def spans(length: int, tile: int, overlap: int) -> Iterator[Span]:
    """Where tiles lie along an axis of `length` pixels, and how many pixels each shares with those beside it."""
    start = 0
    while True:
        stop = min(start + tile, length)
        last = stop == length
        yield slice(start, stop), overlap if start else 0, 0 if last else overlap
        if last:
            return
        start += tile - overlap


def _moved(place: slice, origin: int) -> slice:
    return slice(place.start - origin, place.stop - origin)


def _ramp(length: int, before: int, after: int) -> Tensor:
    """Weights that add up to 1 with the neighbours': linear over the shared pixels, else 1."""
    weights = torch.ones(length)
    weights[:before] = (torch.arange(before) + 0.5) / max(before, 1)
    weights[length - after :] *= 1 - (torch.arange(after) + 0.5) / max(after, 1)
    return weights
