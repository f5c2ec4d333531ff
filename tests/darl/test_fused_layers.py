"""Tests of `fused_layers`: convolutions that compute neighbours together, and norms of centred features."""

import pytest
import torch
import torch.nn.functional as F

from napari_darl.darl import fused_layers
from napari_darl.darl.fused_layers import Convolution, NormSwish
from napari_darl.darl.layers import ChannelNorm

_LAST = torch.channels_last


@pytest.mark.parametrize("lanes", [8, 16])
@pytest.mark.parametrize(("channels", "width"), [(1, 24), (4, 24), (4, 26), (8, 24), (8, 25), (24, 24)])
def test_neighbours_that_are_computed_together_are_those_of_conv2d(
    channels: int, width: int, lanes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_layers, "_lanes", lambda: lanes)
    x = torch.randn(2, 6, 16, width).to(memory_format=_LAST)
    weight, bias = torch.randn(channels, 6, 3, 3), torch.randn(channels)
    for padding in (0, 1):
        layer = Convolution(weight, bias, padding=padding, activation="relu").to(torch.float32)
        wanted = F.conv2d(x, weight, bias, padding=padding)
        torch.testing.assert_close(layer(x), wanted.relu())
        torch.testing.assert_close(layer(x, bias + 1), (wanted + 1).relu())
        sums = torch.randn(wanted.shape).to(memory_format=_LAST)
        torch.testing.assert_close(layer.add_to(sums.clone(memory_format=torch.preserve_format), x), sums + wanted)


@pytest.mark.parametrize("channels", [8, 32])
def test_centred_features_are_normalised_alike(channels: int) -> None:
    norm = ChannelNorm(channels)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(1, channels, 5, 7).to(memory_format=_LAST)
    x -= x.mean(dim=1, keepdim=True)
    wanted = F.silu(norm(x))
    torch.testing.assert_close(NormSwish(norm)(x), wanted)
    torch.testing.assert_close(NormSwish(norm, centred=True)(x.clone(memory_format=torch.preserve_format)), wanted)
