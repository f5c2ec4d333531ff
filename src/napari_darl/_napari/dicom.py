"""A reader of DICOM movies as image layers in millimetres and milliseconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl._napari.bit_depth import BITS
from napari_darl._napari.geometry import AT_DETECTOR, SPACING
from napari_darl.io import dicom

LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]

_SPACINGS = {
    "PixelSpacing": "PixelSpacing",
    "ImagerPixelSpacing": AT_DETECTOR,
    None: "unknown",
}


def read_dicom(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Offer to read a DICOM file.

    Parameters
    ----------
    path : str or list of str
        A file with a suffix of DICOM files. Other files, and several files to be stacked, are left to other readers.

    Returns
    -------
    callable or None
        Maps the path to one image layer, (T, Y, X) or (Y, X), with a last axis of colours for RGB. y and x are in mm
        where the file gives the size of a pixel, t is in ms where it gives the time between frames; else they are in
        pixels. The metadata say which size of a pixel it is, and how many bits the values use; nothing identifies the
        patient. It raises FileError as `napari_darl.io.dicom.read_dicom` does.
    """
    return _read if isinstance(path, str) and path.lower().endswith(dicom.DICOM_SUFFIXES) else None


def _read(path: str) -> list[LayerData]:
    movie = dicom.read_dicom(path)
    height, width = movie.pixel_size or (1.0, 1.0)
    length = "mm" if movie.pixel_size else "pixel"
    time, duration = (movie.frame_time, "ms") if movie.frame_time else (1.0, "pixel")
    leading = movie.data.ndim - (3 if movie.rgb else 2)
    meta: dict[str, Any] = {
        "name": Path(path).stem,
        "rgb": movie.rgb,
        "scale": [time, height, width][1 - leading :],
        "units": [duration, length, length][1 - leading :],
        "axis_labels": ["t", "y", "x"][1 - leading :],
        "metadata": {"modality": movie.modality, SPACING: _SPACINGS[movie.pixel_size_from]},
    }
    if movie.bits:
        meta["metadata"][BITS] = movie.bits
    if not movie.rgb:
        low, high = movie.window or _whole_range(movie.data)
        meta |= {"colormap": "gray", "contrast_limits": (low, high)}
    return [(movie.data, meta, "image")]


def _whole_range(data: npt.NDArray[Any]) -> tuple[float, float]:
    low, high = float(np.min(data)), float(np.max(data))
    return (low, high) if low < high else (low, low + 1)
