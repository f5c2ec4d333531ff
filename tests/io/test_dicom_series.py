"""Series of DICOM files: grouped, ordered by place or number, read as one, and told apart."""

from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import DEEP, MOVIE, PATIENT, dataset, saved

from napari_darl.batch.jobs import find_images
from napari_darl.errors import FileError, InputError
from napari_darl.frames.stacks import read_series, read_stack
from napari_darl.io.dicom import is_dicom
from napari_darl.io.dicom_series import find_series, listed_files, read_dicom_series
from napari_darl.io.images import read_image, read_images

ORIENTATION = ["1", "0", "0", "0", "0", "-1"]  # coronal: the normal is +y
ORDER = (2, 0, 4, 1, 3)


def write(folder: Path, series: str = "1.2.3", number: int = 7, **elements: Any) -> list[Path]:
    """Write DEEP as single frames, in files whose names are in another order than their numbers."""
    folder.mkdir(exist_ok=True)
    paths = []
    for name, at in enumerate(ORDER):
        made = dataset(DEEP[at], 12, "XA", SeriesInstanceUID=series, SeriesNumber=number, InstanceNumber=at + 1)
        for key, value in elements.items():
            setattr(made, key, value(at) if callable(value) else value)
        paths.append(saved(folder / f"IM{number}{name:04}", made))
    return paths


def place(at: int) -> list[str]:
    return ["10", str(-2.5 * at), "3"]


def test_slices_are_ordered_by_place(tmp_path: Path) -> None:
    write(tmp_path, ImagePositionPatient=place, ImageOrientationPatient=ORIENTATION, PixelSpacing=["0.5", "0.4"])
    [image] = read_images(tmp_path)
    np.testing.assert_array_equal(image.data, DEEP[::-1])
    assert (image.axes, image.slice_distance, image.pixel_size, image.unit, image.bits) == (
        "ZYX",
        2.5,
        (0.5, 0.4),
        "mm",
        12,
    )


@pytest.mark.parametrize("elements", [{}, {"ImagePositionPatient": ["1", "2", "3"]}])
def test_frames_at_one_place_are_ordered_by_number(tmp_path: Path, elements: dict[str, Any]) -> None:
    write(tmp_path, **elements, ImageOrientationPatient=ORIENTATION)
    series = read_series(tmp_path)
    np.testing.assert_array_equal(series.data, DEEP)
    assert (series.axes, series.slice_distance) == ("TYX", None)
    [one] = read_stack(tmp_path).series
    np.testing.assert_array_equal(np.stack(one), DEEP)


def test_uneven_slices_have_no_distance(tmp_path: Path) -> None:
    paths = write(tmp_path, ImagePositionPatient=lambda at: ["0", str(at**2), "0"], ImageOrientationPatient=ORIENTATION)
    [series] = find_series(paths)
    assert (series.is_volume, series.slice_distance) == (True, None)
    np.testing.assert_array_equal(read_dicom_series(series).data, DEEP)


def test_several_series_in_a_folder_are_listed(tmp_path: Path) -> None:
    write(tmp_path, "1.2.3", 7)
    write(tmp_path, "1.2.4", 8)
    assert [len(one) for one in read_stack(tmp_path).series] == [5, 5]  # training takes them all
    with pytest.raises(InputError, match=r"series 7 \(XA\): 5 files of 40 x 50; series 8 \(XA\)") as error:
        read_series(tmp_path)
    assert PATIENT not in str(error.value)
    assert find_images([tmp_path], series=True) == [tmp_path]


def test_movies_in_a_folder_stay_apart(tmp_path: Path) -> None:
    for name in ("a", "b"):
        saved(tmp_path / name, dataset(MOVIE, SeriesInstanceUID="1.2.3"))
    assert [image.data.shape for image in read_images(tmp_path)] == [MOVIE.shape] * 2
    assert find_images([tmp_path], series=True) == [tmp_path / "a", tmp_path / "b"]


def directory(folder: Path, files: list[Path]) -> Path:
    """Write a DICOMDIR that lists files."""
    made = dataset(MOVIE[0])
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.1.3.10"
    del made.PixelData
    records = []
    for file in files:
        record = pydicom.Dataset()
        record.DirectoryRecordType = "IMAGE"
        record.ReferencedFileID = list(file.relative_to(folder).parts)
        records.append(record)
    made.DirectoryRecordSequence = records
    return saved(folder / "DICOMDIR", made)


def test_a_dicomdir_stands_for_what_it_lists(tmp_path: Path) -> None:
    files = write(tmp_path / "S1")
    index = directory(tmp_path, files)
    assert listed_files(index) == files
    np.testing.assert_array_equal(read_image(index).data, DEEP)
    [one] = read_stack(index).series
    assert len(one) == 5
    with pytest.raises(FileError, match=r"Pass .*DICOMDIR, which lists images"):
        read_images(tmp_path)
    index = directory(tmp_path, [*files, *write(tmp_path / "S2", "1.2.5", 9)])
    with pytest.raises(FileError, match=r"lists 2 series or images \(series 7 .* series 9"):
        read_image(index)


@pytest.mark.filterwarnings("ignore:Invalid value for VR CS")  # pydicom's, of what is written here
@pytest.mark.parametrize("name", [["..", "secret"], ["/etc/passwd"], ["a/../../secret"], ["missing"], []])
def test_a_dicomdir_leads_nowhere_else(tmp_path: Path, name: list[str]) -> None:
    saved(tmp_path / "secret", dataset(MOVIE))
    (tmp_path / "medium").mkdir()
    index = directory(tmp_path / "medium", [])
    made = pydicom.dcmread(index)
    record = pydicom.Dataset()
    record.ReferencedFileID = name
    made.DirectoryRecordSequence = [record]
    saved(index, made)
    with pytest.raises(FileError, match="lists no image"):
        read_image(index)


def test_files_without_preamble_and_suffix_are_found(tmp_path: Path) -> None:
    content = saved(tmp_path / "whole.dcm", dataset(DEEP, 12)).read_bytes()
    for name, start in (("IM1", 132), ("IM2", content.index(b"\x08\x00\x16\x00"))):
        path = tmp_path / name
        path.write_bytes(content[start:])
        assert is_dicom(path)
        np.testing.assert_array_equal(read_image(path).data, DEEP)
    for number, other in enumerate((b"", b"\x08\0", b"\x08\0\0\0" + b"\xff" * 200, b"\x08\0\x16\0SH" + bytes(200))):
        path = tmp_path / f"other{number}"
        path.write_bytes(other)
        assert not is_dicom(path)
