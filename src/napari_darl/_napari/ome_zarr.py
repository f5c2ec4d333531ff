"""A reader of OME-Zarr in place: results of the command line, and images with their labels."""

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from napari_builtins.io import napari_get_reader

from napari_darl._napari.geometry import AT_DETECTOR, SPACING, geometry_from_json, geometry_over
from napari_darl._napari.mask_files import PLUGIN, prefer_own_reader
from napari_darl.errors import FileError
from napari_darl.inference.zarr_results import is_result
from napari_darl.io.identity import stem_of
from napari_darl.io.lazy import ZarrPixels, damaged, open_lazily
from napari_darl.io.output import layer_geometry
from napari_darl.io.zarr_labels import is_ome_image, labels_of

LayerData = tuple[Any, dict[str, Any], str]


def read_ome_zarr(path: str | list[str]) -> Callable[[Any], list[Any]] | None:
    """Offer to read a result, or an OME-Zarr image with all labels that it lists; other zarr is left to napari."""
    if isinstance(path, str) and is_result(Path(path)):
        return _read_result
    if isinstance(path, str) and is_ome_image(Path(path)):
        return _read_image
    return napari_get_reader(path)  # type: ignore[no-any-return]


def _read_result(path: str) -> list[LayerData]:
    data, meta = _levels(Path(path))
    prefer_own_reader()
    level = data[0] if meta["multiscale"] else data
    meta |= geometry_over(meta["metadata"][PLUGIN].get("source"), level.shape)
    if level.dtype.kind == "f":
        return [(data, meta | {"colormap": "magma", "contrast_limits": (0, 1)}, "image")]
    return [(data, meta, "labels")]


def _read_image(path: str) -> list[LayerData]:
    image = Path(path)
    labels = [_levels(image / "labels" / name) for name in labels_of(image)]
    return [(*_levels(image), "image"), *((data, meta, "labels") for data, meta in labels)]


def _levels(folder: Path) -> tuple[Any, dict[str, Any]]:
    """Return the levels of an image or a label, and what its layer is made with."""
    from napari_darl.io.zarr_store import member, open_node

    image = open_lazily(folder)
    try:
        group = open_node(folder)
        attributes: dict[str, Any] = dict(group.attrs)
        paths = [level["path"] for level in attributes.get("ome", attributes)["multiscales"][0]["datasets"]]
        levels = [ZarrPixels(folder, member(group, path)) for path in paths]
    except FileError:
        raise
    except Exception as error:  # stores raise nearly anything on damaged metadata
        raise damaged(folder, error) from error
    for finer, coarser in pairwise(levels):
        if coarser.ndim != finer.ndim or not 0 < coarser.size < finer.size:
            shapes = f"a level of shape {coarser.shape} after one of shape {finer.shape}"
            raise FileError(f"{folder} has {shapes}. Each level must have as many axes, and fewer pixels, but some.")
    made = {PLUGIN: attributes[PLUGIN]} if PLUGIN in attributes else {}
    meta = {
        "name": stem_of(folder),
        "metadata": made | ({SPACING: AT_DETECTOR} if image.at_detector else {}),
        "multiscale": len(levels) > 1,
        **geometry_from_json(layer_geometry(image), len(image.leading_shape) + 2),
    }
    return (levels if len(levels) > 1 else levels[0]), meta
