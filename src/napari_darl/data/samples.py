"""The angiograms that come with the package, for a first look and for tests; see samples/ATTRIBUTION.md."""

from importlib.resources import files
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError

_FILES = {"angiogram": "arcade_0137.jpg", "angiogram_2": "arcade_0302.jpg"}


def sample_path(name: str = "angiogram") -> Path:
    """Say where a sample angiogram lies.

    Parameters
    ----------
    name : {"angiogram", "angiogram_2"}
        Which of the two frames of the ARCADE dataset.

    Returns
    -------
    Path
        A grey JPEG of 512 x 512 pixels.

    Raises
    ------
    InputError
        If there is no such sample.
    """
    if name not in _FILES:
        raise InputError(f"There is no sample named {name!r}; choose from {', '.join(_FILES)}.")
    return Path(str(files("napari_darl") / "data" / "samples" / _FILES[name]))


def sample_angiogram(name: str = "angiogram") -> npt.NDArray[np.uint8]:
    """Read a sample angiogram.

    Parameters
    ----------
    name : {"angiogram", "angiogram_2"}
        Which of the two frames of the ARCADE dataset.

    Returns
    -------
    ndarray of uint8, shape (512, 512)
        The frame, 0 to 255, vessels dark.

    Raises
    ------
    InputError
        If there is no such sample.

    References
    ----------
    Popov et al., "Dataset for Automatic Region-based Coronary Artery Disease Diagnostics Using X-Ray
    Angiography Images", Scientific Data 11, 20 (2024), https://doi.org/10.1038/s41597-023-02871-z
    """
    return iio.imread(sample_path(name)).astype(np.uint8, copy=False)
