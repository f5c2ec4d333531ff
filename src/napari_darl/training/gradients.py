"""What a step computes before it changes any weight: outputs, losses and gradients.

Path A and the discriminators are one half of the work, path B and the cycle the other. On processors, both are computed
at the same time.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from napari_darl.darl.losses import (
    Batch,
    Noise,
    Paths,
    contrast_loss,
    discriminator_losses,
    losses_of_path_a,
    losses_of_path_b,
    run_cycle,
    run_path_a,
    run_path_b,
    weighted,
)
from napari_darl.darl.model import PathOutput
from napari_darl.training.config import TrainingConfig
from napari_darl.training.halves import in_halves
from napari_darl.training.state import TrainingState

Precision = Callable[[], AbstractContextManager[None]]
Gradients = tuple[Tensor | None, ...]
"""Of each parameter of an optimiser; None if the loss doesn't depend on it."""

_Part = tuple[dict[str, Tensor], Gradients]  # losses and their gradients


class Computed(NamedTuple):
    """What a step has computed.

    Attributes
    ----------
    batch
        The samples as the networks saw them, on their device.
    paths
        The outputs of the three passes.
    losses
        The unweighted losses by name, and their weighted sum as `total`.
    gradients
        For each optimiser, what the gradients are the sum of.
    """

    batch: Batch
    paths: Paths
    losses: dict[str, float]
    gradients: dict[str, list[Gradients]]


def compute(
    state: TrainingState, batch: Batch, config: TrainingConfig, precision: Precision, meanwhile: Callable[[], None]
) -> Computed:
    """Compute outputs, losses and gradients; running means of norms and image pools change.

    All draws come from one generator, keyed by (seed, step, 0).

    Parameters
    ----------
    state : TrainingState
        Networks, optimisers and image pools.
    batch : Batch
        The samples, on the CPU.
    config : TrainingConfig
        The run.
    precision : callable
        Returns the context in which the networks are run.
    meanwhile : callable
        Starts other work in another thread; called once, as soon as a core is free for it.
    """
    rng = np.random.default_rng((config.seed, state.step, 0))
    if config.model.phases == "batch":
        # As published, each step sees one random phase of its frames.
        batch = batch.phase(*rng.integers(2, size=2))
    batch = batch.to(state.device)
    noise, weights = draw_noise(rng, batch.angiogram.shape, config, state.device), config.losses
    networks, discriminators = (state.model, batch, noise), state.discriminators
    of_generator, of_discriminators = (parameters(state.optimisers[part]) for part in ("generator", "discriminators"))
    a: Future[PathOutput] = Future()
    b: Future[PathOutput] = Future()
    coupled = discriminators.contrast is not None  # its loss compares masks of path A and of the cycle

    def path_a() -> _Part:
        with precision():
            found = _told(a, lambda: run_path_a(*networks))
            if coupled:
                return {}, (None,) * len(of_generator)
            losses = losses_of_path_a(found, batch, discriminators, weights)
        return losses, _gradients(weighted(losses, weights), of_generator)

    def path_b_and_cycle() -> tuple[PathOutput, _Part]:
        with precision():
            found = _told(b, lambda: run_path_b(*networks))
            masks = a.result()  # path A moves the running means first, and then the cycle does
            cycle = run_cycle(*networks, found.image)
            losses = losses_of_path_b(found, cycle, batch, noise.eps, discriminators, weights)
            if coupled:
                losses |= losses_of_path_a(masks, batch, discriminators, weights)
                losses |= contrast_loss(masks, cycle, batch, discriminators)
        return cycle, (losses, _gradients(weighted(losses, weights), of_generator))

    def discriminate() -> _Part:
        fakes = state.pools["angiogram"].query(b.result().image, rng)
        masks = state.pools["mask"].query(a.result().image[: len(batch.mask)], rng)
        with precision():
            losses = discriminator_losses(batch, fakes, masks, discriminators)
        found = losses, _gradients(torch.stack(list(losses.values())).sum(), of_discriminators)
        if at_once:
            meanwhile()  # path B and the cycle take longer
        return found

    # Spectral norms change with every call, so their calls have an order.
    at_once = state.device.type == "cpu" and torch.get_num_threads() > 1 and not config.model.generator.spectral_norm
    if not at_once:
        meanwhile()
    of_a, (cycle, of_b), of_judges = in_halves(path_a, path_b_and_cycle, discriminate, at_once)
    generator = of_a[0] | of_b[0]
    losses = generator | {"total": weighted(generator, weights)} | of_judges[0]
    return Computed(
        batch,
        Paths(a.result(), b.result(), cycle),
        {name: float(loss.detach()) for name, loss in losses.items()},
        {"generator": [of_a[1], of_b[1]], "discriminators": [of_judges[1]]},
    )


def draw_noise(rng: np.random.Generator, shape: tuple[int, ...], config: TrainingConfig, device: torch.device) -> Noise:
    """Draw the noise and the timesteps of a batch of frames of a shape (N, 1, H, W)."""
    model = config.model
    eps = rng.standard_normal(shape, np.float32)
    t_a = (model.path_a_steps * rng.random(len(eps)) ** config.faint_noise).astype(np.int64)
    t_b = rng.integers(model.schedule.steps, size=len(eps))
    return Noise(*(torch.from_numpy(array).to(device) for array in (eps, t_a, t_b)))


def _told(future: "Future[PathOutput]", run: Callable[[], PathOutput]) -> PathOutput:
    """Run a path, and let the other half have what it returns or raises."""
    try:
        found = run()
    except BaseException as error:
        future.set_exception(error)
        raise
    future.set_result(found)
    return found


def parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    """Return the parameters of an optimiser, in the order of `Gradients`."""
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _gradients(loss: Tensor, of: Sequence[Tensor]) -> Gradients:
    return torch.autograd.grad(loss, of, allow_unused=True)
