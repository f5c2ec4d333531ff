"""The generator G with switchable SPADE (Kim et al. 2023, section 3.2; SPADE: Park et al. 2019)."""

import itertools

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from napari_darl.darl.config import GeneratorConfig
from napari_darl.darl.layers import ReflectConv2d, feature_norm, join

_SLOPE = 0.2


class Generator(nn.Module):
    """Maps a noisy frame and its predicted noise to a vessel mask or, given a mask, to a fake angiogram.

    All convolutions are shared by the two paths. The mask switches the norms: without one, path A, they have learnt
    scales and shifts; with one, path B, scales and shifts are computed from the mask (SPADE).

    Parameters
    ----------
    config : GeneratorConfig
        Widths, norms and skips.
    channels : int
        Channels C of a frame: 1, or 4 if the phases are channels.
    """

    def __init__(self, config: GeneratorConfig, channels: int = 1) -> None:
        super().__init__()
        widths, kernel = config.widths, config.kernel
        self.skips = config.skips
        self.mask_channels = 0 if config.spade else 2 * channels

        def block(inputs: int, outputs: int) -> SSpadeBlock:
            return SSpadeBlock(inputs, outputs, 2 * channels, config)

        self.encoder = nn.ModuleList([ReflectConv2d(2 * channels + self.mask_channels, widths[0], kernel)])
        for fine, coarse in itertools.pairwise(widths):
            self.encoder.append(nn.Conv2d(fine, coarse, 3, stride=2, padding=1))
        self.norms = nn.ModuleList(PathNorm(config.norm, width) for width in widths)
        self.middle = nn.ModuleList(block(widths[-1], widths[-1]) for _ in range(config.blocks))
        self.decoder = nn.ModuleList(
            block(coarse + fine * config.skips, fine) for fine, coarse in reversed(list(itertools.pairwise(widths)))
        )
        self.out = ReflectConv2d(widths[0], channels, kernel)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Generate a mask (path A) or a fake angiogram (path B).

        Parameters
        ----------
        x : Tensor
            concat[x_t, eps_hat], (N, 2 C, H, W); H and W multiples of 2 ** (len(widths) - 1).
        mask : Tensor, optional
            One-hot mask (N, 2 C, H, W), background before vessel, for path B; without it, path A.

        Returns
        -------
        Tensor
            float32 (N, C, H, W) in (-1, 1).
        """
        if self.mask_channels:
            # Without SPADE, the mask is a part of the input.
            channels = x.new_zeros(len(x), self.mask_channels, *x.shape[2:]) if mask is None else mask.to(x)
            x = torch.cat([x, channels], dim=1)

        features = []
        for layer, norm in zip(self.encoder, self.norms, strict=True):
            x = F.relu(norm(layer(x), mask), inplace=True)
            features.append(x)

        for block in self.middle:
            x = block(x, mask)

        for block, fine in zip(self.decoder, reversed(features[:-1]), strict=True):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
            x = block(join(x, fine) if self.skips else x, mask)

        # In float32, since bfloat16 would round values near 1 to 1.
        return torch.tanh(self.out(F.leaky_relu(x, _SLOPE, inplace=True)).float())


class SSpadeBlock(nn.Module):
    """Residual block of two convolutions, each after a norm that the mask switches."""

    def __init__(self, inputs: int, outputs: int, mask_channels: int, config: GeneratorConfig) -> None:
        super().__init__()
        middle = min(inputs, outputs)

        def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> nn.Module:
            layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
            return spectral_norm(layer) if config.spectral_norm else layer

        def norm(channels: int) -> nn.Module:
            if not config.spade:
                return PathNorm(config.norm, channels, affine=True)
            return SwitchableSpade(channels, mask_channels, config.spade_channels, config.norm)

        self.norm_0, self.conv_0 = norm(inputs), conv(inputs, middle, 3)
        self.norm_1, self.conv_1 = norm(middle), conv(middle, outputs, 3)
        self.has_shortcut = inputs != outputs
        if self.has_shortcut:
            self.norm_s, self.conv_s = norm(inputs), conv(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Map features (N, inputs, H, W) to (N, outputs, H, W)."""
        if mask is not None:
            mask = F.interpolate(mask, size=x.shape[2:], mode="nearest")
        hidden = self.conv_0(F.leaky_relu(self.norm_0(x, mask), _SLOPE, inplace=True))
        hidden = self.conv_1(F.leaky_relu(self.norm_1(hidden, mask), _SLOPE, inplace=True))
        return hidden + (self.conv_s(self.norm_s(x, mask)) if self.has_shortcut else x)  # type: ignore[no-any-return]


class PathNorm(nn.Module):
    """Norm with statistics, and if `affine` also scale and shift, of its own for each path."""

    def __init__(self, norm: str, channels: int, affine: bool = False) -> None:
        super().__init__()
        self.a = feature_norm(norm, channels, affine)
        self.b = feature_norm(norm, channels, affine)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Normalise features (N, C, H, W)."""
        return self.a(x) if mask is None else self.b(x)  # type: ignore[no-any-return]


class SwitchableSpade(nn.Module):
    """Norm that the mask switches.

    With a mask, scale 1 + gamma and shift beta of each pixel are computed from it (SPADE, Park et al. 2019, eq. 1).
    Without a mask, they are learnt per channel.
    """

    def __init__(self, channels: int, mask_channels: int, hidden: int, norm: str) -> None:
        super().__init__()
        self.plain = feature_norm(norm, channels, affine=True)  # Path A, with learnt scale and shift.
        self.free = feature_norm(norm, channels, affine=False)  # Path B, before SPADE's scale and shift.
        self.shared = nn.Conv2d(mask_channels, hidden, 3, padding=1)
        self.gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, mask: Tensor | None) -> Tensor:
        """Normalise features (N, C, H, W)."""
        if mask is None:
            return self.plain(x)  # type: ignore[no-any-return]
        hidden = F.relu(self.shared(mask), inplace=True)
        scaled: Tensor = self.free(x) * (1 + self.gamma(hidden))
        return scaled.add_(self.beta(hidden))  # `addcmul` would multiply twice more for the gradients
