"""DICOM movies as image layers: in millimetres and milliseconds, and without patient data."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_darl.data.dicom import read_dicom

LayerData = tuple[Any, dict[str, Any], str]


def read_dicom_movie(path: str | list[str]) -> Callable[[str], list[LayerData]] | None:
    """Offer to read a DICOM file.

    Parameters
    ----------
    path : str or list of str
        A file; several, to be stacked, are left to other readers.

    Returns
    -------
    callable or None
        Takes the path and gives one image layer; it raises FileError if the file can't be read.
    """
    return _read if isinstance(path, str) else None


def _read(path: str) -> list[LayerData]:
    image = read_dicom(Path(path))
    movie = image.data.ndim - image.rgb == 3
    scale, units = list(image.pixel_size or (1.0, 1.0)), ["mm" if image.pixel_size else "pixel"] * 2
    if movie:
        scale.insert(0, image.frame_time or 1.0)
        units.insert(0, "ms" if image.frame_time else "pixel")
    meta: dict[str, Any] = {
        "name": Path(path).stem,
        "rgb": image.rgb,
        "scale": scale,
        "units": units,
        "axis_labels": ("t", "y", "x") if movie else ("y", "x"),
    }
    if image.window and not image.rgb:
        meta["contrast_limits"] = image.window
    return [(image.data, meta, "image")]
