"""Layers that the denoiser and the generator share."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# Below it, threads that sum the gradients of layer norm's weights write to the same line of a processor's cache, which
# takes three times as long. A product sums them as well.
_NARROW = 16


class ChannelNorm(nn.Module):
    """Layer norm over the channels of each pixel (as in ConvNeXt, Liu et al. 2022).

    It has no statistics over space, so a crop gives the same values as the whole frame.

    Parameters
    ----------
    channels : int
        Number of channels C of the (N, C, H, W) input.
    affine : bool
        Learn a scale and a shift per channel.
    """

    def __init__(self, channels: int, affine: bool = True) -> None:
        super().__init__()
        self.channels = channels
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise features (N, C, H, W)."""
        # In float32, as GPUs do by themselves: in bfloat16, processors take ten times as long for narrow features.
        last = x.permute(0, 2, 3, 1).float()
        if self.training and self.weight is not None and self.channels < _NARROW and x.device.type == "cpu":
            with without_autocast(x.device):
                last = F.linear(F.layer_norm(last, (self.channels,)), torch.diag(self.weight), self.bias)
        else:
            last = F.layer_norm(last, (self.channels,), self.weight, self.bias)
        return last.permute(0, 3, 1, 2)


class ReflectConv2d(nn.Conv2d):
    """Convolution of features that are continued by reflection."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, padding_mode="reflect")

    def forward(self, input: Tensor) -> Tensor:
        """Map features (N, inputs, H, W) to (N, outputs, H, W)."""
        with without_autocast(input.device):  # which would pad in float32, to the same values
            padded = F.pad(input, self._reversed_padding_repeated_twice, mode="reflect")
        return F.conv2d(padded, self.weight, self.bias)


@contextmanager
def without_autocast(device: torch.device) -> Iterator[None]:
    """Compute in the dtypes of the operands, also where a caller has switched autocast on.

    At its end, `torch.autocast(enabled=False)` would empty the cache of cast weights, which all threads share: a
    training in another thread would round its gradients in another way.
    """
    before = torch.is_autocast_enabled(device.type)
    torch.set_autocast_enabled(device.type, False)
    try:
        yield
    finally:
        torch.set_autocast_enabled(device.type, before)


class _ChannelsLast(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        return gradient.contiguous(memory_format=torch.channels_last)


def channels_last(x: Tensor) -> Tensor:
    """Store features (N, C, H, W) and their gradient pixel by pixel, which is the fastest layout on processors."""
    if not torch.is_grad_enabled():
        return x
    return _ChannelsLast.apply(x)  # type: ignore[no-any-return, no-untyped-call]


def add_to_pixels(x: Tensor, values: Tensor) -> Tensor:
    """Add values (N, C) to all pixels of features (N, C, H, W)."""
    # Row by row, which takes a third of the time if there are few channels.
    rows = channels_last(x).permute(0, 2, 3, 1).flatten(2)
    rows = rows + values.repeat(1, x.shape[3])[:, None]
    return rows.unflatten(2, (x.shape[3], x.shape[1])).permute(0, 3, 1, 2)  # type: ignore[no-any-return]


def join(first: Tensor, second: Tensor) -> Tensor:
    """Concatenate features (N, C, H, W) of two layers along their channels."""
    return torch.cat([channels_last(first), channels_last(second)], dim=1)


def feature_norm(kind: str, channels: int, affine: bool = True) -> nn.Module:
    """Return a norm of features (N, C, H, W): `group` (32 groups), `instance`, `batch` or `channel`."""
    if kind == "group":
        return nn.GroupNorm(32, channels, affine=affine)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=affine)
    if kind == "batch":
        return nn.BatchNorm2d(channels, affine=affine, momentum=0.02)
    return ChannelNorm(channels, affine)
