"""DICOM files as scanners write them: any name, no preamble, wrong counts of frames, bits that aren't pixels."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import DEEP, MOVIE, SIGNED, SMOOTH, compressed, dataset, jpeg, reread, saved

pytest.importorskip("pydicom")

from pydicom.uid import ImplicitVRLittleEndian, JPEG2000Lossless, JPEGBaseline8Bit, RLELossless

from napari_darl.errors import FileError
from napari_darl.frames.stacks import read_stack
from napari_darl.io.dicom import read_dicom
from napari_darl.io.images import image_paths, read_image


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.113619.2.1", "movie.ima", "movie.IMA", "frame.img"])
def test_a_file_of_any_name_is_read_by_its_content(tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, dataset(DEEP, 12))
    image = read_image(path)
    np.testing.assert_array_equal(image.data, DEEP)
    assert image.bits == 12
    (tmp_path / "notes").write_text("no image")
    (tmp_path / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    assert image_paths(tmp_path) == [path]
    assert len(read_stack(tmp_path).frames) == len(DEEP)


def test_an_index_of_files_says_what_to_do(tmp_path: Path) -> None:
    made = dataset(MOVIE)
    made.file_meta.MediaStorageSOPClassUID = made.SOPClassUID = "1.2.840.10008.1.3.10"
    path = saved(tmp_path / "index.dcm", made)
    with pytest.raises(FileError, match=r"DICOMDIR, an index of other files\. Pass"):
        read_image(path)
    with pytest.raises(FileError, match="lists no image"):
        read_image(path.rename(tmp_path / "DICOMDIR"))


@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("meta", [False, True])
def test_files_without_a_preamble_are_read(tmp_path: Path, implicit: bool, meta: bool) -> None:
    made = dataset(DEEP, 12)
    if implicit:
        made.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    content = saved(tmp_path / "whole.dcm", made).read_bytes()
    path = tmp_path / "bare.dcm"
    start = 132 if meta else content.index(b"\x08\x00\x16\x00")
    path.write_bytes(content[start:])
    np.testing.assert_array_equal(read_dicom(path).data, DEEP)


def packed_rle(count: int) -> object:
    made = dataset(MOVIE[:count])
    made.compress(RLELossless)
    return made


def packed_jpeg(count: int) -> object:
    return compressed(dataset(np.stack([SMOOTH] * count)), [jpeg(SMOOTH)] * count, JPEGBaseline8Bit)


@pytest.mark.parametrize("make", [lambda: dataset(MOVIE), lambda: packed_rle(5), lambda: packed_jpeg(5)])
def test_no_frame_is_lost(tmp_path: Path, make: object) -> None:
    made = make()  # type: ignore[operator]
    expected = reread(tmp_path, made).data
    assert len(expected) == 5
    del made.NumberOfFrames
    np.testing.assert_array_equal(reread(tmp_path, made).data, expected)
    for declared in (1, 3):
        made.NumberOfFrames = declared
        with pytest.raises(FileError, match=f"holds 5 frames, but its header declares {declared}"):
            reread(tmp_path, made)


def test_bits_above_the_stored_ones_are_no_pixels(tmp_path: Path) -> None:
    imagecodecs = pytest.importorskip("imagecodecs")

    def encoded(frames: np.ndarray) -> list[bytes]:
        return [imagecodecs.jpeg2k_encode(frame, level=0, codecformat="j2k", reversible=True) for frame in frames]

    overlay = DEEP | np.uint16(1 << 15)
    rle = dataset(overlay, 12)
    rle.compress(RLELossless)
    for made in (dataset(overlay, 12), rle, compressed(dataset(overlay, 12), encoded(overlay), JPEG2000Lossless)):
        movie = reread(tmp_path, made)
        np.testing.assert_array_equal(movie.data, DEEP)
        assert movie.bits == 12
    signed = (SIGNED.view(np.uint16) & np.uint16(0x0FFF)).view(np.int16)  # 12 bits, whose sign isn't extended
    np.testing.assert_array_equal(reread(tmp_path, dataset(signed, 12)).data, SIGNED)
