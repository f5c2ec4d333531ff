"""Round fields of view, like those of image intensifiers and fundus cameras.

They are added to some crops, so that the model learns that their rim is not a vessel.
"""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_darl.synthetic.tree_config import FRAME

_RADIUS = (0.3, 0.6)  # Range of the radius, in parts of a frame's side.
_SURROUND = 0.15  # Greatest intensity outside, in [0, 1].
_EDGE = 1.5  # Greatest standard deviation of the rim's blur, px of a 512 x 512 frame.


class Aperture(NamedTuple):
    """A round field of view in a crop.

    Attributes
    ----------
    open
        Whether a pixel is inside, bool (H, W).
    light
        The same with a blurred rim, float32 (H, W) in [0, 1].
    surround
        Value of the pixels outside, in [-1, 1].
    """

    open: NDArray[np.bool_]
    light: NDArray[np.float32]
    surround: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, size: int, scale: float) -> Self:
        """Draw a field of view whose rim passes through the crop.

        Parameters
        ----------
        rng : numpy.random.Generator
            Source of the draws.
        size : int
            Side of the crop, px.
        scale : float
            Pixels of the crop per pixel of a frame whose shorter side has 512 px.
        """
        radius = rng.uniform(*_RADIUS) * FRAME * scale
        # The rim passes through (y, x), and the centre lies in the direction `angle` from there.
        (y, x), angle = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
        rows, columns = np.ogrid[:size, :size]
        distance = np.hypot(rows - y - radius * np.sin(angle), columns - x - radius * np.cos(angle))
        inside = distance < radius
        light = gaussian_filter(inside.astype(np.float32), rng.uniform(0, _EDGE) * scale)
        return cls(inside, light, 2 * rng.uniform(0, _SURROUND) - 1)

    def shade(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return a frame, float32 (H, W) in [-1, 1], as seen through the field of view."""
        return frame * self.light + self.surround * (1 - self.light)
