"""The DARL model: denoiser and generator, path A, path B and the cycle (Kim et al. 2023, figure 2)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from napari_darl.darl.config import ModelConfig
from napari_darl.darl.contrast import MaskContrast
from napari_darl.darl.denoiser import Denoiser
from napari_darl.darl.discriminator import Discriminator
from napari_darl.darl.generator import Generator
from napari_darl.darl.schedule import NoiseSchedule


class PathOutput(NamedTuple):
    """What a path makes of a noisy frame: the predicted noise, and a mask (A) or fake angiogram (B)."""

    noise: Tensor
    image: Tensor


class Darl(nn.Module):
    """Denoiser and generator with the two paths through them.

    Parameters
    ----------
    config : ModelConfig
        Everything that decides the networks' shape.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.stem_factor**2
        self.schedule = NoiseSchedule(config.schedule)
        self.denoiser = Denoiser(config.denoiser, channels)
        self.generator = Generator(config.generator, channels)

    def path_a(self, noisy: Tensor, t: Tensor) -> PathOutput:
        """Path A, and the cycle: noisy angiogram to vessel mask.

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W), the clean frame in [-1, 1].
        t : Tensor
            Timesteps, int64 (N,), from 0.

        Returns
        -------
        PathOutput
            Predicted noise and mask in (-1, 1), vessels positive, both (N, 1, H, W).
        """
        return self._path(noisy, t, None)

    def path_b(self, noisy: Tensor, t: Tensor, mask: Tensor) -> PathOutput:
        """Path B: noisy background and mask to fake angiogram.

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W).
        t : Tensor
            Timesteps, int64 (N,), from 0.
        mask : Tensor
            Pseudo-mask, float (N, 1, H, W), -1 background and 1 vessel.
        """
        return self._path(noisy, t, mask)

    def forward(self, frames: Tensor, t: int = 0) -> Tensor:
        """Segment in one step: path A, at t = 0 unless the frames were noised.

        With the phases in the batch (`published`) a frame is segmented as its four interleaved phases.

        Parameters
        ----------
        frames : Tensor
            x_t, float (N, 1, H, W), the clean frame in [-1, 1]; H and W multiples of `config.stride`.
        t : int
            Their timestep.

        Returns
        -------
        Tensor
            (tanh + 1) / 2, the probability of vessel, (N, 1, H, W).
        """
        phases = self.split(frames)
        steps = torch.full((len(phases),), t, device=frames.device)
        return (self.join(self.path_a(phases, steps).image) + 1) / 2

    def synthesize(self, backgrounds: Tensor, masks: Tensor, noise: Tensor, t: int = 0) -> Tensor:
        """Turn backgrounds into fake angiograms by path B.

        Parameters
        ----------
        backgrounds, masks, noise : Tensor
            Float (N, 1, H, W): frames in [-1, 1], masks -1 / +1, and N(0, 1); H and W multiples of `config.stride`.
        t : int
            Timestep at which the backgrounds are noised.

        Returns
        -------
        Tensor
            In (-1, 1), (N, 1, H, W).
        """
        clean = self.split(backgrounds)
        steps = torch.full((len(clean),), t, device=clean.device)
        noisy = self.schedule.add_noise(clean, steps, self.split(noise))
        return self.join(self.path_b(noisy, steps, self.split(masks)).image)

    def predict_noise(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in x_t by the denoiser alone, as the reverse process needs it.

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W), as the paths take it; H and W multiples of `config.stride`.
        t : Tensor
            Timesteps, int64 (N,), from 0.

        Returns
        -------
        Tensor
            eps, float32 (N, 1, H, W).
        """
        factor = self.config.stem_factor
        return F.pixel_shuffle(self.denoiser(F.pixel_unshuffle(noisy, factor), t), factor).float()

    def split(self, frames: Tensor) -> Tensor:
        """Split (N, 1, H, W) into what the paths take: four phases a frame where they go into the batch."""
        if self.config.phases == "channels":
            return frames
        return F.pixel_unshuffle(frames, 2).flatten(0, 1)[:, None]

    def join(self, phases: Tensor) -> Tensor:
        """Undo `split`."""
        if self.config.phases == "channels":
            return phases
        return F.pixel_shuffle(phases.view(-1, 4, *phases.shape[2:]), 2)

    def _path(self, noisy: Tensor, t: Tensor, mask: Tensor | None) -> PathOutput:
        factor = self.config.stem_factor
        folded = F.pixel_unshuffle(noisy, factor)
        noise = self.denoiser(folded, t)
        one_hot = None if mask is None else F.pixel_unshuffle(_one_hot(mask), factor)
        image = self.generator(torch.cat([folded, noise], dim=1), one_hot)
        # float32 whatever the working precision: losses are taken of these
        return PathOutput(F.pixel_shuffle(noise, factor).float(), F.pixel_shuffle(image, factor).float())


class Discriminators(nn.Module):
    """What only training needs: D_a judges angiograms; D_s masks (DARL) or a contrast of patches (C-DARL).

    Parameters
    ----------
    config : ModelConfig
        Widths and variant.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.angiogram = Discriminator(config.discriminator)
        self.mask = Discriminator(config.discriminator) if config.variant == "darl" else None
        self.contrast = MaskContrast() if config.variant == "c-darl" else None


def build(config: ModelConfig, seed: int) -> tuple[Darl, Discriminators]:
    """Networks to be trained, initialised as the configuration says; on the CPU.

    `published` is orthogonal for the denoiser and N(0, 0.02) for generator and discriminators; `torch` leaves
    PyTorch's own initialisation, with which narrow networks learn to denoise four times as fast.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model, discriminators = Darl(config), Discriminators(config)
        if config.initialisation == "published":
            for module in model.denoiser.modules():
                if isinstance(module, nn.Conv2d | nn.Linear):
                    nn.init.orthogonal_(module.weight)
            for network in (model.generator, discriminators):
                for module in network.modules():
                    if isinstance(module, nn.Conv2d):
                        normalised = parametrize.is_parametrized(module, "weight")
                        nn.init.normal_(_original(module) if normalised else module.weight, 0, 0.02)
            for module in (*model.modules(), *discriminators.modules()):
                if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                    nn.init.zeros_(module.bias)
    return model, discriminators


def _original(module: nn.Module) -> Tensor:
    return module.parametrizations["weight"].original  # type: ignore[index, union-attr, no-any-return]


def _one_hot(mask: Tensor) -> Tensor:
    vessel = (mask > 0).to(mask)
    return torch.cat([1 - vessel, vessel], dim=1)
