"""The size of pixels that a TIFF file gives and its layer lacks, since napari's own reader leaves it out."""

from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from napari.layers import Layer

from napari_darl._napari.geometry import AT_DETECTOR, SPACING, geometry_from_json, stand_in
from napari_darl.errors import DarlError, InputError
from napari_darl.io import tiff_metadata
from napari_darl.io.tiff import TIFF_SUFFIXES, full_size_series, open_tiff

_FILE = "the file "


@dataclass(frozen=True)
class _Found:
    """What a file says: its frames' shape, its axes without colours, and a scale and a unit for each of them."""

    frame: tuple[int, int]
    axes: str
    scale: tuple[float, ...]
    units: tuple[str, ...]
    at_detector: bool


def with_file_scale(layer: Layer, image: Layer | None = None) -> Layer:
    """Return a layer whose scale, units and axis labels say how large pixels are, as far as that is known.

    Parameters
    ----------
    layer
        An image or a mask.
    image
        The image that a mask belongs to, of the same shape.

    Returns
    -------
    Layer
        `layer` itself if it was scaled or has units, or if no file says more. Else a stand-in of one pixel with the
        name of `layer`, and the scale in the TIFF file that it, or `image`, was opened from. Its metadata name the file
        under `SPACING`.
    """
    if not _plain(layer):
        return layer
    for source in (layer, image):
        path = None if source is None else source.source.path
        if source is None or not isinstance(path, str) or not path.lower().endswith(TIFF_SUFFIXES):
            continue
        shape = (source.data[0] if source.multiscale else source.data).shape[: source.ndim]
        found = _found(Path(path))
        if found is not None and _plain(source) and source.ndim == layer.ndim and shape[-2:] == found.frame:
            return _described(layer, found, Path(path).name)
    return layer


def file_of_scale(layer: Layer) -> str:
    """Return where the scale of a layer comes from, in a few words, if it is from a file; else ""."""
    origin = str(layer.metadata.get(SPACING, ""))
    return f"from {origin}" if origin.startswith(_FILE) else ""


def _plain(layer: Layer) -> bool:
    """Return whether a layer has the geometry that napari's own reader gives all of them."""
    axes = np.eye(layer.ndim)
    steps = [np.subtract(layer.data_to_world(axis), layer.data_to_world(0 * axis)) for axis in axes]
    return all(str(unit) == "pixel" for unit in layer.units) and np.array_equal(steps, axes)


def _described(layer: Layer, found: _Found, name: str) -> Layer:
    more = layer.ndim - 2
    if len(found.axes) == layer.ndim:
        labels = [
            name.lower() if name in "TZCYX" else own for name, own in zip(found.axes, layer.axis_labels, strict=True)
        ]
        values = {"scale": found.scale, "units": found.units, "axis_labels": labels}
    else:  # several files as a stack, or frames of a file
        values = {"scale": (*[1.0] * more, *found.scale[-2:]), "units": (*["pixel"] * more, *found.units[-2:])}
    try:
        described = stand_in(geometry_from_json(values, layer.ndim), layer.ndim)
    except InputError:  # a unit that napari doesn't know
        return layer
    described.name = layer.name
    described.metadata = {SPACING: AT_DETECTOR if found.at_detector else _FILE + name}
    return described


def _found(path: Path) -> _Found | None:
    """Return what a file says; None if it can't be read or doesn't say how large its pixels are."""
    with suppress(OSError):
        return _read(path, path.stat().st_mtime_ns)
    return None


@lru_cache(maxsize=32)
def _read(path: Path, changed: int) -> _Found | None:
    with suppress(DarlError), open_tiff(path) as tiff:
        size, unit = tiff_metadata.pixel_size(tiff)
        if size is None or unit is None:
            return None
        series = full_size_series(tiff)[0]
        axes = series.axes.replace("S", "")
        distance, time = tiff_metadata.slice_distance(tiff, unit), tiff_metadata.frame_time(tiff)
        known = {"Z": (distance, unit), "T": (time, "ms"), "Y": (size[0], unit), "X": (size[1], unit)}
        steps = [(step or 1.0, name if step else "pixel") for step, name in (known.get(a, (None, "")) for a in axes)]
        if axes.endswith("YX"):
            page = series.keyframe
            frame = (int(page.imagelength), int(page.imagewidth))
            scale, units = zip(*steps, strict=True)
            return _Found(frame, axes, scale, units, tiff_metadata.at_detector(tiff))
    return None
