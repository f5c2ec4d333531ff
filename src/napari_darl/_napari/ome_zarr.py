"""A reader of the OME-Zarr that the command line writes: masks as labels, probabilities as images, in place."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari_builtins.io import napari_get_reader

from napari_darl._napari.geometry import AT_DETECTOR, SPACING, geometry_from_json
from napari_darl._napari.mask_files import PLUGIN, prefer_own_reader
from napari_darl.inference.zarr_results import is_result
from napari_darl.io.identity import stem_of
from napari_darl.io.lazy import open_lazily
from napari_darl.io.output import layer_geometry


def read_ome_zarr(path: str | list[str]) -> Callable[[Any], list[Any]] | None:
    """Offer to read a result; those of other programs are left to napari's own reader."""
    if isinstance(path, str) and is_result(Path(path)):
        return _read
    return napari_get_reader(path)  # type: ignore[no-any-return]


def _read(path: str) -> list[tuple[Any, dict[str, Any], str]]:
    import zarr

    from napari_darl.io.zarr_store import BoundedStore

    folder = Path(path)
    image = open_lazily(folder)
    group = zarr.open_group(BoundedStore(folder, read_only=True), mode="r")
    attributes: dict[str, Any] = dict(group.attrs)
    levels = [group[level["path"]] for level in attributes.get("ome", attributes)["multiscales"][0]["datasets"]]
    meta = {
        "name": stem_of(folder),
        "metadata": {PLUGIN: attributes["napari-darl"]} | ({SPACING: AT_DETECTOR} if image.at_detector else {}),
        "multiscale": len(levels) > 1,
        **geometry_from_json(layer_geometry(image), len(image.data.shape)),
    }
    prefer_own_reader()
    data = levels if len(levels) > 1 else levels[0]
    if image.data.dtype.kind == "f":
        return [(data, meta | {"colormap": "magma", "contrast_limits": (0, 1)}, "image")]
    return [(data, meta, "labels")]
