"""The DARL model: denoiser, generator, and the two paths through them (Kim et al. 2023, figure 2).

Both paths begin alike: the denoiser predicts the noise of a noisy frame x_t, and the generator gets x_t together with
the predicted noise. Without a mask, path A, the generator makes a vessel mask. With a pseudo-mask, path B, it makes a
fake angiogram with vessels in that shape. Segmentation is path A at t = 0, in one step.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from napari_darl.darl.config import Calibration, ModelConfig
from napari_darl.darl.contrast import MaskContrast
from napari_darl.darl.denoiser import Denoiser
from napari_darl.darl.discriminator import Discriminator
from napari_darl.darl.generator import Generator
from napari_darl.darl.layers import join
from napari_darl.darl.schedule import NoiseSchedule

_LEAST = 1e-7  # Distance from 0 and 1 at which probabilities are clipped before the logit; float32 has no finer steps.


class PathOutput(NamedTuple):
    """Output of a path for noisy frames, float32 (N, 1, H, W).

    Attributes
    ----------
    noise
        The predicted noise eps_hat.
    image
        Vessel mask s_v (path A) or fake angiogram x^a_hat (path B), in (-1, 1).
    """

    noise: Tensor
    image: Tensor


def with_odds(probability: Tensor, factor: float | Tensor) -> Tensor:
    """Return a probability p whose odds p / (1 - p) are multiplied by a factor."""
    return factor * probability / (1 + (factor - 1) * probability)


class Darl(nn.Module):
    """Denoiser, generator, and the two paths through them.

    Parameters
    ----------
    config : ModelConfig
        Networks and noise schedule.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.stem_factor**2
        self.schedule = NoiseSchedule(config.schedule)
        self.denoiser = Denoiser(config.denoiser, channels)
        self.generator = Generator(config.generator, channels)

    def path_a(self, noisy: Tensor, t: Tensor) -> PathOutput:
        """Map noisy angiograms to vessel masks (path A and the cycle).

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W), the clean frame in [-1, 1].
        t : Tensor
            Timesteps, int64 (N,), from 0.

        Returns
        -------
        PathOutput
            Predicted noise and mask; vessels are positive.
        """
        return self._path(noisy, t, None)

    def path_b(self, noisy: Tensor, t: Tensor, mask: Tensor) -> PathOutput:
        """Map noisy backgrounds and pseudo-masks to fake angiograms (path B).

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W).
        t : Tensor
            Timesteps, int64 (N,), from 0.
        mask : Tensor
            Pseudo-mask, float (N, 1, H, W), -1 background and 1 vessel.

        Returns
        -------
        PathOutput
            Predicted noise and fake angiogram.
        """
        return self._path(noisy, t, mask)

    def forward(self, frames: Tensor, t: int = 0) -> Tensor:
        """Segment frames in one step, by path A.

        If the phases are in the batch (`published`), the four interleaved phases of a frame are segmented apart.

        Parameters
        ----------
        frames : Tensor
            x_t, float (N, 1, H, W), the clean frame in [-1, 1]; H and W multiples of `config.stride`.
        t : int
            Their timestep; 0 for clean frames.

        Returns
        -------
        Tensor
            Probability of vessel, float32 (N, 1, H, W): (tanh + 1) / 2, corrected by the model's calibration.
        """
        phases = self.split(frames)
        steps = torch.full((phases.shape[0],), t, device=frames.device)
        probability = (self.join(self.path_a(phases, steps).image) + 1) / 2
        calibration = self.config.calibration
        if calibration == Calibration():
            return probability
        logit = torch.special.logit(probability, eps=_LEAST)
        return torch.sigmoid((logit - calibration.shift) / calibration.temperature)

    def synthesize(self, backgrounds: Tensor, masks: Tensor, noise: Tensor, t: int = 0) -> Tensor:
        """Generate fake angiograms from backgrounds and masks, by path B.

        Parameters
        ----------
        backgrounds, masks, noise : Tensor
            Float (N, 1, H, W): frames in [-1, 1], masks -1 / +1, and N(0, 1); H and W multiples of `config.stride`.
        t : int
            Timestep at which the backgrounds are noised.

        Returns
        -------
        Tensor
            Fake angiograms, float32 (N, 1, H, W) in (-1, 1).
        """
        clean = self.split(backgrounds)
        steps = torch.full((len(clean),), t, device=clean.device)
        noisy = self.schedule.add_noise(clean, steps, self.split(noise))
        return self.join(self.path_b(noisy, steps, self.split(masks)).image)

    def predict_noise(self, noisy: Tensor, t: Tensor) -> Tensor:
        """Predict the noise in x_t by the denoiser alone, for the reverse process.

        Parameters
        ----------
        noisy : Tensor
            x_t, float (N, 1, H, W), as the paths take it; H and W multiples of `config.stride`.
        t : Tensor
            Timesteps, int64 (N,), from 0.

        Returns
        -------
        Tensor
            eps_hat, float32 (N, 1, H, W).
        """
        factor = self.config.stem_factor
        return F.pixel_shuffle(self.denoiser(F.pixel_unshuffle(noisy, factor), t), factor).float()

    def split(self, frames: Tensor) -> Tensor:
        """Split frames (N, 1, H, W) into their phases, (4 N, 1, H / 2, W / 2), if the phases go into the batch."""
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
        image = self.generator(join(folded.to(noise.dtype), noise), one_hot)
        # Losses are computed in float32, whatever the working precision.
        return PathOutput(F.pixel_shuffle(noise, factor).float(), F.pixel_shuffle(image, factor).float())


class Discriminators(nn.Module):
    """The networks that only training needs.

    Parameters
    ----------
    config : ModelConfig
        Widths and variant.

    Attributes
    ----------
    angiogram : Discriminator
        D_a, which compares fake angiograms with real ones.
    mask : Discriminator or None
        D_s, which compares path A's masks with pseudo-masks; none for C-DARL.
    contrast : MaskContrast or None
        The contrastive loss of C-DARL with its projections; none for DARL.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.angiogram = Discriminator(config.discriminator)
        self.mask = Discriminator(config.discriminator) if config.variant == "darl" else None
        self.contrast = MaskContrast() if config.variant == "c-darl" else None


def build(config: ModelConfig, seed: int) -> tuple[Darl, Discriminators]:
    """Build networks to train, on the CPU.

    Parameters
    ----------
    config : ModelConfig
        The networks. Its `initialisation` is `published` (orthogonal for the denoiser, N(0, 0.02) for generator and
        discriminators) or `torch` (the defaults of PyTorch, with which narrow networks learn to denoise four times as
        fast).
    seed : int
        Seed of the random weights.
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
