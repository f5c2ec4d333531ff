"""The colours of layers and curves are told apart with any colour vision."""

from itertools import combinations

import numpy as np
from skimage.color import rgb2lab

from napari_darl._napari.colours import SERIES

# Machado et al., "A Physiologically-based Model for Simulation of Color Vision Deficiency" (2009), severity 1:
# what light of linear red, green and blue looks like.
VISION = {
    "all cones": np.eye(3),
    "no red cones": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no green cones": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "no blue cones": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
}


def seen(colour: str, vision: np.ndarray) -> np.ndarray:
    """Lab coordinates of a colour as someone sees it."""
    encoded = np.array([int(colour[start : start + 2], 16) for start in (1, 3, 5)]) / 255
    light = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    light = np.clip(np.asarray(vision) @ light, 0, 1)
    return rgb2lab(np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)[None])[0]


def test_all_pairs_of_colours_differ_for_everyone() -> None:
    for name, vision in VISION.items():
        for one, other in combinations(SERIES, 2):
            distance = np.linalg.norm(seen(one, vision) - seen(other, vision))
            assert distance > 25, f"{name}: {one} and {other} are {distance:.0f} apart"
