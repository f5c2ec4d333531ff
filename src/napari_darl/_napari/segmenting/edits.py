"""Edits of masks on disk, so that a crash doesn't lose them: a small file for each mask, found by its image's content.

A file holds the edited frames alone: what the user made of each, and what the model had given. It is replaced as a
whole, and removed when the mask is saved or the user discards it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import numpy.typing as npt
from pydantic import Field

from napari_darl._napari.layers import Index
from napari_darl.configuration import Config
from napari_darl.errors import FileError
from napari_darl.frames.regions import digest
from napari_darl.inference.cleaning import Cleaning
from napari_darl.inference.options import SegmentOptions
from napari_darl.io.atomic import replacing
from napari_darl.io.npy import read_npz

EDITS = "napari-darl edits"
"""Entry in the metadata of a mask layer: the name of its edits in the store."""

_MOST = 30
"""Number of files that are kept, the newest ones."""

Digest = Callable[[Index], str]
"""Maps the index of a frame to the digest of the image's pixels there. It is slow, so it is called in a thread."""


class Frame(NamedTuple):
    """An edited frame.

    Attributes
    ----------
    labels : numpy.ndarray of uint8, shape (Y, X)
        The mask as the user made it.
    own : numpy.ndarray of bool, shape (Y, X)
        The mask as the model gave it.
    digest : str
        SHA-256 of the image's pixels.
    finished : bool
        Whether the user ticked the frame as finished.
    """

    labels: npt.NDArray[np.uint8]
    own: npt.NDArray[np.bool_]
    digest: str
    finished: bool


class About(Config):
    """What is known of an edited mask beside its frames.

    Attributes
    ----------
    image
        Name of the image layer.
    saved
        When the file was written: local time, as "2026-11-26 08:10".
    shape
        Shape of the image as `frames_shape` returns it.
    model, segment, cleaning, region
        How the image was segmented; of the region only its name.
    provenance
        The metadata of the mask.
    """

    image: str
    saved: str
    shape: tuple[Annotated[int, Field(ge=1)], ...] = Field(min_length=2)
    model: str
    segment: SegmentOptions
    cleaning: Cleaning
    region: str
    provenance: dict[str, str | float]


@dataclass(frozen=True)
class Edits:
    """The edited frames of a mask, by their index on the leading axes of the image."""

    about: About
    frames: Mapping[Index, Frame]


class EditStore:
    """A folder of edits.

    Parameters
    ----------
    folder : Path
        The folder; created when the first edits are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, name: str) -> Path:
        """Return the file of the edits called `name`."""
        return self._folder / f"{name}.npz"

    def write(self, name: str, edits: Edits) -> None:
        """Write edits, in place of those of that name; of more than 30 files, the oldest are removed.

        Raises
        ------
        FileError
            If the file can't be written. A former file of that name stays as it was.
        """
        arrays: dict[str, npt.NDArray[Any]] = {"about": _encoded(edits.about.model_dump(mode="json"))}
        for index, frame in edits.frames.items():
            key = "_".join(map(str, index))
            arrays[f"frame_{key}"] = _encoded({"digest": frame.digest, "finished": frame.finished})
            arrays[f"labels_{key}"], arrays[f"own_{key}"] = frame.labels, np.packbits(frame.own)
        with replacing(self.path(name)) as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        for old in self._names()[_MOST:]:
            self.forget(old)

    def read(self, name: str) -> Edits:
        """Read edits.

        Raises
        ------
        FileError
            If the file is missing or damaged.
        """
        with _damage_told(self.path(name)):
            arrays = read_npz(self.path(name))
            about = _about(arrays)
            return Edits(about, {index: _frame(arrays, index, about.shape) for index in _indices(arrays, about.shape)})

    def forget(self, name: str) -> None:
        """Remove the edits of that name, if there are any."""
        self.path(name).unlink(missing_ok=True)

    def find(self, shape: tuple[int, ...], digest_of: Digest, without: frozenset[str] = frozenset()) -> str | None:
        """Return the name of the newest edits of an image, or None. Damaged files are passed over.

        Parameters
        ----------
        shape : tuple of int
            Shape of the image as `frames_shape` returns it.
        digest_of : callable
            Maps the index of a frame to the digest of its pixels. Images are compared by the edited frames alone.
        without : frozenset of str
            Names that are passed over, since a mask in this window has them.
        """
        for name in self._names():
            if name in without:
                continue
            try:
                with _damage_told(self.path(name)):
                    arrays = read_npz(self.path(name), lambda key: not key.startswith(("labels", "own")))
                    known = _about(arrays).shape
                    saved = {index: _noted(arrays, index)["digest"] for index in _indices(arrays, known)}
            except FileError:
                continue
            if known == shape and all(digest_of(index) == noted for index, noted in saved.items()):
                return name
        return None

    def _names(self) -> list[str]:
        """Return the names of all edits, the newest first."""
        try:
            files = sorted(self._folder.glob("*.npz"), key=lambda path: path.stat().st_mtime, reverse=True)
        except OSError:  # unreadable, or removed by another process meanwhile
            return []
        return [path.stem for path in files]


def frame_digest(pixels: Any) -> Digest:
    """Return a function that computes the digest of each frame of an image, given as `layers.pixels` returns it."""
    return lambda index: digest(np.asarray(pixels[index]))


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Turn whatever is wrong with a file of edits into a FileError."""
    try:
        yield
    except (FileError, ValueError, LookupError, TypeError, OverflowError, RecursionError) as error:
        raise FileError(f"The edits in {path} can't be read, because the file is missing or damaged.") from error


def _indices(arrays: Mapping[str, Any], shape: tuple[int, ...]) -> list[Index]:
    """Return the indices of the edited frames, of which there is at least one."""
    found = [
        tuple(int(part) for part in key.removeprefix("frame_").split("_") if part)
        for key in arrays
        if key.startswith("frame_")
    ]
    for index in found:
        if not all(0 <= part < length for part, length in zip(index, shape[:-2], strict=True)):
            raise ValueError(f"frame {index} of an image of shape {shape}")
    if not found:
        raise ValueError("no frame")
    return found


def _about(arrays: Mapping[str, npt.NDArray[Any]]) -> About:
    return About(**json.loads(arrays["about"].tobytes()))


def _frame(arrays: Mapping[str, npt.NDArray[Any]], index: Index, shape: tuple[int, ...]) -> Frame:
    key, size = "_".join(map(str, index)), shape[-2:]
    labels = arrays[f"labels_{key}"]
    if labels.shape != size or labels.dtype != np.uint8:
        raise ValueError(f"labels of {labels.dtype} and shape {labels.shape}")
    own = np.unpackbits(arrays[f"own_{key}"], count=labels.size).reshape(size).astype(np.bool_)
    noted = _noted(arrays, index)
    return Frame(labels, own, str(noted["digest"]), bool(noted["finished"]))


def _encoded(values: Mapping[str, Any]) -> npt.NDArray[np.uint8]:
    return np.frombuffer(json.dumps(values).encode(), np.uint8)


def _noted(arrays: Mapping[str, npt.NDArray[Any]], index: Index) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(arrays[f"frame_{'_'.join(map(str, index))}"].tobytes())
    return values
