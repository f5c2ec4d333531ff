"""The denoiser eps_theta: a U-Net that predicts the noise in x_t (Ho et al. 2020; Saharia et al. 2021)."""

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from napari_darl.darl.config import DenoiserConfig
from napari_darl.darl.layers import add_to_pixels, feature_norm, join, without_autocast


class Denoiser(nn.Module):
    """Predicts the noise in a noisy frame.

    The U-Net goes down through residual blocks and strided convolutions, and up through residual blocks and
    upsampling. Every layer on the way down, stem and strided convolutions included, has a skip connection to the way
    up.

    Parameters
    ----------
    config : DenoiserConfig
        Widths, depth and norm.
    channels : int
        Channels of a noisy frame: 1, or 4 if the phases are channels.
    """

    def __init__(self, config: DenoiserConfig, channels: int = 1) -> None:
        super().__init__()
        time = config.time_channels
        widths = [config.channels * multiplier for multiplier in config.multipliers]
        self.time = nn.Sequential(
            SinusoidalEmbedding(time), nn.Linear(time, 4 * time), nn.SiLU(), nn.Linear(4 * time, time)
        )

        def block(inputs: int, outputs: int, attention: bool) -> ResidualBlock:
            return ResidualBlock(inputs, outputs, time, config.norm, attention)

        # Down: `blocks` residual blocks per level, then a strided convolution to the next level.
        self.down = nn.ModuleList([nn.Conv2d(channels, config.channels, 3, padding=1)])
        skips = [config.channels]
        for level, width in enumerate(widths):
            for _ in range(config.blocks):
                self.down.append(block(skips[-1], width, level in config.attention_levels))
                skips.append(width)
            if level < len(widths) - 1:
                self.down.append(nn.Conv2d(width, width, 3, stride=2, padding=1))
                skips.append(width)

        # Bottom: two residual blocks, the first with attention.
        bottom = widths[-1]
        self.middle = nn.ModuleList(
            [block(bottom, bottom, bool(config.attention_levels)), block(bottom, bottom, False)]
        )

        # Up: one residual block per skip, then upsampling to the next level.
        self.up = nn.ModuleList()
        current = bottom
        for level, width in reversed(list(enumerate(widths))):
            for _ in range(config.blocks + 1):
                self.up.append(block(current + skips.pop(), width, level in config.attention_levels))
                current = width
            if level > 0:
                self.up.append(Upsample(width))

        head = [feature_norm(config.norm, current), nn.SiLU()]
        if config.norm == "channel":
            head = []  # A norm per pixel would remove the amplitude of the noise that is to be predicted.
        self.out = nn.Sequential(*head, nn.Conv2d(current, channels, 3, padding=1))

    def forward(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Predict the noise eps_theta(x_t, t).

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, C, H, W); H and W multiples of 2 ** (levels - 1).
        t : Tensor
            Timesteps, int64 (N,), from 0.

        Returns
        -------
        Tensor
            eps_hat, of the shape of `noisy`.
        """
        shifts = self._shifts(t)
        x = noisy
        skips = []
        for layer in self.down:
            x = layer(x, next(shifts)) if isinstance(layer, ResidualBlock) else layer(x)
            skips.append(x)
        for layer in self.middle:
            x = layer(x, next(shifts))
        for layer in self.up:
            x = layer(x) if isinstance(layer, Upsample) else layer(join(x, skips.pop()), next(shifts))
        return self.out(x)  # type: ignore[no-any-return]

    def _shifts(self, t: Tensor) -> Iterator[Tensor]:
        """Return the embedded time of each residual block in order, (N, outputs), by one product for all blocks."""
        layers = [layer.time[1] for layer in (*self.down, *self.middle, *self.up) if isinstance(layer, ResidualBlock)]
        # In float32, since casting so many small weights would take longer than the product.
        with without_autocast(t.device):
            weight, bias = (torch.cat([getattr(layer, name) for layer in layers]) for name in ("weight", "bias"))
            shifts = F.linear(F.silu(self.time(t)), weight, bias)
        return iter(shifts.split([layer.out_features for layer in layers], dim=1))


class SinusoidalEmbedding(nn.Module):
    """Embedding [sin, cos] of t * exp(-ln 10000 * arange(0, C, 2) / C), float32 (N, C)."""

    frequencies: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        frequencies = torch.exp(-math.log(10_000) * torch.arange(0, channels, 2) / channels)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def forward(self, t: Tensor) -> Tensor:
        """Embed timesteps (N,)."""
        angles = t[:, None].float() * self.frequencies
        return torch.cat([angles.sin(), angles.cos()], dim=1)


class ResidualBlock(nn.Module):
    """Residual block: norm, swish, 3 x 3 convolution, twice, with the time embedding added in between.

    Self-attention follows if `attention` is set.
    """

    def __init__(self, inputs: int, outputs: int, time: int, norm: str, attention: bool) -> None:
        super().__init__()
        self.first = nn.Sequential(feature_norm(norm, inputs), nn.SiLU(), nn.Conv2d(inputs, outputs, 3, padding=1))
        self.time = nn.Sequential(nn.SiLU(), nn.Linear(time, outputs))
        self.second = nn.Sequential(feature_norm(norm, outputs), nn.SiLU(), nn.Conv2d(outputs, outputs, 3, padding=1))
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()
        self.attention = SelfAttention(outputs, norm) if attention else nn.Identity()

    def forward(self, x: Tensor, shift: Tensor) -> Tensor:
        """Map features (N, inputs, H, W) and this block's embedding of the time (N, outputs) to (N, outputs, H, W)."""
        hidden = add_to_pixels(self.first(x), shift)
        return self.attention(self.second(hidden) + self.shortcut(x))  # type: ignore[no-any-return]


class SelfAttention(nn.Module):
    """Single-head attention over all pixels, residual."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.norm = feature_norm(norm, channels)
        self.qkv = nn.Conv2d(channels, 3 * channels, 1, bias=False)
        self.out = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map features (N, C, H, W) to features of the same shape."""
        query, key, value = self.qkv(self.norm(x)).flatten(2).transpose(1, 2).chunk(3, dim=2)
        attended = F.scaled_dot_product_attention(query, key, value)
        return x + self.out(attended.transpose(1, 2).reshape(x.shape))  # type: ignore[no-any-return]


class Upsample(nn.Module):
    """Nearest-neighbour upsampling by 2, then a 3 x 3 convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, C, 2 H, 2 W)."""
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))  # type: ignore[no-any-return]
