"""A writer and a reader of vessel masks as TIFF files that keep the geometry of their layer.

Files that the command line wrote open likewise: masks as labels, probabilities and uncertainties as images, in place.
"""

import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from napari.settings import get_settings
from napari_builtins.io import imsave_extensions, napari_get_reader, napari_write_labels

from napari_darl._napari.geometry import (
    AT_DETECTOR,
    SIZE,
    SPACING,
    geometry_from_json,
    geometry_over,
    geometry_to_json,
    pixel_size,
)
from napari_darl._napari.segmenting.edits import EDITS
from napari_darl.errors import DarlWarning, FileError, InputError
from napari_darl.io import output
from napari_darl.io.arrays import ImageData
from napari_darl.io.identity import stem_of
from napari_darl.io.images import FileImage, read_image
from napari_darl.io.tiff import TIFF_SUFFIXES

LayerData = tuple[npt.NDArray[Any], dict[str, Any], str]

PLUGIN = "napari-darl"
"""Name of the plugin, and of the entry in a layer's metadata that says how the layer was made."""

MASK_SUFFIXES = (".darl.tif", ".darl.tiff")
"""Suffixes of files that are saved from napari."""

RESULT_SUFFIXES = (
    *("_mask.tif", "_probability.tif", "_uncertainty.tif", "_mask.ome.tif", "_probability.ome.tif"),
    *(f"_{kind}.ome.zarr{os.sep}" for kind in ("mask", "probability")),  # napari ends the names of folders so
    f".zarr{os.sep}labels{os.sep}*{os.sep}",
)
"""Ends of the paths of files that the command line writes. Those of other programs are left to napari's own reader."""


