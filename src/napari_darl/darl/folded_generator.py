"""The generator of `FoldedPathA`, without what only path B needs."""

from dataclasses import replace
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_darl.darl.config import Calibration
from napari_darl.darl.fused_layers import SLOPE, Convolution, Doubled, Reflected, affine, doubled
from napari_darl.darl.generator import Generator, SSpadeBlock

Part = tuple[slice, slice]
"""Rows and columns of a frame or of features."""


def _scale_and_shift(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return what a batch norm in use multiplies each channel by, and adds to it then."""
    norm = cast(nn.BatchNorm2d, norm)
    mean, variance = cast(Tensor, norm.running_mean), cast(Tensor, norm.running_var)
    scale = (variance + norm.eps).rsqrt()
    if norm.affine:
        scale = scale * norm.weight
    shift = -mean * scale
    return scale, shift + norm.bias if norm.affine else shift


def _of_path_a(norm: nn.Module) -> tuple[Tensor, Tensor]:
    """Return scale and shift of path A's norm: of a `SwitchableSpade` or a `PathNorm`."""
    return _scale_and_shift(cast(nn.Module, norm.plain if hasattr(norm, "plain") else norm.a))


class FoldedGenerator:
    """Path A of the generator G in use, followed by the calibration of its probability."""

    def __init__(self, source: Generator, calibration: Calibration, dtype: torch.dtype) -> None:
        self.dtype = dtype
        inputs = (
            cast(nn.Conv2d, source.encoder[0]).in_channels - source.mask_channels
        )  # without SPADE, zeros for the mask follow
        self.encoder: list[Reflected | Convolution] = []
        for layer, norm in zip(source.encoder, source.norms, strict=True):
            made = Convolution.of(layer).scaled(*_of_path_a(norm))
            made = replace(made, weight=made.weight[:, :inputs] if not self.encoder else made.weight, activation="relu")
            made = made.to(torch.float32)
            self.encoder.append(made if self.encoder else Reflected(made))
        self.middle = [_Block(cast(SSpadeBlock, block), 0, dtype) for block in source.middle]
        coarse = [cast(nn.Conv2d, layer).out_channels for layer in source.encoder][:0:-1]
        # Rounding in the two finest blocks and behind them would change more of a mask than in all others.
        dtypes = [dtype] * (len(coarse) - 2) + [torch.float32] * min(len(coarse), 2)
        self.decoder = [
            _Block(cast(SSpadeBlock, block), width, kept)
            for block, width, kept in zip(source.decoder, coarse, dtypes, strict=True)
        ]
        out = Convolution.of(source.out)
        # (tanh x + 1) / 2 is the logistic function of 2 x, and the calibration is linear in 2 x.
        gain, shift = 2 / calibration.temperature, calibration.shift / calibration.temperature
        bias = gain * cast(Tensor, out.bias) - shift
        self.out = Reflected(replace(out, weight=gain * out.weight, bias=bias).to(torch.float32))
        self.skips = source.skips

    def __call__(self, x: Tensor, wanted: Part | None = None) -> Tensor:
        """Map concat[x_t, eps_hat] (N, 2 C, H, W) to the probability of vessel, float32 (N, C, H, W).

        If only some rows and columns are wanted, the decoder sees only what these depend on, and others may be 0.
        """
        size = x.shape[2:]
        features = []
        for layer in self.encoder:
            x = layer(x)
            features.append(x)
        features.pop()
        x = x.to(self.dtype)
        for block in self.middle:
            x = block(x)
        wanted = wanted or (slice(0, size[0]), slice(0, size[1]))
        top, left = 0, 0
        for block, rows, columns in zip(self.decoder, *map(self._seen, wanted, size), strict=True):
            x = _cut(x, slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
            top, left = 2 * rows.start, 2 * columns.start
            fine = _cut(features.pop(), slice(top, 2 * rows.stop), slice(left, 2 * columns.stop))
            x = block.doubled(x.to(block.dtype), fine.to(block.dtype) if self.skips else None)
        found = self.out(F.leaky_relu(x, SLOPE, inplace=True)).sigmoid_()
        if found.shape[2:] == size:
            return found
        probability = found.new_zeros(*found.shape[:2], *size)
        probability[:, :, top : top + found.shape[2], left : left + found.shape[3]] = found
        return probability

    def _seen(self, wanted: slice, length: int) -> list[slice]:
        """Return, for each block of the decoder, on which of its coarser features the result depends along an axis."""
        start, stop = wanted.start - self.out.margin, wanted.stop + self.out.margin
        seen = []
        for level in range(1, len(self.decoder) + 1):
            # Two 3 x 3 convolutions of features that are doubled in size.
            start, stop = max((start - 2) // 2, 0), min((stop + 3) // 2, length >> level)
            seen.append(slice(start, stop))
        return seen[::-1]


def _cut(x: Tensor, rows: slice, columns: slice) -> Tensor:
    return x[:, :, rows, columns].contiguous(memory_format=torch.channels_last)


class _Block:
    """A block of the generator, of features or, with `coarse` of its inputs, of doubled and finer features."""

    def __init__(self, block: SSpadeBlock, coarse: int, dtype: torch.dtype) -> None:
        self.dtype = dtype
        scale, shift = _of_path_a(block.norm_0)
        first = Convolution.of(block.conv_0).scaled(*_of_path_a(block.norm_1))
        self.second = Convolution.of(block.conv_1).to(dtype)
        if not coarse:
            self.norm, factor = affine(scale, shift, dtype)
            self.first = replace(first, weight=first.weight * factor, activation="leaky_relu").to(dtype)
            return
        self.norm, factor = affine(scale[:coarse], shift[:coarse], dtype)
        self.fine_norm, fine_factor = affine(scale[coarse:], shift[coarse:], dtype)
        alone = len(scale) == coarse
        self.doubling = Doubled(first.weight[:, :coarse] * factor, first.bias if alone else None, dtype)
        self.first = replace(first, weight=first.weight[:, coarse:] * fine_factor).to(dtype)
        # The norm before the shortcut's 1 x 1 convolution has no activation behind it, so it becomes a part of it.
        scale, shift = _of_path_a(block.norm_s)
        shortcut = cast(nn.Conv2d, block.conv_s).weight.detach()
        bias = shortcut[:, :, 0, 0] @ shift
        shortcut = shortcut * scale[:, None, None]
        self.shortcut = Convolution(shortcut[:, :coarse], bias).to(dtype)
        self.fine_shortcut = Convolution(shortcut[:, coarse:], None).to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        return self.second(self.first(self.norm(x))).add_(x)

    def doubled(self, x: Tensor, fine: Tensor | None) -> Tensor:
        """Map features, to be doubled in size, and finer ones."""
        hidden = self.doubling(self.norm(x))
        if fine is not None:
            hidden = self.first.add_to(hidden, self.fine_norm(fine))
        hidden = F.leaky_relu(hidden, SLOPE, inplace=True)
        sums = doubled(self.shortcut(x))  # not before, so that less memory is held at once
        if fine is not None:
            sums = self.fine_shortcut.add_to(sums, fine)
        return self.second.add_to(sums, hidden)
