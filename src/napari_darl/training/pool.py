"""Image pools, from which discriminators see past fakes, too (Shrivastava et al. 2017)."""

import numpy as np
import torch
from torch import Tensor


class ImagePool:
    """A pool of past fakes.

    Until the pool is full, new fakes are added and returned. Then each new fake is returned with probability 1/2;
    otherwise it replaces a random image of the pool, which is returned in its place.

    Parameters
    ----------
    size : int
        Number of images to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, fakes: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the images to show to the discriminator.

        Parameters
        ----------
        fakes : Tensor
            New fakes (N, 1, H, W).
        rng : numpy.random.Generator
            Source of the draws.

        Returns
        -------
        Tensor
            New or past fakes, of the same shape, detached.
        """
        shown = []
        for fake in fakes.detach():
            if len(self.images) < self.size:
                self.images.append(fake.clone())
                shown.append(fake)
            elif rng.random() < 0.5:
                index = int(rng.integers(self.size))
                shown.append(self.images[index])
                self.images[index] = fake.clone()
            else:
                shown.append(fake)
        return torch.stack(shown)
