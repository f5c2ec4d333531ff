"""A reader of DICOM movies and series as image layers in millimetres and milliseconds."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from napari_darl._napari.bit_depth import BITS
from napari_darl._napari.geometry import AT_DETECTOR, SPACING
from napari_darl._napari.layers import PADDING
from napari_darl.io import dicom
from napari_darl.io.arrays import masked_padding
from napari_darl.io.dicom_series import find_series, listed_files, read_dicom_series

LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]

POLARITY = "bright values"
"""Entry of a layer's metadata: that DICOM's MONOCHROME1, in which greater values are darker, is inverted."""

_SPACINGS = {
    "PixelSpacing": "PixelSpacing",
    "ImagerPixelSpacing": AT_DETECTOR,
    None: "unknown",
}


def read_dicom(path: str | list[str]) -> Callable[[str | list[str]], list[LayerData]] | None:
    """Offer to read DICOM files.

    Parameters
    ----------
    path : str or list of str
        A file with a suffix of DICOM files, a file of another name that is DICOM by its content, a DICOMDIR, or several
        DICOM files to be stacked. All others are left to other readers.

    Returns
    -------
    callable or None
        Maps the path to one image layer, or to one for each series of a DICOMDIR or of several files: (T or Z, Y, X) or
        (Y, X), with a last axis of colours for RGB. y and x are in mm where the file gives the size of a pixel, z where
        it gives the places of slices, t is in ms where it gives the time between frames; else they are in pixels. The
        metadata say which size of a pixel it is, how many bits the values use, and which values are padding; nothing
        identifies the patient. It raises FileError as `napari_darl.io.dicom.read_dicom` does.
    """
    paths = [path] if isinstance(path, str) else path
    return _read if paths and all(_is_dicom(one) for one in paths) else None


def _is_dicom(path: str) -> bool:
    return path.lower().endswith(dicom.DICOM_SUFFIXES) or dicom.is_dicom(Path(path))


def _read(path: str | list[str]) -> list[LayerData]:
    files = [Path(path)] if isinstance(path, str) else [Path(one) for one in path]
    if len(files) == 1 and not dicom.is_dicomdir(files[0]):
        return [_layer(files[0].stem, dicom.read_dicom(files[0]))]
    if len(files) == 1:
        files = listed_files(files[0])
    return [
        _layer(one.name if len(one.paths) > 1 else one.paths[0].stem, read_dicom_series(one))
        for one in find_series(files)
    ]


def _layer(name: str, movie: dicom.DicomMovie) -> LayerData:
    height, width = movie.pixel_size or (1.0, 1.0)
    length = "mm" if movie.pixel_size else "pixel"
    first, step, unit = "t", movie.frame_time, "ms"
    if movie.is_volume:
        first, step, unit = "z", movie.slice_distance, "mm"
    leading = movie.data.ndim - (3 if movie.rgb else 2)
    meta: dict[str, Any] = {
        "name": name,
        "rgb": movie.rgb,
        "scale": [step or 1.0, height, width][1 - leading :],
        "units": [unit if step else "pixel", length, length][1 - leading :],
        "axis_labels": [first, "y", "x"][1 - leading :],
        "metadata": {"modality": movie.modality, SPACING: _SPACINGS[movie.pixel_size_from]},
    }
    if movie.bits:
        meta["metadata"][BITS] = movie.bits
    if movie.padding:
        meta["metadata"][PADDING] = movie.padding
    if movie.inverted:
        meta["metadata"][POLARITY] = "inverted, since the file says white is zero (MONOCHROME1)"
    if not movie.rgb:
        low, high = movie.window or _whole_range(masked_padding(movie.data, movie.padding))
        meta |= {"colormap": "gray", "contrast_limits": (low, high)}
    return movie.data, meta, "image"


def _whole_range(data: npt.NDArray[Any]) -> tuple[float, float]:
    if not np.ma.count(data):
        return 0.0, 1.0
    low, high = float(data.min()), float(data.max())
    return (low, high) if low < high else (low, low + 1)
