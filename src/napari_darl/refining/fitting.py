"""Training path A on labelled pixels, for a few steps from the original weights."""

import copy
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate
from torch.optim import Adam
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from napari_darl.configuration import Config
from napari_darl.darl.losses import cycle
from napari_darl.darl.model import Darl, with_odds
from napari_darl.refining.corrections import NOT_SAID, LabelledFrame, Labels

Kind = Literal["anchored", "free"]


class FitConfig(Config):
    """How a model is fitted to corrections.

    Attributes
    ----------
    steps
        Steps of the optimiser.
    crops
        Crops of corrected frames in a step; an anchored fit adds half as many of other frames.
    size
        Side of a crop, in pixels of the network's input.
    zoom
        Crops are enlarged or shrunk by a factor between 1 / `zoom` and `zoom`. Two frames look much alike; without
        this and the next two, a fit learns how they look rather than what a vessel is.
    intensity
        Contrast is multiplied by a factor between exp(-`intensity`) and its inverse, and intensities are raised to
        such a power.
    noise
        Greatest standard deviation of the noise that is added, of a range of 2.
    learning_rate
        Of Adam; it falls to a tenth along a cosine.
    anchor
        Weight of the anchor: the original's sure pixels, where nothing was corrected.
    average
        Decay of the running average of the weights, which is what counts.
    """

    steps: int = Field(default=60, ge=1)
    crops: int = Field(default=4, ge=1)
    size: int = Field(default=128, ge=32)
    zoom: float = Field(default=1.25, ge=1)
    intensity: float = Field(default=0.25, ge=0)
    noise: float = Field(default=0.04, ge=0)
    learning_rate: float = Field(default=6e-4, gt=0)
    anchor: float = Field(default=0.5, ge=0)
    average: float = Field(default=0.9, ge=0, lt=1)


class Fitting:
    """Fits copies of a network; every draw is keyed by (seed, step, sample).

    Parameters
    ----------
    network : Darl
        The original; it stays as it is.
    others : sequence of LabelledFrame
        Frames that nobody corrected.
    config : FitConfig
        How to fit.
    seed : int
        The first part of every key.
    on_step : callable
        Called after each step; what it raises ends the work.
    """

    def __init__(
        self,
        network: Darl,
        others: Sequence[LabelledFrame],
        config: FitConfig,
        seed: int,
        on_step: Callable[[], None],
    ) -> None:
        self.network, self.others, self.config = network, others, config
        self.seed, self.on_step = seed, on_step

    def fit(self, frames: Sequence[LabelledFrame], kind: Kind) -> Darl:
        """Return a network that was fitted to the labels of `frames`, in evaluation mode.

        Batch norm keeps its statistics (the network is in evaluation mode throughout): a few crops of one frame would
        shift them. A free fit sees the corrections alone. An anchored one is also held to what the original is sure
        of, on other frames and where nothing was corrected.
        """
        config = self.config
        network = copy.deepcopy(self.network).eval().requires_grad_(True)
        average = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(config.average))
        optimiser = Adam(network.parameters(), config.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, config.steps, config.learning_rate / 10)
        corrected = [(frame, frame.resized(frame.labels)) for frame in frames]
        held = [(frame, frame.resized(frame.sure)) for frame in (*self.others, *frames)]
        held = [(frame, labels) for frame, labels in held if (labels != NOT_SAID).any()]
        size = _crop_size(network, [frame for frame, _ in (*corrected, *held)], config.size)
        for step in range(config.steps):
            loss = self._loss(network, self._crops(corrected, config.crops, size, step, 0))
            if kind == "anchored" and held and config.anchor:
                crops = self._crops(held, -(-config.crops // 2), size, step, config.crops)
                loss = loss + config.anchor * self._loss(network, crops)
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
            average.update_parameters(network)
            self.on_step()
        fitted: Darl = average.module.eval().requires_grad_(False)  # type: ignore[assignment]
        return fitted

    def _crops(
        self, frames: Sequence[tuple[LabelledFrame, Labels]], count: int, size: int, step: int, first: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Draw crops about labelled pixels and change them.

        Returns network input and labels, (N, 1, size, size), and the factor of the odds of each, (N, 1, 1, 1).
        """
        images: list[Tensor] = []
        labels: list[Tensor] = []
        odds: list[float] = []
        for sample in range(first, first + count):
            rng = np.random.default_rng((self.seed, step, sample))
            frame, known = frames[int(rng.integers(len(frames)))]
            said = np.flatnonzero(known != NOT_SAID)
            centre = np.unravel_index(said[rng.integers(len(said))], known.shape)
            zoom = self.config.zoom ** rng.uniform(-1, 1)
            side = min(round(size / zoom), *known.shape)
            # Anywhere such that the labelled pixel lies inside.
            top, left = (
                int(np.clip(middle - rng.integers(side), 0, length - side))
                for middle, length in zip(centre, known.shape, strict=True)
            )
            crop = frame.network_input[:, :, top : top + side, left : left + side]
            part = torch.from_numpy(known[None, None, top : top + side, left : left + side].astype(np.float32))
            if side != size:
                crop = interpolate(crop, (size, size), mode="bilinear", antialias=True)
                part = interpolate(part, (size, size), mode="nearest-exact")
            crop = _intensities_changed(crop, self.config, rng)
            odds.append(frame.odds)
            turns, flip = int(rng.integers(4)), bool(rng.integers(2))
            for value, values in ((crop, images), (part, labels)):
                turned = torch.rot90(value, turns, (2, 3))
                values.append(turned.flip(2) if flip else turned)
        return torch.cat(images), torch.cat(labels), torch.tensor(odds)[:, None, None, None]

    @staticmethod
    def _loss(network: Darl, crops: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """Return cross-entropy and overlap over the labelled pixels, of the probability that users get."""
        device = next(network.parameters()).device
        images, labels, odds = (part.to(device) for part in crops)
        found = with_odds(network(images), odds)
        said = labels != NOT_SAID
        return cycle(2 * found[said] - 1, 2 * labels[said] - 1, "entropy")


def _intensities_changed(crop: Tensor, config: FitConfig, rng: np.random.Generator) -> Tensor:
    """Return a crop in [-1, 1] of another contrast and brightness, with noise; noise may exceed the range a little."""
    contrast, power = np.exp(config.intensity * rng.uniform(-1, 1, 2))
    middle = crop.mean()
    crop = (middle + float(contrast) * (crop - middle)).clamp(-1, 1)
    crop = 2 * ((crop + 1) / 2) ** float(power) - 1
    noise = rng.standard_normal(tuple(crop.shape), np.float32) * np.float32(rng.uniform(0, config.noise))
    return crop + torch.from_numpy(noise).to(crop.device)


def _crop_size(network: Darl, frames: Sequence[LabelledFrame], size: int) -> int:
    """Return the largest side up to `size` that fits into every frame and suits the network's stride."""
    stride = network.config.stride
    shortest = min(min(frame.network_input.shape[2:]) for frame in frames)
    return max(stride, min(size, shortest) // stride * stride)
