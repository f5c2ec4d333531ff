"""Round fields of view, as image intensifiers and fundus cameras leave them: their rim is no vessel."""

from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from napari_darl.synthetic.trees import FRAME

_RADIUS = (0.3, 0.6)  # in parts of a frame's side
_SURROUND = 0.15  # greatest intensity outside, of 0 to 1
_EDGE = 1.5  # greatest standard deviation of the rim's blur, px of a 512 x 512 frame


class Aperture(NamedTuple):
    """Where a crop is lit.

    Attributes
    ----------
    open
        (H, W) bool.
    light
        (H, W) float32, the same with a blurred rim, 0 to 1.
    surround
        What frames hold outside, in [-1, 1].
    """

    open: NDArray[np.bool_]
    light: NDArray[np.float32]
    surround: float

    @classmethod
    def drawn(cls, rng: np.random.Generator, size: int, scale: float) -> Self:
        """Draw one whose rim passes through a square crop; `scale` px go into one px of a 512 x 512 frame."""
        radius = rng.uniform(*_RADIUS) * FRAME * scale
        (y, x), angle = rng.uniform(0, size, 2), rng.uniform(0, 2 * np.pi)
        rows, columns = np.ogrid[:size, :size]
        away = np.hypot(rows - y - radius * np.sin(angle), columns - x - radius * np.cos(angle))
        inside = away < radius
        light = gaussian_filter(inside.astype(np.float32), rng.uniform(0, _EDGE) * scale)
        return cls(inside, light, 2 * rng.uniform(0, _SURROUND) - 1)

    def shade(self, frame: NDArray[np.float32]) -> NDArray[np.float32]:
        """Darken a frame, float32 (H, W) in [-1, 1], outside."""
        return frame * self.light + self.surround * (1 - self.light)
