"""Tiles of a frame, and how their results are blended.

A network sees a large frame tile by tile. Tiles start at the frame's origin, every `tile - overlap` pixels, and the
last ones end with the frame: where they lie depends on the frame's origin and on the model only, never on the part of
the frame that is wanted. Neighbours share `overlap` pixels, over which the weight of one falls linearly while the
other's rises, so that the weights of all tiles add up to 1 at every pixel.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor


class Span(NamedTuple):
    """A tile along one axis, in pixels of the frame.

    Attributes
    ----------
    start, stop : int
        Its first pixel, and the one after its last.
    before, after : int
        How many pixels it shares with the tile before it and with the one after it.
    """

    start: int
    stop: int
    before: int
    after: int


class Tile(NamedTuple):
    """A tile of a frame."""

    rows: Span
    columns: Span


def spans(length: int, tile: int, overlap: int) -> Iterator[Span]:
    """Yield the tiles along an axis of `length` pixels.

    Parameters
    ----------
    length, tile, overlap : int
        In pixels; `overlap` is at most half of `tile`.
    """
    start = 0
    while True:
        stop = min(start + tile, length)
        last = stop == length
        yield Span(start, stop, overlap if start else 0, 0 if last else overlap)
        if last:
            return
        start += tile - overlap


def tile_grid(rows: Iterable[Span], columns: Iterable[Span]) -> list[Tile]:
    """Return the tiles of a frame, row by row, from its tiles along y and along x."""
    across = list(columns)
    return [Tile(down, one) for down in rows for one in across]


def apply_tiled(
    function: Callable[[Tensor, Tile], Tensor],
    frames: Tensor,
    tiles: Iterable[Tile],
    stride: int,
    origin: tuple[int, int] = (0, 0),
) -> Tensor:
    """Apply a function tile by tile and blend the results where tiles overlap.

    Pixels that all of their tiles cover get the same values whatever other tiles there are.

    Parameters
    ----------
    function : callable
        Maps (N, 1, h, w) to the same shape. Both h and w are multiples of `stride`: tiles are enlarged by reflection.
    frames : Tensor
        Float (N, 1, H, W): whole frames, or the part of them in which the tiles lie.
    tiles : iterable of Tile
        Tiles of the whole frame, in the order of `tile_grid`.
    stride : int
        In pixels.
    origin : tuple of int
        Row and column of the whole frame at which `frames` begins.

    Returns
    -------
    Tensor
        Float32 (N, 1, H, W), on the device of `frames`.
    """
    result = torch.zeros_like(frames, dtype=torch.float32)
    for tile in tiles:
        rows = slice(tile.rows.start - origin[0], tile.rows.stop - origin[0])
        columns = slice(tile.columns.start - origin[1], tile.columns.stop - origin[1])
        part = frames[:, :, rows, columns]
        height, width = part.shape[2:]
        output = function(pad_to_multiple(part, stride), tile)[:, :, :height, :width].to(result)
        weights = _weights(tile.rows)[:, None] * _weights(tile.columns)
        result[:, :, rows, columns] += output * weights.to(result)
    return result


def pad_to_multiple(frames: Tensor, stride: int) -> Tensor:
    """Enlarge (N, 1, H, W) at the bottom and the right, by reflection, to multiples of `stride`."""
    height, width = frames.shape[2:]
    below, right = -height % stride, -width % stride
    # PyTorch can't reflect more pixels than there are.
    mode = "reflect" if below < height and right < width else "replicate"
    return F.pad(frames, (0, right, 0, below), mode=mode)


def _weights(span: Span) -> Tensor:
    """Return the weight of each pixel along a span: linear where it is shared, else 1."""
    weights = torch.ones(span.stop - span.start)
    weights[: span.before] = (torch.arange(span.before) + 0.5) / max(span.before, 1)
    weights[len(weights) - span.after :] *= 1 - (torch.arange(span.after) + 0.5) / max(span.after, 1)
    return weights
