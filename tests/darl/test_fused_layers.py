"""Tests of `fused_layers`: convolutions that compute neighbours together or double features, and norms."""

import pytest
import torch
import torch.nn.functional as F

from napari_darl.darl import fused_layers
from napari_darl.darl.fused_layers import Convolution, Doubled, NormSwish
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
        sums = torch.randn(wanted.shape).to(memory_format=_LAST)
        torch.testing.assert_close(layer.add_to(sums.clone(memory_format=torch.preserve_format), x), sums + wanted)


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize(("height", "width"), [(5, 7), (91, 67)])  # of which threads share the second only
@pytest.mark.parametrize("channels", [8, 32])
def test_normalised_pixels_do_not_depend_on_how_many_there_are(
    channels: int, height: int, width: int, threads: int
) -> None:
    norm = ChannelNorm(channels)
    torch.nn.init.normal_(norm.weight)
    torch.nn.init.normal_(norm.bias)
    x = torch.randn(1, channels, height, width).to(memory_format=_LAST)
    folded, former = NormSwish(norm), torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        whole, part = folded(x), folded(x[:, :, 1:, 2:].contiguous(memory_format=_LAST))
    finally:
        torch.set_num_threads(former)
    torch.testing.assert_close(whole, F.silu(norm(x)))
    assert torch.equal(part, whole[:, :, 1:, 2:])


def test_features_are_doubled_as_by_nearest_neighbour() -> None:
    x, weight, bias = torch.randn(2, 6, 5, 7).to(memory_format=_LAST), torch.randn(4, 6, 3, 3), torch.randn(4)
    wanted = F.conv2d(F.interpolate(x, scale_factor=2, mode="nearest"), weight, bias, padding=1)
    torch.testing.assert_close(Doubled(weight, bias, torch.float32)(x), wanted)
