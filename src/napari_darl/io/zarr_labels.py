"""Labels inside of an OME-Zarr image: `labels/<name>`, listed in the attributes of `labels` (NGFF 0.4 and 0.5).

Labels of other programs and all other attributes stay as they are. A label is listed once it is complete, and each file
of attributes is replaced as a whole.
"""

import json
import re
import warnings
from pathlib import Path
from typing import Any

from napari_darl.errors import FileError, InputError
from napari_darl.io.atomic import replacing

_FOLDER = "labels"
_LONGEST = 255  # characters of a name that a folder can have


def label_path(image: Path, name: str) -> Path:
    """Return the path of a label of an OME-Zarr image.

    Raises
    ------
    InputError
        If the name has anything but letters, digits, - and _.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise InputError(f"A label can't be called '{name}'. Choose a name of letters, digits, - and _.")
    return image / _FOLDER / name


def image_of(path: Path) -> Path | None:
    """Return the OME-Zarr image that a path is a label of, whether or not it exists; None if there is none."""
    image = path.parent.parent
    return image if path.parent.name == _FOLDER and is_ome_image(image) else None


def is_ome_image(path: Path) -> bool:
    """Return whether a path is an OME-Zarr image: a group with levels."""
    return bool(_multiscales(path))


def level_count(image: Path) -> int:
    """Return the number of levels of an OME-Zarr image, which its labels have, too."""
    return len(_multiscales(image)[0]["datasets"])


def labels_of(image: Path) -> list[str]:
    """Return the names of the labels that an OME-Zarr image lists.

    Raises
    ------
    FileError
        If the attributes of its labels can't be read.
    """
    ome = _ome(_read(_attributes_file(image / _FOLDER)))
    found = None if ome is None else ome.get("labels", [])
    if not (isinstance(found, list) and all(_is_name(name) for name in found)):
        raise FileError(f"{image / _FOLDER} has damaged attributes. Mend them, or write the mask beside the image.")
    return found


def _is_name(name: Any) -> bool:
    """Return whether a folder inside of `labels` can have a name, which may have folders in it."""
    if not isinstance(name, str) or len(name) > _LONGEST or not name.isprintable():
        return False
    return not {"", ".", ".."}.intersection(name.split("/"))


def list_label(path: Path) -> None:
    """Add a label to those that its image lists, unless it is there.

    Raises
    ------
    FileError
        If the attributes of the labels can't be read or written.
    """
    image, folder = path.parent.parent, path.parent
    names = labels_of(image)
    if path.name in names:
        return
    file = _attributes_file(folder)
    document = _read(file)
    if file.name == ".zattrs":
        document["labels"] = [*names, path.name]
        if not (folder / ".zgroup").exists():
            _write(folder / ".zgroup", {"zarr_format": 2})
    else:
        attributes = document.get("attributes", {})
        ome = {"version": "0.5", **attributes.get("ome", {}), "labels": [*names, path.name]}
        document = {"zarr_format": 3, "node_type": "group", **document, "attributes": {**attributes, "ome": ome}}
    _write(file, document)
    _consolidate_again(image)


def _consolidate_again(image: Path) -> None:
    """Renew the copy of all metadata at the top of an image, if it has one: readers would miss the label there."""
    import zarr

    if (image / ".zmetadata").exists() or _read(image / "zarr.json").get("consolidated_metadata"):
        with warnings.catch_warnings(action="ignore"):  # that zarr 3 doesn't specify it
            zarr.consolidate_metadata(str(image))


def _multiscales(image: Path) -> list[dict[str, Any]]:
    try:
        found = (_ome(_read(_attributes_file(image))) or {}).get("multiscales")
    except FileError:
        return []
    first = found[0] if isinstance(found, list) and found else None
    levels = first.get("datasets") if isinstance(first, dict) else None
    return found if isinstance(levels, list) and levels else []  # type: ignore[return-value]


def _attributes_file(group: Path) -> Path:
    """Return the file that holds the attributes of a group, or will: of the format of the image around it."""
    version_2 = [(node / ".zgroup").is_file() for node in (group, group.parent)]
    version_3 = [(node / "zarr.json").is_file() for node in (group, group.parent)]
    older = version_2[0] or (version_2[1] and not any(version_3))
    return group / (".zattrs" if older else "zarr.json")


def _ome(document: dict[str, Any]) -> dict[str, Any] | None:
    """Return what OME-Zarr says in a file of attributes; None if they are damaged.

    NGFF 0.5 keeps it under `attributes/ome`, 0.4 at the top.
    """
    attributes = document.get("attributes", document)
    found = attributes.get("ome", attributes) if isinstance(attributes, dict) else None
    return found if isinstance(found, dict) else None


def _read(file: Path) -> dict[str, Any]:
    """Return the content of a JSON file; nothing if there is none."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise FileError(f"{file} can't be read as JSON. Copy or export the image again.") from error
    if not isinstance(document, dict):
        raise FileError(f"{file} holds no attributes. Copy or export the image again.")
    return document


def _write(file: Path, document: dict[str, Any]) -> None:
    with replacing(file) as opened:
        opened.write(json.dumps(document, indent=2).encode())
