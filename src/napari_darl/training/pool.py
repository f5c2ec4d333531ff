"""Image pools: discriminators see past fakes, too (Shrivastava et al. 2017)."""

import numpy as np
import torch
from torch import Tensor


class ImagePool:
    """Keeps up to `size` past fakes; once full, every second newcomer is swapped for one of them.

    Parameters
    ----------
    size : int
        Images to keep.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self.images: list[Tensor] = []

    def query(self, fakes: Tensor, rng: np.random.Generator) -> Tensor:
        """Images to show for the new `fakes` (N, 1, H, W), detached; of the same shape."""
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
