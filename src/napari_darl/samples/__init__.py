"""Sample frames for a first try and for tests; samples/ATTRIBUTION.md names their sources and licences."""

from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import numpy.typing as npt

from napari_darl.errors import InputError

_ANGIOGRAMS = {"angiogram": "arcade_0137.jpg", "angiogram_2": "arcade_0302.jpg"}
_FILES = _ANGIOGRAMS | {"fundus": "chase_05R.jpg"}


def sample_path(name: str = "angiogram") -> Path:
    """Return the path of a sample.

    Parameters
    ----------
    name : {"angiogram", "angiogram_2", "fundus"}
        One of two frames of the ARCADE dataset, or a fundus photograph of CHASE_DB1.

    Returns
    -------
    Path
        A grey JPEG of 512 x 512 pixels, or for the fundus a colour JPEG of 960 x 999.

    Raises
    ------
    InputError
        If there is no sample of this name.

    Examples
    --------
    >>> sample_path("fundus").name
    'chase_05R.jpg'
    """
    _check_name(name, _FILES)
    return Path(str(files("napari_darl") / "samples" / _FILES[name]))


def sample_angiogram(name: str = "angiogram") -> npt.NDArray[np.uint8]:
    """Read a sample angiogram.

    Parameters
    ----------
    name : {"angiogram", "angiogram_2"}
        One of two frames of the ARCADE dataset.

    Returns
    -------
    numpy.ndarray of uint8, shape (512, 512)
        The frame, 0 to 255, with dark vessels.

    Raises
    ------
    InputError
        If there is no sample of this name.

    Examples
    --------
    >>> from napari_darl import sample_angiogram
    >>> sample_angiogram().shape
    (512, 512)

    References
    ----------
    Popov et al., "Dataset for Automatic Region-based Coronary Artery Disease Diagnostics Using X-Ray
    Angiography Images", Scientific Data 11, 20 (2024), https://doi.org/10.1038/s41597-023-02871-z
    """
    _check_name(name, _ANGIOGRAMS)
    return iio.imread(sample_path(name)).astype(np.uint8, copy=False)


def sample_fundus() -> npt.NDArray[np.uint8]:
    """Read the sample fundus photograph, a right eye of the CHASE_DB1 dataset.

    Returns
    -------
    numpy.ndarray of uint8, shape (960, 999, 3)
        Red, green and blue, 0 to 255, with dark vessels.

    Examples
    --------
    >>> from napari_darl import sample_fundus
    >>> sample_fundus().shape
    (960, 999, 3)

    References
    ----------
    Fraz et al., "An Ensemble Classification-Based Approach Applied to Retinal Blood Vessel Segmentation", IEEE
    Transactions on Biomedical Engineering 59, 2538 (2012), https://doi.org/10.1109/TBME.2012.2205687
    """
    return iio.imread(sample_path("fundus")).astype(np.uint8, copy=False)


def _check_name(name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise InputError(f"There is no sample named {name!r}. Choose one of {', '.join(known)}.")
