"""Layers of `FoldedPathA`, all of channels-last features (N, C, H, W): fewer passes over memory than PyTorch's.

oneDNN, which computes PyTorch's convolutions on processors, can apply an activation or add to other features while it
writes a result. PyTorch offers this by operations meant for its compiler; where they are missing, plain ones take
their place.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_darl.darl.layers import ChannelNorm, without_autocast

SLOPE = 0.2  # of the generator's leaky ReLU
_NEIGHBOURS = 4  # outputs that are computed together, at most
_KNOWN = 4  # shapes of features for which packed weights are kept, at most
_LAST = torch.channels_last
_FULL, _SHARE = 32, 32768  # values of two vectors, and for which PyTorch takes another thread

_Geometry = tuple[list[int], list[int], list[int], int]


def computes_in_bfloat16() -> bool:
    """Return whether this processor has instructions for bfloat16, and torch uses them."""
    known: Callable[[], dict[str, bool]] = getattr(torch.cpu, "get_capabilities", dict)  # since torch 2.11
    features = known()
    return _fuses() and bool(features.get("avx512_bf16") or features.get("amx_bf16"))


@lru_cache(maxsize=1)
def _fuses() -> bool:
    """Return whether this PyTorch has oneDNN's fused convolutions, and they compute what they should."""
    if not torch.backends.mkldnn.is_available():
        return False
    x, weight, bias = torch.randn(1, 8, 6, 6), torch.randn(8, 8, 3, 3), torch.randn(8)
    x, weight = x.contiguous(memory_format=_LAST), weight.contiguous(memory_format=_LAST)
    wanted = F.conv2d(x, weight, bias, padding=1)
    try:
        found = _fused(x, weight, bias, ([1, 1], [1, 1], [1, 1], 1), "leaky_relu")
        summed = _fused_sum(found.clone(), x, weight, bias, ([1, 1], [1, 1], [1, 1], 1))
    except (AttributeError, RuntimeError):  # PyTorch may change these operations
        return False
    activated = F.leaky_relu(wanted, SLOPE)
    return torch.allclose(found, activated, atol=1e-4) and torch.allclose(summed, activated + wanted, atol=1e-4)


@lru_cache(maxsize=1)
def _lanes() -> int:
    """Return how many numbers in float32 a vector of this processor holds."""
    return {"AVX512": 16, "AVX2": 8}.get(torch.backends.cpu.get_cpu_capability(), 1)


def _fused(x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry, activation: str) -> Tensor:
    scalars = [SLOPE] if activation == "leaky_relu" else []
    convolve = torch.ops.mkldnn._convolution_pointwise
    stride, padding, dilation, groups = geometry
    return convolve(x, weight, bias, padding, stride, dilation, groups, activation, scalars, "")  # type: ignore[no-any-return]


