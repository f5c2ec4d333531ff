"""Losses of DARL (Kim et al. 2023, section 3.3) and of C-DARL (Kim et al. 2024), each a plain function."""

from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from napari_darl.configuration import Config
from napari_darl.darl.model import Critics, Darl, PathOutput

_LEAST = 1e-6  # likelihood: keeps its logarithm finite

CycleNorm = Literal["l1", "mse", "entropy"]


class LossConfig(Config):
    """Weights of the losses; the defaults are DARL's.

    Attributes
    ----------
    adversarial, adversarial_mask, cycle
        alpha for D_a and for D_s, and beta.
    diffusion
        Of the denoiser's error on path B.
    cycle_norm
        How the cycle's mask is compared with the pseudo-mask: see `cycle`.
    contrast
        Of mask patches, C-DARL's.
    teacher
        Of path A's mask with the teacher's labels. Not in the paper: it grounds path A in real contrast from the first
        step, and so does `rendering` path B.
    rendering
        Mean absolute difference between path B's fake angiogram and the rendered one.
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
"""What C-DARL changes in the weights."""


class Batch(NamedTuple):
    """One step's draws: frames in [-1, 1], masks -1 / +1, all float (N, 1, H, W); timesteps int64 (N,).

    `rendered` are backgrounds with the pseudo-mask rendered into them by attenuation. The first `free` samples
    take path B, and its fake angiograms go through the cycle; of the others, the rendered ones do. `labels` are a
    teacher's for the angiogram: -1 and +1 where it is sure, else 0.
    """

    angiogram: Tensor
    background: Tensor
    mask: Tensor
    rendered: Tensor
    labels: Tensor
    free: int
    noise: Tensor
    t_a: Tensor
    t_b: Tensor


class Paths(NamedTuple):
    """What the three passes through the model made of a batch."""

    a: PathOutput
    b: PathOutput
    cycle: PathOutput


def run_paths(model: Darl, batch: Batch) -> Paths:
    """Path A, path B and the cycle, with one noise draw for all three and t_a again in the cycle (as published)."""
    add_noise = model.schedule.add_noise
    a = model.path_a(add_noise(batch.angiogram, batch.t_a, batch.noise), batch.t_a)
    free = batch.free
    b = model.path_b(
        add_noise(batch.background[:free], batch.t_b[:free], batch.noise[:free]), batch.t_b[:free], batch.mask[:free]
    )
    source = torch.cat([b.image, batch.rendered[free:]])
    cycle = model.path_a(add_noise(source, batch.t_a, batch.noise), batch.t_a)
    return Paths(a, b, cycle)


def generator_losses(paths: Paths, batch: Batch, critics: Critics, config: LossConfig) -> dict[str, Tensor]:
    """Losses of denoiser and generator, unweighted, and their weighted sum under `total`.

    L_G = L_diff + alpha (L_adv(D_s(s_v)) + L_adv(D_a(x^a_hat))) + beta L_cyc, plus contrast, rendering and teacher
    where `config` gives them a weight.
    """
    losses = {
        "diffusion": F.mse_loss(paths.b.noise, batch.noise[: batch.free]),
        "adversarial_angiogram": adversarial(critics.angiogram(paths.b.image), real=True),
        "cycle": cycle(paths.cycle.image, batch.mask, config.cycle_norm),
    }
    total = config.diffusion * losses["diffusion"] + config.cycle * losses["cycle"]
    total = total + config.adversarial * losses["adversarial_angiogram"]
    if critics.mask is not None:
        losses["adversarial_mask"] = adversarial(critics.mask(paths.a.image), real=True)
        total = total + config.adversarial_mask * losses["adversarial_mask"]
    if critics.contrast is not None:
        losses["contrast"] = critics.contrast(batch.mask, paths.cycle.image, paths.a.image)
        total = total + config.contrast * losses["contrast"]
    if config.rendering:
        losses["rendering"] = F.l1_loss(paths.b.image, batch.rendered[: batch.free])
        total = total + config.rendering * losses["rendering"]
    if config.teacher:
        known = batch.labels != 0
        taught = torch.where(known, paths.a.image, -1)
        losses["teacher"] = cycle(taught, torch.where(known, batch.labels, -1), config.cycle_norm)
        total = total + config.teacher * losses["teacher"]
    return losses | {"total": total}


def discriminator_losses(
    batch: Batch, fake_angiogram: Tensor, fake_mask: Tensor, critics: Critics
) -> dict[str, Tensor]:
    """LSGAN losses of D_a and D_s, each halved; the fakes come detached, from the image pools."""
    losses = {"discriminator_angiogram": _judge(critics.angiogram, batch.angiogram, fake_angiogram)}
    if critics.mask is not None:
        losses["discriminator_mask"] = _judge(critics.mask, batch.mask, fake_mask)
    return losses


def adversarial(scores: Tensor, *, real: bool) -> Tensor:
    """Least-squares GAN loss: mean (score - 1)^2 for what should look real, mean score^2 for what shouldn't."""
    return (scores.float() - float(real)).square().mean()


def cycle(reconstructed: Tensor, mask: Tensor, norm: CycleNorm = "l1") -> Tensor:
    """Error of the cycle's mask, both in [-1, 1].

    Mean absolute (`l1`, the released code) or squared (`mse`) error; `entropy` is the mean binary cross-entropy plus
    the soft Dice loss of the batch (Milletari et al. 2016): to the others tanh passes hardly any gradient where it is
    sure and wrong, to this one it does until likelihoods fall below 1e-6; and without the second the few pixels of
    thin vessels count for nothing at first.
    """
    if norm == "l1":
        return F.l1_loss(reconstructed, mask)
    if norm == "mse":
        return F.mse_loss(reconstructed, mask)
    found, wanted = (reconstructed + 1) / 2, (mask + 1) / 2
    overlap = (2 * (found * wanted).sum() + 1) / (found.sum() + wanted.sum() + 1)
    likelihood = torch.where(wanted > 0.5, found, 1 - found).clamp(min=_LEAST)
    return 1 - overlap - likelihood.log().mean()


def _judge(critic: nn.Module, real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (adversarial(critic(real), real=True) + adversarial(critic(fake), real=False))
