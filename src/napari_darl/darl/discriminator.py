"""PatchGAN discriminators of masks (D_s) and angiograms (D_a) (Isola et al. 2017)."""

import itertools

from torch import Tensor, nn

from napari_darl.darl.config import DiscriminatorConfig
from napari_darl.darl.layers import channels_last


class Discriminator(nn.Sequential):
    """Scores how real each patch of an image looks; with four widths a patch has 70 x 70 px.

    Parameters
    ----------
    config : DiscriminatorConfig
        Channels of the layers.
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        widths = config.widths
        layers: list[nn.Module] = [nn.Conv2d(1, widths[0], 4, stride=2, padding=1), nn.LeakyReLU(0.2)]
        for index, (inputs, outputs) in enumerate(itertools.pairwise(widths), start=2):
            stride = 1 if index == len(widths) else 2
            layers += [
                nn.Conv2d(inputs, outputs, 4, stride=stride, padding=1),
                _InstanceNorm(outputs),
                nn.LeakyReLU(0.2),
            ]
        super().__init__(*layers, nn.Conv2d(widths[-1], 1, 4, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Return scores (N, 1, h, w) of images (N, 1, H, W): near 1 for real, near 0 for fake (LSGAN)."""
        return super().forward(image)  # type: ignore[no-any-return, no-untyped-call]


class _InstanceNorm(nn.InstanceNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        """Normalise features (N, C, H, W)."""
        # Otherwise features and gradients leave the norm in another layout.
        return channels_last(super().forward(channels_last(input)))