def _fused_sum(sums: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, geometry: _Geometry) -> Tensor:
    convolve = torch.ops.mkldnn._convolution_pointwise_.binary
    stride, padding, dilation, groups = geometry
    return convolve(sums, x, weight, bias, padding, stride, dilation, groups, "add", 1.0, None, [], "")  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Convolution:
    """A convolution, and the activation that follows it: `none`, `relu` or `leaky_relu`."""

    weight: Tensor
    bias: Tensor | None
    stride: int = 1
    padding: int = 0
    groups: int = 1
    activation: str = "none"

    @classmethod
    def of(cls, layer: nn.Module) -> "Convolution":
        """Return the convolution of a `Conv2d`; one that reflects at the edges gets no padding."""
        layer = cast(nn.Conv2d, layer)
        padding = 0 if layer.padding_mode == "reflect" else cast(tuple[int, int], layer.padding)[0]
        return cls(layer.weight.detach(), layer.bias, layer.stride[0], padding).to(torch.float32)

    def to(self, dtype: torch.dtype) -> "Convolution":
        """Return the convolution in another precision."""
        bias = None if self.bias is None else self.bias.detach().to(dtype)
        return replace(self, weight=self.weight.to(dtype).contiguous(memory_format=_LAST), bias=bias)

    def scaled(self, scale: Tensor, shift: Tensor) -> "Convolution":
        """Return the convolution with a scale and a shift of its outputs folded in."""
        bias = shift if self.bias is None else self.bias * scale + shift
        return replace(self, weight=self.weight * scale[:, None, None, None], bias=bias)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve features."""
        if x.device.type != "cpu" or not _fuses():
            return _activated(F.conv2d(x, self.weight, self.bias, *self._geometry()), self.activation)
        packed = self._packed(x)
        found = _fused(x, packed.weight, packed.bias, packed.geometry, self.activation)
        return _regrouped(found, packed.neighbours * found.shape[3])

    def add_to(self, sums: Tensor, x: Tensor) -> Tensor:
        """Convolve, and add the result to `sums` in place; there is no activation."""
        if x.device.type != "cpu" or not _fuses():
            return sums.add_(F.conv2d(x, self.weight, self.bias, *self._geometry()))
        packed, width = self._packed(x), sums.shape[3]
        sums = _regrouped(sums, width // packed.neighbours)
        return _regrouped(_fused_sum(sums, x, packed.weight, packed.bias, packed.geometry), width)

    def _geometry(self, neighbours: int = 1) -> _Geometry:
        """Stride, padding, dilation and groups, in the order of `conv2d`."""
        return [self.stride, self.stride * neighbours], [self.padding] * 2, [1, 1], self.groups

    def _packed(self, x: Tensor) -> "_Packed":
        """Return how features of this shape are convolved."""
        known, key = self._known, (x.shape, torch.get_num_threads())
        if (packed := known.get(key)) is None:
            if len(known) >= _KNOWN:
                known.clear()
            packed = known[key] = self._packed_for(x.shape)
        return packed

    @cached_property
    def _known(self) -> "dict[tuple[torch.Size, int], _Packed]":
        return {}

    def _packed_for(self, shape: torch.Size) -> "_Packed":
        neighbours = self._neighbours(shape[3])
        weight, bias = self._of_neighbours(neighbours) if neighbours > 1 else (self.weight, self.bias)
        geometry = self._geometry(neighbours)
        stride, padding, dilation, groups = geometry
        reorder = torch.ops.mkldnn._reorder_convolution_weight
        return _Packed(reorder(weight, padding, stride, dilation, groups, shape), bias, geometry, neighbours)

    def _neighbours(self, width: int) -> int:
        """Return how many neighbouring outputs of features of this width are computed together as channels.

        Where the channels don't fill the processor's vectors, oneDNN leaves the rest of a vector unused. A wider kernel
        with zeros at its sides, one for each of the neighbours, multiplies more but fills the vectors.
        """
        outputs, _, _, kernel = self.weight.shape
        if self.stride > 1 or self.groups > 1 or kernel == 1:
            return 1
        found = width + 2 * self.padding - kernel + 1

        def vectors(neighbours: int) -> float:
            return math.ceil(neighbours * outputs / _lanes()) * (kernel + neighbours - 1) / neighbours

        possible = (n for n in range(_NEIGHBOURS, 0, -1) if found % n == 0)
        return min(possible, key=vectors)

    def _of_neighbours(self, neighbours: int) -> tuple[Tensor, Tensor | None]:
        """Return the kernels of all neighbours, each at its place, and their biases."""
        kernel = self.weight.shape[3]
        wide = self.weight.new_zeros(neighbours, *self.weight.shape[:3], kernel + neighbours - 1)
        for place in range(neighbours):
            wide[place, ..., place : place + kernel] = self.weight
        bias = None if self.bias is None else self.bias.repeat(neighbours)
        return wide.flatten(0, 1).contiguous(memory_format=_LAST), bias


class _Packed(NamedTuple):
    """A convolution of features of one shape, its weights in the order in which oneDNN reads them for that shape."""

    weight: Tensor
    bias: Tensor | None
    geometry: _Geometry
    neighbours: int  # outputs that are computed together


def _regrouped(x: Tensor, width: int) -> Tensor:
    """Return features of another width, whose channels are those of neighbours along it; the memory is the same."""
    n, channels, height, former = x.shape
    if width == former:
        return x
    last = x.permute(0, 2, 3, 1).reshape(n, height, width, channels * former // width)
    return last.permute(0, 3, 1, 2)


def _activated(x: Tensor, activation: str) -> Tensor:
    if activation == "relu":
        return x.relu_()
    return F.leaky_relu(x, SLOPE, inplace=True) if activation == "leaky_relu" else x


class Reflected:
    """A convolution at whose edges the features are reflected.

    A copy of the features with a margin would take longer than the convolution. So it is computed with a margin of
    zeros, and once more along each edge.
    """

    def __init__(self, convolution: Convolution) -> None:
        self.inside = convolution
        self.margin = convolution.weight.shape[-1] // 2
        self.whole = replace(convolution, padding=self.margin)

    def __call__(self, x: Tensor) -> Tensor:
        """Convolve features."""
        m = self.margin
        if min(x.shape[2:]) <= 2 * m:
            return self._edge(x, (m, m, m, m))
        found = self.whole(x)
        found[:, :, :m] = self._edge(x[:, :, : 2 * m], (m, m, m, 0))
        found[:, :, -m:] = self._edge(x[:, :, -2 * m :], (m, m, 0, m))
        found[..., :m] = self._edge(x[..., : 2 * m], (m, 0, m, m))
        found[..., -m:] = self._edge(x[..., -2 * m :], (0, m, m, m))
        return found

    def _edge(self, x: Tensor, margins: tuple[int, ...]) -> Tensor:
        return self.inside(F.pad(x, margins, mode="reflect").contiguous(memory_format=_LAST))


class Doubled:
    """A 3 x 3 convolution of features doubled in size by nearest neighbour, computed without the doubling.

    Along an axis, input i is seen by outputs 2 i - 1 to 2 i + 2, with weights w2, w1 + w2, w0 + w1 and w0. This is a
    transposed convolution of 4 x 4 weights.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> None:
        kernels = F.conv_transpose2d(weight.detach().flip(2, 3).flatten(0, 1)[:, None], weight.new_ones(1, 1, 2, 2))
        kernels = kernels.view(*weight.shape[:2], 4, 4).transpose(0, 1)
        self.weight = kernels.to(dtype).contiguous(memory_format=_LAST)
        self.bias = None if bias is None else bias.detach().to(dtype)

    def __call__(self, x: Tensor) -> Tensor:
        """Map features (N, C, H, W) to (N, channels, 2 H, 2 W)."""
        with without_autocast(x.device):
            return F.conv_transpose2d(x, self.weight, self.bias, stride=2, padding=1)


