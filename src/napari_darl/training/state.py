"""The state of a run, which every step changes, and its conversion to tensors and back."""

import copy
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer
from torch.optim.swa_utils import AveragedModel

from napari_darl.configuration import Config
from napari_darl.darl.memory import keep_freed_memory
from napari_darl.darl.model import Darl, Discriminators, build
from napari_darl.training.config import PRESETS, TrainingConfig
from napari_darl.training.pool import ImagePool

_Tensors = tuple[Tensor, ...] | list[Tensor]


class TrainingState:
    """Networks, moving average, teachers, optimisers, image pools and the number of steps done.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    device : torch.device
        Device of the networks.
    """

    def __init__(self, config: TrainingConfig, device: torch.device) -> None:
        if device.type == "cpu":
            keep_freed_memory()
        model, discriminators = build(config.model, config.seed)
        layout = torch.channels_last
        self.model = model.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.discriminators = discriminators.to(device, memory_format=layout)  # type: ignore[call-overload]
        self.average = AveragedModel(self.model, multi_avg_fn=_moving_average(config.ema), use_buffers=True).eval()

        # The projections of C-DARL's contrast are trained with the generator.
        angiogram, mask, contrast = discriminators.angiogram, discriminators.mask, discriminators.contrast
        of_generator = [p for part in (model, contrast) if part is not None for p in part.parameters()]
        of_discriminators = [p for part in (angiogram, mask) if part is not None for p in part.parameters()]
        options: dict[str, Any] = {"betas": (0.5, 0.999), "fused": device.type == "cpu" or None}
        self.optimisers: dict[str, Optimizer] = {
            "generator": Adam(of_generator, config.learning_rate, **options),
            "discriminators": Adam(of_discriminators, config.discriminator_learning_rate, **options),
        }

        side = config.draws.size // (2 if config.model.phases == "batch" else 1)
        self._pooled = (1, side, side)
        self.pools = {"angiogram": ImagePool(config.pool), "mask": ImagePool(config.pool)}
        self.teacher: Darl | None = None
        self.teachers = nn.ModuleList(Darl(model) for model in config.teachers).to(device).eval().requires_grad_(False)
        self.device = device
        self.step = 0
        self._rates = {"generator": config.learning_rate, "discriminators": config.discriminator_learning_rate}

    def scale_learning_rates(self, factor: float) -> None:
        """Set the learning rates to `factor` times those of the configuration."""
        for part, optimiser in self.optimisers.items():
            for group in optimiser.param_groups:
                group["lr"] = factor * self._rates[part]

    def start_from(self, model: Darl, discriminators: Discriminators | None = None) -> None:
        """Replace the initial weights by those of trained networks of the same shapes."""
        self.model.load_state_dict(model.state_dict())
        self.average.module.load_state_dict(model.state_dict())
        if discriminators is not None:
            # The variants differ: C-DARL has a contrast in place of D_s.
            self.discriminators.load_state_dict(discriminators.state_dict(), strict=False)

    def renew_teacher(self) -> None:
        """Make a copy of the moving average the teacher."""
        self.teacher = copy.deepcopy(self.average.module).requires_grad_(False)  # type: ignore[assignment]

    def learn_from(self, teachers: Sequence[Darl]) -> None:
        """Copy the weights of the teachers whose configurations are `TrainingConfig.teachers`."""
        for copied, teacher in zip(self.teachers, teachers, strict=True):
            copied.load_state_dict(teacher.state_dict())

    def tensors(self) -> dict[str, Tensor]:
        """Return every tensor of the state by name."""
        tensors = {f"{part}.{name}": tensor for part, name, tensor in self._networks()}
        for part, optimiser in self.optimisers.items():
            for index, moments in optimiser.state_dict()["state"].items():
                tensors |= {f"optimiser.{part}.{index}.{name}": value for name, value in moments.items()}
        for part, pool in self.pools.items():
            if pool.images:
                tensors[f"pool.{part}"] = torch.stack(pool.images)
        return tensors

    def restore(self, tensors: dict[str, Tensor], step: int) -> None:
        """Restore the state from the result of `tensors`, after `step` steps.

        Raises
        ------
        IndexError, KeyError, RuntimeError, ValueError
            If the tensors don't fit the configuration.
        """
        if any(name.startswith("teacher.") for name in tensors):
            self.renew_teacher()
        with torch.no_grad():
            for part, name, tensor in self._networks():
                tensor.copy_(tensors[f"{part}.{name}"])
        for part, optimiser in self.optimisers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for key, value in tensors.items():
                if key.startswith(f"optimiser.{part}."):
                    index, name = key.rsplit(".", 2)[1:]
                    state.setdefault(int(index), {})[name] = value
            _check_moments(optimiser, state)
            _lay_out_moments(optimiser, state)
            optimiser.load_state_dict(optimiser.state_dict() | {"state": state})
        for part, pool in self.pools.items():
            images = tensors.get(f"pool.{part}")
            pool.images = [] if images is None else list(images.to(self.device, torch.float32))
            if len(pool.images) > pool.size or any(image.shape != self._pooled for image in pool.images):
                raise ValueError("The images of a pool don't fit the size of pool or crops.")
        self.step = step

    def _networks(self) -> Iterator[tuple[str, str, Tensor]]:
        networks = {
            "model": self.model,
            "discriminators": self.discriminators,
            "average": self.average,
            "teacher": self.teacher,
            "teachers": self.teachers,
        }
        for part, network in networks.items():
            for name, tensor in () if network is None else network.state_dict().items():
                yield part, name, tensor


