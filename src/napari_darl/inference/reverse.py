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
from napari_darl.inference.padding import pad_to_multiple

Frame = npt.NDArray[np.float32]


@dataclass(frozen=True)
class ReverseProcess:
    """Sample backgrounds from noise.

    Beginning with Gaussian noise x_T, each step predicts the noise in x_t and removes part of it, until x_0 remains.

    Attributes
    ----------
    shape : tuple of int
        Height and width of a background, in pixels, at least 32 each.
    steps : int, optional
        Number of deterministic steps (DDIM, Song et al. 2021) over evenly spaced timesteps. None visits all timesteps
        by ancestral sampling (Ho et al. 2020).
    """

    shape: tuple[int, int] = (512, 512)
    steps: int | None = 50

    def check(self, timesteps: int) -> None:
        """Raise InputError unless shape and steps are possible with a schedule of this many timesteps."""
        if min(self.shape) < MIN_SIZE:
            raise InputError(f"Backgrounds of {self.shape} pixels are too small. Choose at least {MIN_SIZE} a side.")
        if self.steps is not None and not 2 <= self.steps <= timesteps:
            raise InputError(f"The reverse process has {self.steps} steps. Choose 2 to {timesteps}.")

    def chain(self, model: Model, seed: int | tuple[int, ...] = 0) -> Iterator[Frame]:
        """Yield the frames from noise to a background.

        With the phases in the batch (`published`) the denoiser is trained on frames of half the side. Such a frame is
        sampled and enlarged.

        Parameters
        ----------
        model : Model
            Its denoiser is used, on its device.
        seed : int or tuple of int
            Seed of the random draws.

        Yields
        ------
        numpy.ndarray of float32, shape (H, W)
            x_t on the networks' scale: noise of N(0, 1) first, then the frame after each step, x_0 in [-1, 1] last.

        Raises
        ------
        InputError
            If shape or steps aren't possible.
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
        """Return a sampled background: the last frame of `chain`, as linear intensities in [-1, 1]."""
        last = deque(self.chain(model, seed), maxlen=1)
        return decode(last[0], model.network.config.normalisation)