def doubled(x: Tensor) -> Tensor:
    """Double the size of features by nearest neighbour."""
    n, channels, height, width = x.shape
    found = x.new_empty(n, height, 2, width, 2, channels)
    found[:] = x.permute(0, 2, 3, 1)[:, :, None, :, None]
    return found.view(n, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


class NormSwish:
    """Norm over the channels of each pixel, then swish."""

    def __init__(self, norm: nn.Module) -> None:
        norm = cast(ChannelNorm, norm)
        assert norm.weight is not None and norm.bias is not None  # noqa: S101, PT018 - the denoiser's are affine
        self.weight, self.bias = norm.weight.detach(), norm.bias.detach()

    def __call__(self, x: Tensor) -> Tensor:
        """Normalise features and activate them."""
        last = F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias)
        return _swish(last).permute(0, 3, 1, 2)


def _swish(x: Tensor) -> Tensor:
    """Activate in place; each value alike, however many there are.

    PyTorch rounds the last values of each thread's share in another way where they don't fill two vectors. So all but
    the last values are shared out evenly, in full vectors.
    """
    values, threads = x.view(-1), torch.get_num_threads()
    even = len(values)
    while even and (rest := even % (_FULL * min(threads, -(-even // _SHARE)))):
        even -= rest
    if even:
        F.silu(values[:even], inplace=True)
    if rest := len(values) - even:
        padded = F.pad(values[even:], (0, -rest % _FULL))
        values[even:] = F.silu(padded)[:rest]
    return x


def affine(scale: Tensor, shift: Tensor, dtype: torch.dtype) -> tuple[Convolution, Tensor]:
    """Return what shifts channels and applies the generator's leaky ReLU in one pass, and a factor for each channel.

    Together they scale, shift and activate. The next convolution takes the factors, which a leaky ReLU lets pass, so
    that they aren't rounded.
    """
    factor = scale.abs().clamp_min(1e-6)
    weight = (scale / factor)[:, None, None, None]
    activated = Convolution(weight, shift / factor, groups=len(scale), activation="leaky_relu").to(dtype)
    return activated, factor[:, None, None]