def write_mask(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    """Write a labels layer to a TIFF file, with its name, its geometry and how it was made.

    A name without a suffix gets `.darl.tif`. In files with this suffix, a mask of 0 and 1 is written as 0 and 255, as
    other programs expect it, and `read_mask` restores it. All other values are written as they are. In a plain `.tif`
    they get at least 32 bits, so that napari itself opens them as labels. napari's own writer writes other formats.

    Parameters
    ----------
    path : str
        The file; an existing file with exactly this name is replaced.
    data : array-like of bool or integers, shape (..., Y, X)
        The labels or, if `meta["multiscale"]` is true, a list of them from fine to coarse; the finest are written.
    meta : dict
        The layer's other properties. Of `metadata`, the strings and numbers in the entry "napari-darl" are written.

    Returns
    -------
    list of str
        The written file.

    Raises
    ------
    FileError
        If the file can't be written, or if a suffix was added and a file with that name exists.
    InputError
        If the layer is empty.
    """
    written = _write(path, data, meta)
    metadata = meta.get("metadata") or {}
    if written and EDITS in metadata:
        from napari_darl._napari.segmenting.autosave import forget_edits  # needs Qt, which a reader doesn't

        forget_edits(metadata)
    return written


def _write(path: str, data: Any, meta: dict[str, Any]) -> list[str]:
    if Path(path).suffix.lower() in set(imsave_extensions()) - set(TIFF_SUFFIXES):
        written = napari_write_labels(path, data, meta)
        return [written] if written else []
    target = path
    if not path.lower().endswith(TIFF_SUFFIXES):
        target = path + MASK_SUFFIXES[0]
        if os.path.exists(target):  # the dialog has asked about another name
            raise FileError(f"{target} already exists. Choose exactly this name to replace it, or another one.")
    labels = np.asarray(data[0] if meta.get("multiscale") else data)
    own_name = target.lower().endswith(MASK_SUFFIXES)
    as_mask = own_name and labels.size > 0 and labels.min() >= 0 and labels.max() <= 1
    geometry = geometry_from_json(meta, labels.ndim)
    (output.write_mask if as_mask else output.write_frames)(
        target,
        ImageData(
            labels if as_mask else _widened(labels),
            pixel_size=pixel_size(geometry) or (meta.get("metadata") or {}).get(SIZE),
            unit="µm",
            at_detector=(meta.get("metadata") or {}).get(SPACING) == AT_DETECTOR,
        ),
        provenance=provenance_of(meta.get("metadata") or {}),
        notes={"name": meta.get("name"), "geometry": geometry_to_json(geometry)},
        overwrite=True,
    )
    if own_name:
        prefer_own_reader()
    return [target]


def read_mask(path: str | list[str]) -> Callable[[Any], list[Any]]:
    """Offer to read a file that is named as `write_mask` or the command line name them.

    Parameters
    ----------
    path : str or list of str
        A TIFF file. Several files, to be stacked, are read by napari's own reader, and so are files with the names of
        results that another program wrote.

    Returns
    -------
    callable
        Maps the path to one labels layer, or to an image layer of a probability or an uncertainty. It raises FileError
        if the file is missing or isn't a readable TIFF, and InputError if a `.darl.tif` holds an image. It warns if the
        file doesn't contain the geometry of the layer.
    """
    if isinstance(path, str) and (path.lower().endswith(MASK_SUFFIXES) or _is_ours(path)):
        return _read
    return napari_get_reader(path)  # type: ignore[no-any-return]


def _is_ours(path: str) -> bool:
    """Return whether a file says how it was made, or can't be read."""
    try:
        return output.read_description(path) is not None
    except FileError:  # napari's own reader couldn't read it either, but wouldn't say why
        return True


def _read(path: str) -> list[LayerData]:
    image = read_image(path)
    result = not path.lower().endswith(MASK_SUFFIXES)
    if result and image.data.dtype.kind == "f":
        look = {"name": stem_of(Path(path)), "colormap": "magma", "contrast_limits": (0, 1)}
        described = output.read_description(path) or {}
        return [
            (
                image.data,
                look | noted_geometry(path, described.get("notes", {}), image) | _over(described, image),
                "image",
            )
        ]
    if image.rgb or image.data.dtype.kind not in "iu":
        raise InputError(f"{path} holds an image, not labels. Open it with napari's own reader.")
    # Labels other than masks have 32 bits or more, see `_widened`.
    labels = (image.data > 0).astype(np.uint8) if image.data.dtype == np.uint8 else image.data
    description = output.read_description(path)
    if description is None:
        message = f"{path} doesn't say where its labels lie. Choose the file type *.darl.tif when you save labels."
        warnings.warn(message, DarlWarning, stacklevel=2)
        description = {}
    notes = description.get("notes", {})
    provenance = description.get("provenance")
    meta = {
        "name": str(notes.get("name") or (stem_of(Path(path)) if result else Path(path).name.split(".darl.")[0])),
        "metadata": ({PLUGIN: provenance} if provenance else {})
        | ({SPACING: AT_DETECTOR} if image.at_detector else {}),
    }
    prefer_own_reader()
    over = _over(description, image) if result else {}
    return [(labels, meta | noted_geometry(path, notes, image) | over, "labels")]


def _over(description: Mapping[str, Any], image: FileImage) -> dict[str, Any]:
    """Return the geometry of the open image that a result was made of; nothing if there is none."""
    return geometry_over(description.get("provenance", {}).get("source"), image.data.shape)


def noted_geometry(path: str, notes: Mapping[str, Any], image: FileImage) -> dict[str, Any]:
    """Return the geometry of a mask's layer by the notes in its file, or by its pixel size; warn of damaged notes."""
    values = notes.get("geometry", {})
    leading = image.data.ndim - 2
    if not values and image.pixel_size and image.unit:
        values = {"scale": image.pixel_size, "units": ["pixel"] * leading + [image.unit] * 2}
    try:
        return geometry_from_json(values, image.data.ndim)
    except InputError as error:
        warnings.warn(f"{path}: {error}", DarlWarning, stacklevel=2)
        return {}


def _widened(labels: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Convert labels to a dtype that napari's own reader takes for labels instead of intensities."""
    if labels.dtype.itemsize >= 4:
        return labels
    return labels.astype(np.int32 if labels.dtype.kind == "i" else np.uint32)


def provenance_of(metadata: Mapping[str, Any]) -> dict[str, str | float | int]:
    """Return what the metadata of a layer say about how it was made."""
    entry = metadata.get(PLUGIN)
    items = entry.items() if isinstance(entry, Mapping) else ()
    return {str(key): value for key, value in items if isinstance(value, str | float | int)}


def prefer_own_reader() -> None:
    """Let napari open our files without asking; its own reader accepts all TIFF files, too.

    This adds entries to Preferences > Plugins when the plugin is first used. Entries of the user stay.
    """
    settings = get_settings().plugins
    own = {f"*{suffix}": PLUGIN for suffix in (*MASK_SUFFIXES, *RESULT_SUFFIXES)}
    if not own.keys() <= settings.extension2reader.keys():
        # In front: of equally specific patterns, such as a user's "*.tif", napari takes the first.
        settings.extension2reader = own | settings.extension2reader
