"""Series of DICOM files: slices or frames that lie in files of their own, in one folder or listed by a DICOMDIR."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from napari_darl.errors import FileError
from napari_darl.io.bounded import BoundedFile
from napari_darl.io.dicom import DICOM_SUFFIXES, LONGEST, DicomMovie, in_silence, is_dicom, read_dicom
from napari_darl.io.dicom_header import modality_of

if TYPE_CHECKING:
    from pydicom import Dataset

# The unique identifier of a series is compared, and goes no further.
_ELEMENTS = (
    *("SeriesInstanceUID", "SeriesNumber", "Modality", "InstanceNumber", "NumberOfFrames", "Rows", "Columns"),
    *("ImagePositionPatient", "ImageOrientationPatient"),
)
_APART = 1e-3  # mm; slices that are nearer lie at the same place


@dataclass(frozen=True)
class DicomSeries:
    """Files of one series, in order.

    Attributes
    ----------
    paths : tuple of Path
        The files: slices in the order of their places, or frames in the order of their numbers.
    name : str
        What a message may call it: "series 3 (CT)".
    shape : tuple of int
        Height and width of a frame, in pixels.
    slice_distance : float, optional
        Distance of slices, in mm; None for frames at one place, or at uneven distances.
    is_volume : bool
        Whether the files are slices, and not frames at one place.
    """

    paths: tuple[Path, ...]
    name: str
    shape: tuple[int, int]
    slice_distance: float | None = None
    is_volume: bool = False

    @property
    def description(self) -> str:
        """The series in a few words, for messages."""
        files = f"{len(self.paths)} file{'' if len(self.paths) == 1 else 's'}"
        return f"{self.name}: {files} of {self.shape[0]} x {self.shape[1]}"


class _File(NamedTuple):
    """What decides where a file belongs."""

    series: str
    name: str
    shape: tuple[int, int]
    frames: int
    number: int
    place: tuple[float, ...] | None
    normal: tuple[float, ...] | None
    path: Path


def find_series(paths: Iterable[Path]) -> list[DicomSeries]:
    """Group DICOM files by series.

    Parameters
    ----------
    paths : iterable of Path
        Files; those that are DICOM neither by content nor by name are left out.

    Returns
    -------
    list of DicomSeries
        In the order of their first files. A file of several frames is a series by itself, as is one that names none.
    """
    found = [file for path in paths if (file := _looked_at(path)) is not None]
    groups: dict[object, list[_File]] = {}
    for file in found:
        alone = file.frames > 1 or not file.series
        groups.setdefault(file.path if alone else (file.series, file.shape), []).append(file)
    return [_ordered(group) for group in groups.values()]


def listed_files(directory: Path) -> list[Path]:
    """Return the images that a DICOMDIR lists, in its order.

    Raises
    ------
    FileError
        If it can't be read, or lists no image that exists beside it.
    """
    from pydicom import dcmread

    paths: list[Path] = []
    try:
        with in_silence():
            index = dcmread(directory, specific_tags=["DirectoryRecordSequence"], force=True)
            for record in index.get("DirectoryRecordSequence") or ():
                name = record.get("ReferencedFileID")
                parts = [name] if isinstance(name, str) else list(name or ())
                if parts and all(part and part not in (".", "..") and not set(part) & set("/\\:") for part in parts):
                    paths.append(directory.parent.joinpath(*parts))
    except Exception:  # noqa: BLE001 (damaged data raise nearly anything)
        paths = []
    images = [path for path in paths if path.is_file() and is_dicom(path)]
    if not images:
        raise FileError(f"{directory} lists no image that lies beside it. Copy the whole medium, or pass the images.")
    return images


def read_dicom_series(series: DicomSeries) -> DicomMovie:
    """Read the files of a series as one movie or volume.

    Returns
    -------
    DicomMovie
        (N, Y, X) or, of colours, (N, Y, X, 3); a single file as it is.

    Raises
    ------
    FileError
        As `read_dicom`, or if the files differ in colours or in what their values mean.
    """
    movies = [read_dicom(path) for path in series.paths]
    first = movies[0]
    if len(movies) == 1:
        return first
    if len({(movie.rgb, movie.padding, movie.data.shape) for movie in movies}) > 1:
        raise FileError(f"{series.paths[0].parent}: the files of {series.name} aren't alike. Pass them one by one.")
    bits = {movie.bits for movie in movies}
    return replace(
        first,
        data=np.stack([movie.data for movie in movies]),
        bits=bits.pop() if len(bits) == 1 else None,
        is_volume=series.is_volume,
        slice_distance=series.slice_distance,
    )


def series_note(series: Sequence[DicomSeries]) -> str:
    """Return the descriptions of series in one line, at most six of them."""
    more = f"; and {len(series) - 6} more" if len(series) > 6 else ""
    return "; ".join(one.description for one in series[:6]) + more


def _looked_at(path: Path) -> _File | None:
    from pydicom import dcmread

    if not (is_dicom(path) or path.suffix.lower() in DICOM_SUFFIXES):
        return None
    try:
        with in_silence(), BoundedFile(path) as file:
            header = dcmread(
                file, defer_size=LONGEST, stop_before_pixels=True, force=True, specific_tags=list(_ELEMENTS)
            )
            number = _integer(header, "SeriesNumber")
            name = f"series {number}" if number is not None else "a series without a number"
            modality = modality_of(header)
            return _File(
                str(header.get("SeriesInstanceUID") or ""),
                f"{name} ({modality})" if modality else name,
                (int(header.Rows), int(header.Columns)),
                _integer(header, "NumberOfFrames") or 1,
                _integer(header, "InstanceNumber") or 0,
                _vector(header, "ImagePositionPatient", 3),
                _normal(_vector(header, "ImageOrientationPatient", 6)),
                path,
            )
    except Exception:  # noqa: BLE001 (damaged data raise nearly anything; reading it as an image says what is wrong)
        return _File("", "a damaged file", (0, 0), 1, 0, None, None, path)


def _ordered(files: Sequence[_File]) -> DicomSeries:
    """Order the files of a series: slices by place, if all lie apart, and else by number and place."""
    first = files[0]
    places = _along_normal(files)
    if places is None:
        ordered = sorted(files, key=lambda file: file.number)
        return DicomSeries(tuple(file.path for file in ordered), first.name, first.shape)
    order = np.argsort(places)
    steps = np.diff(places[order])
    even = steps.max() - steps.min() < 0.01 * steps.mean()
    paths = tuple(files[at].path for at in order)
    return DicomSeries(paths, first.name, first.shape, float(steps.mean()) if even else None, is_volume=True)


def _along_normal(files: Sequence[_File]) -> npt.NDArray[np.float64] | None:
    """Return where slices lie along their common normal; None unless all lie apart."""
    if len(files) < 2 or any(file.place is None or file.normal is None for file in files):
        return None
    normals = np.array([file.normal for file in files])
    if not np.allclose(normals, normals[0], atol=1e-3):
        return None
    places: npt.NDArray[np.float64] = np.array([file.place for file in files]) @ normals[0]
    return places if np.diff(np.sort(places)).min() > _APART else None


def _normal(orientation: tuple[float, ...] | None) -> tuple[float, ...] | None:
    return None if orientation is None else tuple(np.cross(orientation[:3], orientation[3:]).tolist())


def _vector(header: "Dataset", keyword: str, length: int) -> tuple[float, ...] | None:
    values: Any = header.get(keyword)
    numbers = tuple(float(value) for value in values) if values is not None else ()
    return numbers if len(numbers) == length and np.isfinite(numbers).all() else None


def _integer(header: "Dataset", keyword: str) -> int | None:
    value = header.get(keyword)
    return int(value) if value not in (None, "") else None