def with_new_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the tensors of former checkpoints, in which the discriminators are called critics."""
    former = re.compile(r"^(optimiser\.)?critics\.")
    return {former.sub(r"\1discriminators.", name): tensor for name, tensor in tensors.items()}


def fits(config: TrainingConfig, tensors: dict[str, Tensor]) -> bool:
    """Return whether tensors have the names and shapes of a run's networks, without allocating these networks.

    If the networks are those of a preset, the answer is true without a check, since restoring fails anyway for other
    tensors, and torch's meta device costs a second of imports.
    """
    if any(_networks(config) == _networks(preset) for preset in PRESETS.values()):
        return True
    with torch.device("meta"):
        model, discriminators = build(config.model.updated(initialisation="torch"), 0)
    parts = {"model": model, "discriminators": discriminators}
    wanted = {f"{part}.{name}": value for part in parts for name, value in parts[part].state_dict().items()}
    return all(name in tensors and tensors[name].shape == value.shape for name, value in wanted.items())


def _networks(config: TrainingConfig) -> tuple[Config, ...]:
    return config.model.denoiser, config.model.generator, config.model.discriminator


def _parameters(optimiser: Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]


def _lay_out_moments(optimiser: Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Store moments in memory as their parameters are, which a fused optimiser takes for granted."""
    parameters = _parameters(optimiser)
    for index, moments in state.items():
        for name in ("exp_avg", "exp_avg_sq"):
            moments[name] = torch.empty_like(parameters[index]).copy_(moments[name]).detach()


def _check_moments(optimiser: Optimizer, state: dict[int, dict[str, Tensor]]) -> None:
    """Check that moments have the shapes of an optimiser's parameters, which `load_state_dict` doesn't check."""
    parameters = _parameters(optimiser)
    for index, moments in state.items():
        shapes = {"step": torch.Size(), "exp_avg": parameters[index].shape, "exp_avg_sq": parameters[index].shape}
        actual = {name: value.shape for name, value in moments.items() if value.is_floating_point()}
        if actual != shapes or len(moments) != len(shapes):
            raise ValueError("The moments don't fit the parameters.")
        if any((moments[name] < 0).any() for name in ("step", "exp_avg_sq")):
            raise ValueError("A step or a squared gradient is negative.")


def _moving_average(decay: float) -> Callable[[_Tensors, _Tensors, Tensor | int], None]:
    """Return the update rule of an exponential moving average.

    The decay grows with the number of updates up to `decay`, so that the random initial weights are soon forgotten.
    """

    @torch.no_grad()
    def update(averages: _Tensors, news: _Tensors, count: Tensor | int) -> None:
        keep = min(decay, (1 + int(count)) / (10 + int(count)))
        # All tensors have one data type.
        if averages[0].is_floating_point():
            torch._foreach_lerp_(averages, news, 1 - keep)
        else:
            torch._foreach_copy_(averages, news)

    return update
