"""DICOM: the pixels, sizes and times that a file holds, nothing of its patient, and no harm from what is damaged."""

import logging
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pydicom")

from dicom_files import write_dicom

from napari_darl.data.dicom import read_dicom
from napari_darl.data.files import read_image, read_stack
from napari_darl.data.samples import sample_angiogram
from napari_darl.errors import FileError

MOVIE = np.stack([np.roll(sample_angiogram()[:64, :80], 3 * t, 1) for t in range(4)])


@pytest.mark.parametrize("compression", [None, "rle"])
def test_movies_keep_every_value(tmp_path: Path, compression: str | None) -> None:
    wide = MOVIE.astype(np.uint16) * 16
    tags = {"PixelSpacing": [0.3, 0.2], "ImagerPixelSpacing": [0.4, 0.4], "FrameTime": 66.7}
    path = write_dicom(tmp_path / "a.dcm", wide, stored=12, compression=compression, **tags)
    image = read_dicom(path)
    np.testing.assert_array_equal(image.data, wide)
    assert (image.bits, image.pixel_size, image.frame_time) == (12, (0.3, 0.2), pytest.approx(66.7))
    read = read_image(path)
    assert (read.bits, read.pixel_size, read.unit, read.rgb) == (12, (0.3, 0.2), "mm", False)


def test_compressed_as_angiography_systems_do(tmp_path: Path) -> None:
    image = read_dicom(write_dicom(tmp_path / "a.dcm", MOVIE, compression="jpeg", ImagerPixelSpacing=[0.4, 0.4]))
    assert image.data.shape == MOVIE.shape
    assert np.abs(image.data.astype(int) - MOVIE).mean() < 3
    assert image.pixel_size == (0.4, 0.4)


def test_what_is_white_at_zero_is_turned_round(tmp_path: Path) -> None:
    tags = {"PhotometricInterpretation": "MONOCHROME1", "WindowCenter": 100, "WindowWidth": 40}
    image = read_dicom(write_dicom(tmp_path / "a.dcm", MOVIE[:1], **tags))
    np.testing.assert_array_equal(image.data, 255 - MOVIE[0])
    assert image.window == (135, 175)
    signed = MOVIE.astype(np.int16) - 100
    image = read_dicom(write_dicom(tmp_path / "b.dcm", signed, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(image.data, -1 - signed)
    rescaled = read_dicom(write_dicom(tmp_path / "c.dcm", MOVIE, RescaleSlope="2", RescaleIntercept="-5"))
    np.testing.assert_allclose(rescaled.data, MOVIE * 2.0 - 5)


def test_colours_and_times(tmp_path: Path) -> None:
    colours = np.stack([MOVIE, MOVIE // 2, MOVIE // 3], -1)
    image = read_dicom(write_dicom(tmp_path / "a.dcm", colours, FrameTimeVector=[0, 30, 40, 50]))
    assert image.rgb
    np.testing.assert_array_equal(image.data, colours)
    assert image.frame_time == 40
    assert read_dicom(write_dicom(tmp_path / "b.dcm", MOVIE, CineRate="25")).frame_time == 40
    assert read_dicom(write_dicom(tmp_path / "c.dcm", MOVIE)).frame_time is None


def test_series_of_files_are_stacks_to_train_on(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_dicom(tmp_path / f"{name}.dcm", MOVIE)
    angiograms, backgrounds = read_stack(tmp_path).split(1)
    assert (len(angiograms), len(backgrounds or ())) == (6, 2)


@pytest.mark.parametrize(
    ("tags", "said"),
    [
        ({"Rows": 65535, "Columns": 65535, "NumberOfFrames": 10**6}, "GiB"),
        ({"Rows": 200}, "cut short"),
        ({"Rows": 0}, "impossible"),
        ({"BitsStored": 99}, "impossible"),
        ({"NumberOfFrames": "4711"}, "cut short"),
        ({"PhotometricInterpretation": "JANE DOE"}, "damaged"),
    ],
)
def test_hostile_sizes_are_refused_at_once_and_patients_stay_unnamed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, tags: dict[str, object], said: str
) -> None:
    path = write_dicom(tmp_path / "a.dcm", MOVIE, **tags)
    caplog.set_level(logging.DEBUG)
    begin = time.monotonic()
    with pytest.raises(FileError, match=said) as caught:
        read_dicom(path)
    assert time.monotonic() - begin < 5
    assert "doe" not in f"{caught.value}{caught.value.__cause__}{caplog.text}".lower()


def test_damaged_files_say_so(tmp_path: Path) -> None:
    whole = write_dicom(tmp_path / "whole.dcm", MOVIE).read_bytes()
    for length in (100, 300, len(whole) // 2, len(whole) - 10):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises(FileError):
            read_image(tmp_path / "cut.dcm")
    (tmp_path / "text.dcm").write_text("a letter")
    with pytest.raises(FileError, match="no DICOM file"):
        read_image(tmp_path / "text.dcm")
    report = write_dicom(tmp_path / "report.dcm", MOVIE)
    import pydicom

    dataset = pydicom.dcmread(report)
    del dataset.PixelData
    dataset.save_as(report)
    with pytest.raises(FileError, match="without an image"):
        read_image(report)
    dataset = pydicom.dcmread(write_dicom(tmp_path / "video.dcm", MOVIE, compression="jpeg"))
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # MPEG-4, of which nobody has frames
    dataset.save_as(tmp_path / "video.dcm")
    with pytest.raises(FileError, match=r"MPEG-4 .* can't be decoded here"):
        read_image(tmp_path / "video.dcm")
