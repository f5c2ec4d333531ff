"""Losses of DARL (Kim et al. 2023, section 3.3) and of C-DARL (Kim et al. 2024).

Each step makes three passes through the model:

- Path A segments a noisy angiogram: x^a -> s_v.
- Path B turns a noisy background and a pseudo-mask into a fake angiogram: (x^b, s^f) -> x^a_hat.
- The cycle segments the fake angiogram by path A again: x^a_hat -> s^f_hat.

No pass needs a label. Path A learns from the cycle, whose true mask s^f is known, and from the discriminator D_s, which
compares s_v with pseudo-masks. Path B learns from the discriminator D_a, which compares x^a_hat with angiograms.
"""

from collections.abc import Callable
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from napari_darl.configuration import Config
from napari_darl.darl.model import Darl, Discriminators, PathOutput

_LEAST = 1e-6  # Lower bound of a likelihood, which keeps its logarithm finite.

CycleNorm = Literal["l1", "mse", "entropy"]


class LossConfig(Config):
    """Weights of the losses; the defaults are those of DARL.

    Attributes
    ----------
    diffusion
        L_diff, the error of the denoiser on path B.
    adversarial, adversarial_mask
        alpha, the weight of L_adv by D_a and by D_s.
    cycle
        beta, the weight of L_cyc.
    cycle_norm
        How L_cyc compares masks; see `cycle`.
    contrast
        The contrastive loss of C-DARL.
    teacher
        Difference between path A's mask and the teacher's labels, compared as in L_cyc. Not in the paper: path A sees
        real contrast from the first step.
    rendering
        Mean absolute difference between path B's fake angiogram and the rendered one. Not in the paper: path B sees
        real contrast from the first step.
    """

    diffusion: float = Field(default=1.0, ge=0)
    adversarial: float = Field(default=0.2, ge=0)
    adversarial_mask: float = Field(default=0.2, ge=0)
    cycle: float = Field(default=5.0, ge=0)
    cycle_norm: CycleNorm = "l1"
    contrast: float = Field(default=0.0, ge=0)
    teacher: float = Field(default=0.0, ge=0)
    rendering: float = Field(default=0.0, ge=0)


C_DARL = {"cycle": 2.0, "contrast": 4e-4}
"""Weights of C-DARL that differ from those of DARL."""


class Batch(NamedTuple):
    """Samples of one step, from the sampler to the losses.

    Images are float32 tensors of shape (N, 1, H, W). Frames lie in [-1, 1], masks are -1 (background) or +1 (vessel).

    Attributes
    ----------
    angiogram
        x^a. There may be more of them than of the other images; only path A sees those.
    background
        x^b.
    mask
        Pseudo-mask s^f.
    rendered
        The background with the pseudo-mask rendered into it by attenuation.
    labels
        The teacher's labels of the angiogram: from -1 for background to +1 for vessel, 0 where it is not sure.
    on_path_b
        Path B makes fake angiograms of the first `on_path_b` samples. Those fakes enter the cycle, followed by the
        rendered angiograms of the other samples.
    """

    angiogram: Tensor
    background: Tensor
    mask: Tensor
    rendered: Tensor
    labels: Tensor
    on_path_b: int

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device."""
        return self._map(lambda image: image.to(device))

    def phase(self, row: int, column: int) -> Self:
        """Return one of the four interleaved phases of all images, (N, 1, H / 2, W / 2)."""
        return self._map(lambda image: image[:, :, row::2, column::2].contiguous())

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        images = [change(image) for image in self if isinstance(image, Tensor)]
        return type(self)(*images, on_path_b=self.on_path_b)  # type: ignore[misc, arg-type]


class Noise(NamedTuple):
    """Random draws of the diffusion module for one step.

    Attributes
    ----------
    eps
        N(0, 1), float32, of the shape of the frames.
    t_a, t_b
        Timesteps of paths A and B, int64 (N,), from 0.
    """

    eps: Tensor
    t_a: Tensor
    t_b: Tensor


class Paths(NamedTuple):
    """Outputs of the three passes through the model."""

    a: PathOutput
    b: PathOutput
    cycle: PathOutput


# As in the published code, the three passes share eps, and the cycle uses t_a again.


def run_path_a(model: Darl, batch: Batch, noise: Noise) -> PathOutput:
    """Segment the angiograms."""
    return model.path_a(model.schedule.add_noise(batch.angiogram, noise.t_a, noise.eps), noise.t_a)


def run_path_b(model: Darl, batch: Batch, noise: Noise) -> PathOutput:
    """Make fake angiograms of the backgrounds and pseudo-masks."""
    n, t = batch.on_path_b, noise.t_b[: batch.on_path_b]
    return model.path_b(model.schedule.add_noise(batch.background[:n], t, noise.eps[:n]), t, batch.mask[:n])


def run_cycle(model: Darl, batch: Batch, noise: Noise, fakes: Tensor) -> PathOutput:
    """Segment the fake angiograms of path B, and the rendered ones of the other samples."""
    angiograms, n = torch.cat([fakes, batch.rendered[batch.on_path_b :]]), len(batch.mask)
    return model.path_a(model.schedule.add_noise(angiograms, noise.t_a[:n], noise.eps[:n]), noise.t_a[:n])


def losses_of_path_a(
    a: PathOutput, batch: Batch, discriminators: Discriminators, config: LossConfig
) -> dict[str, Tensor]:
    """Compute the losses of path A by name, unweighted: L_adv(D_s(s_v)), and the teacher's if it has a weight."""
    losses = {}
    if discriminators.mask is not None:
        losses["adversarial_mask"] = adversarial(discriminators.mask(a.image[: len(batch.mask)]), real=True)
    if config.teacher:
        sure = batch.labels != 0
        prediction = torch.where(sure, a.image, -1)
        losses["teacher"] = cycle(prediction, torch.where(sure, batch.labels, -1), config.cycle_norm)
    return losses


