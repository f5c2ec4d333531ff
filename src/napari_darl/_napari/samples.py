"""Sample data for napari's menu File > Open Sample."""

from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl.samples import sample_angiogram, sample_fundus
from napari_darl.synthetic.phantom import phantom_movie as synthetic_movie

LayerData = tuple[npt.NDArray[np.uint8], dict[str, Any], str]
"""The array, the keyword arguments and the type of a layer."""

_CC_BY = "CC BY 4.0, https://creativecommons.org/licenses/by/4.0/"
_ARCADE = "ARCADE, training split, frame 0137 (Popov et al. 2024), https://doi.org/10.5281/zenodo.10390295"
_CHASE = "CHASE_DB1, Image_05R (Fraz et al. 2012), https://doi.org/10.1109/TBME.2012.2205687"

_FRAMES = 24
_SIZE = 256
_SEED = 8  # gives vessels that fill the frame


def angiogram() -> list[LayerData]:
    """Return a coronary angiogram from the ARCADE dataset, 512 x 512."""
    return [_image("angiogram", sample_angiogram(), _ARCADE, _CC_BY, colormap="gray")]


def phantom_movie() -> list[LayerData]:
    """Return a synthetic movie, (24, 256, 256), in which contrast agent fills the vessels of a beating heart."""
    movie, _ = synthetic_movie(_FRAMES, (_SIZE, _SIZE), np.random.default_rng(_SEED))
    grey = np.rint((movie + 1) * 127.5).astype(np.uint8)
    source = "synthesised by napari-darl, without any images of patients"
    return [_image("phantom movie", grey, source, "none needed", colormap="gray", axis_labels=("t", "y", "x"))]


def fundus() -> list[LayerData]:
    """Return a colour fundus photograph from the CHASE_DB1 dataset, 960 x 999."""
    return [_image("fundus", sample_fundus(), _CHASE, _CC_BY, rgb=True)]


def _image(name: str, pixels: npt.NDArray[np.uint8], source: str, licence: str, **look: Any) -> LayerData:
    return pixels, {"name": name, "metadata": {"source": source, "licence": licence}, **look}, "image"
