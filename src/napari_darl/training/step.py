"""One optimisation step: first the generator, then the discriminators."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_darl.darl.losses import Batch, Paths
from napari_darl.training.config import TrainingConfig
from napari_darl.training.gradients import Gradients, Precision, compute, parameters
from napari_darl.training.state import TrainingState

Frame = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Preview:
    """One sample and what the model made of it, float32 (H, W) in [-1, 1].

    Attributes
    ----------
    angiogram, mask
        x^a, and the mask s_v that path A made of it.
    background, pseudo_mask, fake_angiogram
        x^b and s^f, and the fake angiogram that path B made of them.
    cycle_mask
        The pseudo-mask as the cycle reconstructed it.
    """

    angiogram: Frame
    mask: Frame
    background: Frame
    pseudo_mask: Frame
    fake_angiogram: Frame
    cycle_mask: Frame

    @classmethod
    def of(cls, batch: Batch, paths: Paths) -> "Preview":
        """Copy the first sample of a batch."""
        images = (batch.angiogram, paths.a.image, batch.background, batch.mask, paths.b.image, paths.cycle.image)
        return cls(*(image[0, 0].detach().float().cpu().numpy() for image in images))


@dataclass(frozen=True, eq=False)
class Progress:
    """State of a run after a step.

    Attributes
    ----------
    step, total
        Steps done, and steps of the whole run.
    losses
        The unweighted losses by name, and their weighted sum as `total`.
    preview
        A sample, every `TrainingConfig.preview_every` steps.
    """

    step: int
    total: int
    losses: dict[str, float]
    preview: Preview | None = None


def learning_rate_factor(step: int, config: TrainingConfig) -> float:
    """Return the factor of both learning rates in a step: 1, then half a cosine down to 0 after the last step."""
    falling = config.falling * config.steps
    if not falling:
        return 1.0
    part = (step - (config.steps - falling)) / falling
    return 0.5 * (1 + math.cos(math.pi * min(max(part, 0.0), 1.0)))


def train_step(
    state: TrainingState, batch: Batch, config: TrainingConfig, precision: Precision, meanwhile: Callable[[], None]
) -> tuple[dict[str, float], Preview | None]:
    """Do one optimisation step, and change `state` accordingly.

    1. Draw eps, t_a and t_b, and run path A, path B and the cycle.
    2. Update denoiser and generator by L_G.
    3. Update the discriminators by L_D, on real images and on fakes from the image pools.
    4. Update the moving average of the weights.

    Parameters are those of `gradients.compute`.

    Returns
    -------
    losses : dict of str to float
        The unweighted losses by name, and their weighted sum as `total`.
    preview : Preview or None
        The first sample, every `config.preview_every` steps.
    """
    state.scale_learning_rates(learning_rate_factor(state.step, config))
    computed = compute(state, batch, config, precision, meanwhile)
    for part, optimiser in state.optimisers.items():
        _descend(optimiser, computed.gradients[part], config.clip)

    state.average.update_parameters(state.model)
    preview = Preview.of(computed.batch, computed.paths) if state.step % config.preview_every == 0 else None
    state.step += 1
    return computed.losses, preview


def _descend(optimiser: torch.optim.Optimizer, gradients: Sequence[Gradients], clip: float | None) -> None:
    updated = parameters(optimiser)
    for parameter, *parts in zip(updated, *gradients, strict=True):
        parameter.grad = _sum([part for part in parts if part is not None], parameter)
    if clip is not None:
        torch.nn.utils.clip_grad_norm_(updated, clip)
    optimiser.step()


def _sum(parts: list[Tensor], parameter: Tensor) -> Tensor | None:
    if not parts:
        return None
    # In the parameter's layout, which a fused optimiser takes for granted.
    total = torch.empty_like(parameter).copy_(parts[0])
    for part in parts[1:]:
        total += part
    return total
