"""Layers that the denoiser and the generator share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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
        return F.layer_norm(last, (self.channels,), self.weight, self.bias).permute(0, 3, 1, 2)


def feature_norm(kind: str, channels: int, affine: bool = True) -> nn.Module:
    """Return a norm of features (N, C, H, W): `group` (32 groups), `instance`, `batch` or `channel`."""
    if kind == "group":
        return nn.GroupNorm(32, channels, affine=affine)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=affine)
    if kind == "batch":
        return nn.BatchNorm2d(channels, affine=affine, momentum=0.02)
    return ChannelNorm(channels, affine)
