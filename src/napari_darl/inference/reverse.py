"""The reverse process: backgrounds sampled from noise by the denoiser (Ho et al. 2020; Song et al. 2021)."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from napari_darl.errors import InputError
from napari_darl.frames.arrays import MIN_SIZE
from napari_darl.frames.normalisation import decode
from napari_darl.inference.loading import Model
from napari_darl.inference.tiling import pad_to_multiple

Frame = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ReverseProcess:
    """How backgrounds are sampled from noise.

    Attributes
    ----------
    shape : tuple of int
        Height and width of a background, px, at least 32 each.
    steps : int, optional
        Deterministic steps (DDIM) over evenly spaced timesteps; none goes through all of them by ancestral sampling.
    """

    shape: tuple[int, int] = (512, 512)
    steps: int | None = 50

    def check(self, timesteps: int) -> None:
        """Raise InputError unless a schedule of so many timesteps can be gone through like this."""
        if min(self.shape) < MIN_SIZE:
            raise InputError(f"Backgrounds of {self.shape} pixels are too small: ask for {MIN_SIZE} or more a side.")
        if self.steps is not None and not 2 <= self.steps <= timesteps:
            raise InputError(f"The reverse process has {self.steps} steps: choose 2 to {timesteps}.")

    def chain(self, model: Model, seed: int | tuple[int, ...] = 0) -> Iterator[Frame]:
        """Go from noise to a background.

        With the phases in the batch (`published`) the denoiser knows frames of half the side: one is sampled, and
        enlarged.

        Parameters
        ----------
        model : Model
            Its denoiser is used, on its device.
        seed : int or tuple of int
            Key of the random draws.

        Yields
        ------
        numpy.ndarray of float32, shape (H, W)
            x_t on the networks' scale: first noise of N(0, 1), then after each step, at last x_0 in [-1, 1].

        Raises
        ------
        InputError
            If shape or steps can't be had.
        """
        network = model.network
        last = network.config.schedule.steps - 1
        self.check(last + 1)
        device = next(network.parameters()).device
        rng = np.random.default_rng(seed)
        shrink = 1 if network.config.phases == "channels" else 2
        small = [-(-side // shrink) for side in self.shape]
        padded = tuple(pad_to_multiple(torch.empty(1, 1, *small), network.config.stride).shape)

        def noise() -> torch.Tensor:
            return torch.from_numpy(rng.standard_normal(padded, np.float32)).to(device)

        def frame(x: torch.Tensor) -> Frame:
            x = x[..., : small[0], : small[1]]
            x = x if shrink == 1 else F.interpolate(x, self.shape, mode="bilinear")
            return x[0, 0].cpu().numpy()

        count = last + 1 if self.steps is None else self.steps
        timesteps = [torch.tensor([t], device=device) for t in np.linspace(last, 0, count).round().astype(int)]
        x = noise()
        yield frame(x)
        for t, before in zip(timesteps, [*timesteps[1:], None], strict=True):
            with torch.inference_mode():
                predicted = network.predict_noise(x, t)
                if before is None:
                    x = network.schedule.clean_estimate(x, t, predicted)
                elif self.steps is None:
                    x = network.schedule.reverse_step(x, t, predicted, noise())
                else:
                    x = network.schedule.implicit_step(x, t, before, predicted)
            yield frame(x)

    def sample(self, model: Model, seed: int | tuple[int, ...] = 0) -> Frame:
        """Sample a background: the end of `chain`, as linear intensities in [-1, 1]."""
        last = deque(self.chain(model, seed), maxlen=1)
        return decode(last[0], model.network.config.normalisation)
