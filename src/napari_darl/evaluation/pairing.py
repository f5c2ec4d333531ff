"""Which files of predictions and of experts' masks belong together."""

import unicodedata
from pathlib import Path

from napari_darl.errors import FileError
from napari_darl.io.identity import stem_of
from napari_darl.io.images import image_paths
from napari_darl.io.lazy import is_zarr

_PROBABILITY = "_probability"
_ENDINGS = ("_mask", _PROBABILITY)
_NAMED = 3  # files that a message names before it counts the rest


def pair_files(first: Path, second: Path, *, by_order: bool = False) -> list[tuple[Path, Path]]:
    """Pair the images of two folders. Two files are a pair whatever their names.

    Parameters
    ----------
    first, second : Path
        Two files, or two folders. A file whose stem ends in `_probability` is left out where its folder has a
        mask of that stem.
    by_order : bool
        Whether to pair by natural order. Otherwise, two files are a pair if their stems, without a `_mask` or
        `_probability` at the end, are the same.

    Returns
    -------
    list of tuple of Path
        In the natural order of the first folder.

    Raises
    ------
    FileError
        If a file or folder is missing, a folder is empty, only one of the two is a folder, two files of a folder
        have the same stem, or a file has no partner.
    """
    if not (is_folder(first) or is_folder(second)):
        for path in (first, second):
            if not path.exists():
                raise FileError(f"{path} doesn't exist. Check its name and its folder.")
        return [(first, second)]
    if not (is_folder(first) and is_folder(second)):
        raise FileError(f"{first} and {second} can't be paired. Pass two files or two folders that exist.")
    lefts, rights = named_files(first), named_files(second)
    if by_order:
        if len(lefts) != len(rights):
            raise FileError(
                f"{first} has {len(lefts)} images and {second} has {len(rights)}. "
                "To be paired by order, both need the same number."
            )
        return list(zip(lefts.values(), rights.values(), strict=True))
    for have, lack, folder in ((lefts, rights, second), (rights, lefts, first)):
        if alone := [path.name for stem, path in have.items() if stem not in lack]:
            more = f" and {len(alone) - _NAMED} more" if len(alone) > _NAMED else ""
            raise FileError(
                f"{folder} has no partner for {', '.join(alone[:_NAMED])}{more}. "
                "Give partners the same name, or pair the files by order."
            )
    return [(path, rights[stem]) for stem, path in lefts.items()]


def is_folder(path: Path) -> bool:
    """Return whether a path is a folder of images; zarr is an image."""
    return path.is_dir() and not is_zarr(path)


def frame_stem(path: Path) -> str:
    """Return the stem without a `_mask` or `_probability`, its accents composed, as systems store them differently."""
    stem = unicodedata.normalize("NFC", stem_of(path))
    for ending in _ENDINGS:
        if stem.endswith(ending):
            return stem.removesuffix(ending)
    return stem


def is_probability(path: Path) -> bool:
    """Return whether a file is a probability, by its name."""
    return stem_of(path).endswith(_PROBABILITY)


def named_files(folder: Path) -> dict[str, Path]:
    """Return the images of a folder by their stems, probabilities only where there is no mask."""
    paths = image_paths(folder, zarr=True)
    masks = {frame_stem(path) for path in paths if not is_probability(path)}
    files: dict[str, Path] = {}
    for path in paths:
        stem = frame_stem(path)
        if is_probability(path) and stem in masks:
            continue
        if stem in files:
            raise FileError(f"{folder} has two files for {stem}: {files[stem].name} and {path.name}. Keep one of them.")
        files[stem] = path
    return files


def probability_beside(path: Path) -> Path | None:
    """Return the probability of a mask, if it is a file beside it; of a probability, itself."""
    if is_probability(path):
        return path
    stem = stem_of(path).removesuffix("_mask")
    candidates = (
        path.with_name(f"{stem}{_PROBABILITY}{suffix}") for suffix in (".tif", ".tiff", ".ome.tif", ".ome.zarr")
    )
    return next((candidate for candidate in candidates if candidate.exists()), None)
