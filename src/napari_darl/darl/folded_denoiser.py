"""The denoiser of `FoldedPathA`."""

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from napari_darl.darl.denoiser import Denoiser, ResidualBlock, Upsample
from napari_darl.darl.fused_layers import Convolution, Doubled, NormSwish


class _Residual:
    """A block of the denoiser; the time is in the bias of its first convolution."""

    def __init__(self, block: ResidualBlock) -> None:
        self.norms = NormSwish(block.first[0]), NormSwish(block.second[0])
        self.first, self.second = (Convolution.of(part[2]) for part in (block.first, block.second))
        self.shortcut = Convolution.of(block.shortcut) if isinstance(block.shortcut, nn.Conv2d) else None
        self.time = block.time

    def first_at(self, time: Tensor) -> Convolution:
        """Return the first convolution at an embedded time (1, C)."""
        return replace(self.first, bias=cast(Tensor, self.first.bias) + cast(Tensor, self.time(time))[0])

    def __call__(self, x: Tensor, first: Convolution) -> Tensor:
        hidden = self.norms[1](first(self.norms[0](x)))
        if self.shortcut is None:
            return self.second(hidden).add_(x)
        return self.second.add_to(self.shortcut(x), hidden)


class FoldedDenoiser:
    """The denoiser eps_theta in use; the time is in the biases of some convolutions."""

    def __init__(self, source: Denoiser) -> None:
        self.time = source.time

        def made(layer: nn.Module) -> "_Residual | Doubled | Convolution":
            if isinstance(layer, ResidualBlock):
                return _Residual(layer)
            if isinstance(layer, Upsample):
                return Doubled(layer.conv.weight, layer.conv.bias, torch.float32)
            return Convolution.of(layer)

        self.down, self.middle, self.up = (
            [made(layer) for layer in part] for part in (source.down, source.middle, source.up)
        )
        self.out = Convolution.of(source.out[-1])

        self.at: tuple[int, dict[_Residual, Convolution]] | None = None

    def __call__(self, x: Tensor, t: int) -> Tensor:
        """Predict the noise in frames (N, C, H, W) at a timestep."""
        at = self.at  # other threads may change it
        if at is None or at[0] != t:
            time = self.time(torch.tensor([t], device=x.device))
            layers = (*self.down, *self.middle, *self.up)
            at = self.at = t, {layer: layer.first_at(time) for layer in layers if isinstance(layer, _Residual)}
        firsts = at[1]
        skips = []
        for layer in self.down:
            x = layer(x, firsts[layer]) if isinstance(layer, _Residual) else layer(x)
            skips.append(x)
        for layer in self.middle:
            x = cast(_Residual, layer)(x, firsts[cast(_Residual, layer)])
        for layer in self.up:
            x = layer(torch.cat([x, skips.pop()], dim=1), firsts[layer]) if isinstance(layer, _Residual) else layer(x)
        return self.out(x)