def losses_of_path_b(
    b: PathOutput, of_cycle: PathOutput, batch: Batch, eps: Tensor, discriminators: Discriminators, config: LossConfig
) -> dict[str, Tensor]:
    """Compute the losses of path B and of the cycle by name, unweighted.

    They are L_diff, L_adv(D_a(x^a_hat)) and L_cyc, and the difference to the rendered angiograms if it has a weight.

    Parameters
    ----------
    b, of_cycle : PathOutput
        Outputs of path B and of the cycle for `batch`.
    batch : Batch
        The samples.
    eps : Tensor
        The noise that was added to them, (N, 1, H, W).
    discriminators : Discriminators
        D_a and D_s.
    config : LossConfig
        The weights.
    """
    n = batch.on_path_b
    losses = {
        "diffusion": F.mse_loss(b.noise, eps[:n]),
        "adversarial_angiogram": adversarial(discriminators.angiogram(b.image), real=True),
        "cycle": cycle(of_cycle.image, batch.mask, config.cycle_norm),
    }
    if config.rendering:
        losses["rendering"] = F.l1_loss(b.image, batch.rendered[:n])
    return losses


def contrast_loss(
    a: PathOutput, of_cycle: PathOutput, batch: Batch, discriminators: Discriminators
) -> dict[str, Tensor]:
    """Compute the contrastive loss of C-DARL by name; there is none for DARL."""
    if discriminators.contrast is None:
        return {}
    return {"contrast": discriminators.contrast(batch.mask, of_cycle.image, a.image[: len(batch.mask)])}


def weighted(losses: dict[str, Tensor], config: LossConfig) -> Tensor:
    """Return the weighted sum of losses of denoiser and generator; over all of them, it is L_G."""
    weights = {
        "diffusion": config.diffusion,
        "adversarial_angiogram": config.adversarial,
        "adversarial_mask": config.adversarial_mask,
        "cycle": config.cycle,
        "contrast": config.contrast,
        "rendering": config.rendering,
        "teacher": config.teacher,
    }
    return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()


def discriminator_losses(
    batch: Batch, fake_angiogram: Tensor, fake_mask: Tensor, discriminators: Discriminators
) -> dict[str, Tensor]:
    """Compute the LSGAN losses of D_a and D_s by name, each halved as published.

    The fakes are detached images (N, 1, H, W) from the image pools.
    """
    real = batch.angiogram[: len(batch.mask)]
    losses = {"discriminator_angiogram": _discriminator_loss(discriminators.angiogram, real, fake_angiogram)}
    if discriminators.mask is not None:
        losses["discriminator_mask"] = _discriminator_loss(discriminators.mask, batch.mask, fake_mask)
    return losses


def adversarial(scores: Tensor, *, real: bool) -> Tensor:
    """Return the least-squares GAN loss: mean (score - 1)^2 if the images should look real, else mean score^2."""
    return (scores.float() - float(real)).square().mean()


def cycle(reconstructed: Tensor, mask: Tensor, norm: CycleNorm = "l1") -> Tensor:
    """Return L_cyc, the difference between a reconstructed mask and the pseudo-mask.

    `l1` is the mean absolute error (as in the released code), and `mse` the mean squared error. Where tanh is
    saturated, it passes hardly any of their gradient, even if it is wrong.

    `entropy` is the mean binary cross-entropy plus the soft Dice loss of the batch (Milletari et al. 2016). The
    gradient of the cross-entropy grows where tanh is saturated and wrong, until likelihoods fall below 1e-6. The Dice
    loss gives weight to thin vessels, whose few pixels hardly count in the mean. Only here the mask may be soft.

    Parameters
    ----------
    reconstructed, mask : Tensor
        Float (N, 1, H, W) in [-1, 1].
    norm : {"l1", "mse", "entropy"}
        How they are compared.
    """
    if norm == "l1":
        return F.l1_loss(reconstructed, mask)
    if norm == "mse":
        return F.mse_loss(reconstructed, mask)
    probability, truth = (reconstructed + 1) / 2, (mask + 1) / 2
    dice = (2 * (probability * truth).sum() + 1) / (probability.sum() + truth.sum() + 1)
    vessel, background = (p.clamp(min=_LEAST).log() for p in (probability, 1 - probability))
    return 1 - dice - (truth * vessel + (1 - truth) * background).mean()


def _discriminator_loss(discriminator: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    # In one batch, which takes less time; each image is normalised by itself.
    of_real, of_fake = discriminator(torch.cat([real, fake])).split([len(real), len(fake)])
    return 0.5 * (adversarial(of_real, real=True) + adversarial(of_fake, real=False))
