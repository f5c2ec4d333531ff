"""Experts' masks as polygons in a COCO file, as ARCADE has them."""

import json
import math
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.draw import polygon

from napari_darl.errors import FileError
from napari_darl.evaluation.pairing import frame_stem, is_folder, named_files
from napari_darl.io.size_limits import MAX_CHUNK

_FEWEST = 6  # numbers of a polygon: three corners


@dataclass(frozen=True)
class CocoMask:
    """The mask of an image in a COCO file.

    Attributes
    ----------
    path : Path
        The COCO file.
    name : str
        File name of the image.
    shape : tuple of int
        Height and width.
    polygons : tuple of ndarray
        (N, 2) corners (x, y) of each, in pixels, the corner of the first pixel at 0.
    """

    path: Path
    name: str
    shape: tuple[int, int]
    polygons: tuple[npt.NDArray[np.float64], ...]

    def drawn(self) -> npt.NDArray[np.bool_]:
        """Draw the mask (Y, X): pixels whose centres lie in one of the polygons."""
        mask = np.zeros(self.shape, np.bool_)
        for corners in self.polygons:
            rows, columns = polygon(corners[:, 1] - 0.5, corners[:, 0] - 0.5, self.shape)
            mask[rows, columns] = True
        return mask

    def __str__(self) -> str:
        return f"{self.name} in {self.path}"


def coco_pairs(predictions: Path, truth: Path) -> list[tuple[Path, CocoMask]]:
    """Pair predictions with the images of a COCO file: those whose stems are the same, without a `_mask`.

    Raises
    ------
    FileError
        If a prediction or the file is missing or unreadable, an image is without a prediction or a prediction without
        an image, or the file holds anything but polygons.
    """
    masks = read_coco(truth)
    if not is_folder(predictions):
        if not predictions.exists():
            raise FileError(f"{predictions} doesn't exist. Check its name and its folder.")
        files = {frame_stem(predictions): predictions}
        masks = {stem: mask for stem, mask in masks.items() if stem in files}
    else:
        files = named_files(predictions)
    for have, lack, place in ((files, masks, truth), (masks, files, predictions)):
        if alone := [stem for stem in have if stem not in lack]:
            more = f" and {len(alone) - 1} more" if len(alone) > 1 else ""
            raise FileError(f"{place} has no partner for {alone[0]}{more}. Give partners the same name.")
    return [(path, masks[stem]) for stem, path in files.items()]


def read_coco(path: Path) -> dict[str, CocoMask]:
    """Read the masks of a COCO file by the stems of their images; an image without polygons has an empty one.

    Raises
    ------
    FileError
        If it can't be read, isn't a COCO file, holds masks as run lengths, or two images of one name.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"{path} can't be read ({error}). Check its name and its permissions.") from error
    try:
        content = json.loads(text)
        polygons: dict[Any, list[npt.NDArray[np.float64]]] = defaultdict(list)
        for annotation in content["annotations"]:
            if isinstance(annotation["segmentation"], dict):
                raise FileError(f"{path} holds masks as run lengths (RLE). Convert them to polygons, or to images.")
            polygons[annotation["image_id"]] += map(_corners, annotation["segmentation"])
        images = [(one["id"], str(one["file_name"]), _shape(one)) for one in content["images"]]
        stems = [frame_stem(Path(Path(name).name)) for _, name, _ in images]
        lost = polygons.keys() - {number for number, _, _ in images}
    except FileError:
        raise
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise FileError(f"{path} isn't a COCO file with images, annotations and polygons. Export it again.") from error
    if lost:
        raise FileError(f"{path} has annotations of an image {min(map(repr, lost))[:80]} that it doesn't list.")
    masks: dict[str, CocoMask] = {}
    for stem, (number, name, shape) in zip(stems, images, strict=True):
        if stem in masks:
            raise FileError(f"{path} has two images for {stem[:80]!r}. Keep one of them.")
        masks[stem] = CocoMask(path, name, shape, tuple(polygons[number]))
    return masks


def _corners(numbers: Any) -> npt.NDArray[np.float64]:
    corners = np.array(numbers, np.float64)
    if corners.ndim != 1 or corners.size < _FEWEST or corners.size % 2 or not np.isfinite(corners).all():
        raise ValueError("a polygon needs three corners or more")
    return corners.reshape(-1, 2)


def _shape(image: Any) -> tuple[int, int]:
    height, width = int(image["height"]), int(image["width"])
    if min(height, width) < 1 or math.prod((height, width)) > MAX_CHUNK:
        raise ValueError("an image of an impossible size")
    return height, width
