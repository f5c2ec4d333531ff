"""What is at the path of a result in zarr: ours or not, finished or not, of this or a former version."""

import warnings
from pathlib import Path
from typing import Any, Literal

from napari_darl.errors import DarlWarning
from napari_darl.inference.windows import Windows
from napari_darl.io.ome_zarr import FINEST

LOG = ".darl-done"
"""File in an unfinished result, with the numbers of its chunks that are written."""


def is_result(path: Path) -> bool:
    """Return whether `write_zarr` made what is at a path, in this or a former version."""
    description = _described(path)
    return description is not None and description[0] is not None


def find_state(
    path: Path, windows: Windows, attributes: dict[str, Any]
) -> Literal["unfinished", "finished", "something else"] | None:
    """Return what is at the path of a result with these attributes; None if nothing is."""
    if not path.exists():
        return None
    if _described(path) != (attributes, windows.shape, windows.chunk_shape) or is_former(path):
        return "something else"
    return "unfinished" if (path / LOG).exists() else "finished"


def is_former(path: Path) -> bool:
    """Return whether a result is a bare array, as they were written before OME-Zarr."""
    return is_result(path) and not (path / FINEST / "zarr.json").exists() and not (path / FINEST / ".zarray").exists()


def warn_of_former(path: Path) -> None:
    """Warn of a former version's result beside a path."""
    former = path.with_name(path.name.replace(".ome.zarr", ".zarr"))
    if former != path and is_former(former):
        message = f"{former} is an array that a former version wrote. It is kept; the new one is {path.name}."
        warnings.warn(message, DarlWarning, stacklevel=3)


def _described(path: Path) -> tuple[Any, ...] | None:
    """Return our attributes, the shape and the chunks of a result, or of a former version's; None for anything else."""
    import zarr

    try:
        node: Any = zarr.open(path, mode="r")
        array = node if isinstance(node, zarr.Array) else node[FINEST]
        return node.attrs.asdict().get("napari-darl"), array.shape, array.chunks
    except Exception:  # noqa: BLE001 - zarr raises nearly anything for what isn't a result
        return None
