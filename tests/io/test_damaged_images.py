"""Files that are cut short, foreign, absurd or empty are errors that name the file, and make no noise."""

import contextlib
import logging
import os
import struct
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_darl.errors import FileError
from napari_darl.io.images import read_image
from napari_darl.io.lazy import open_lazily

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)
GREY = COLOURS[..., 0]
DEEP = RNG.integers(0, 4096, (5, 40, 50), np.uint16)


def saved(folder: Path, name: str) -> Path:
    """An intact file of the kind that the name asks for."""
    path = folder / name
    frames = RNG.integers(0, 256, (5, 40, 50), np.uint8)
    match path.name.split("."):
        case ["imagej", "tif"]:
            tifffile.imwrite(path, frames, imagej=True)
        case ["pages", "tif"]:
            pages = [Image.fromarray(frame) for frame in frames]
            pages[0].save(path, save_all=True, append_images=pages[1:])
        case ["zlib", "tif"]:
            tifffile.imwrite(path, frames, compression="zlib")
        case [*_, "tif"]:
            tifffile.imwrite(path, frames)
        case [_, "npy"]:
            np.save(path, frames)
        case _:
            iio.imwrite(path, frames[0])
    return path


FILES = ["a.tif", "a.ome.tif", "imagej.tif", "pages.tif", "zlib.tif", "a.png", "a.jpg", "a.bmp", "a.npy"]


@pytest.mark.parametrize("name", FILES)
def test_cut_files_are_errors_and_never_grey_frames(tmp_path, name, caplog):
    path = saved(tmp_path, name)
    whole, data = path.read_bytes(), read_image(path).data
    for part in (0.02, 0.1, 0.3, 0.5, 0.8):
        path.write_bytes(whole[: int(part * len(whole))])
        with pytest.raises(FileError) as error:
            read_image(path)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    for missing in range(1, 1500, 50):  # the last bytes may be metadata
        path.write_bytes(whole[:-missing])
        with contextlib.suppress(FileError):
            np.testing.assert_array_equal(read_image(path).data, data)
    assert caplog.records == []


@pytest.mark.parametrize("suffix", [".tif", ".png", ".jpg", ".bmp", ".npy"])
def test_foreign_and_empty_files_are_named(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_text("No image, but a letter.")
    with pytest.raises(FileError, match=f"a{suffix}"):
        read_image(path)
    path.write_bytes(b"")
    with pytest.raises(FileError, match="empty file"):
        read_image(path)


def test_absurd_headers_take_no_memory(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY, metadata=None, rowsperstrip=40)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageLength"].overwrite(60_000)
        tiff.pages.first.tags["RowsPerStrip"].overwrite(60_000)
    with pytest.raises(FileError, match="cut short"):
        read_image(path)
    with tifffile.TiffFile(path, mode="r+") as tiff:
        tiff.pages.first.tags["ImageLength"].overwrite(4_000_000, dtype=4)
        tiff.pages.first.tags["ImageWidth"].overwrite(4_000_000, dtype=4)
    with pytest.raises(FileError, match="GiB of pixels"):
        read_image(path)
    picture = saved(tmp_path, "a.bmp")
    header = bytearray(picture.read_bytes())
    header[18:26] = struct.pack("<ii", 100_000, 100_000)
    picture.write_bytes(header)
    with pytest.raises(FileError, match="too many pixels"):
        read_image(picture)


def test_tiffs_without_tags_are_an_error_in_parts_too(tmp_path):
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IHI", 8, 0, 0) + bytes(64))
    for read in (read_image, open_lazily):
        with pytest.raises(FileError, match="no image"):
            read(path)


def test_a_bmp_with_too_short_a_palette_is_an_error(tmp_path):
    path = tmp_path / "a.bmp"
    iio.imwrite(path, np.arange(2000, dtype=np.uint8).reshape(40, 50))
    content = bytearray(path.read_bytes())
    content[46:50] = struct.pack("<I", 1)
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged"):
        read_image(path)


def test_missing_frames_of_ome_are_an_error(tmp_path):
    path = tmp_path / "a.ome.tif"
    tifffile.imwrite(path, DEEP, metadata={"axes": "ZYX"}, compression="zlib")
    path.write_bytes(
        path.read_bytes().replace(b'SizeZ="5"', b'SizeZ="6"').replace(b'PlaneCount="5"', b'PlaneCount="6"')
    )
    with pytest.raises(FileError, match="lacks frames"):
        read_image(path)


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


def test_arrays_that_are_none(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("a.npy", np.array([Trap()] * 40, object), allow_pickle=True)
    with pytest.raises(FileError, match=r"a\.npy isn't a plain array"):
        read_image("a.npy")
    assert not Path("sprung").exists()
    for array in (np.full((40, 40), "a"), np.zeros((40, 40), complex), np.zeros(40)):
        np.save("a.npy", array)
        with pytest.raises(FileError, match="no image"):
            read_image("a.npy")


def test_large_pictures_make_no_noise(tmp_path, monkeypatch, recwarn):
    path = saved(tmp_path, "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)  # 2,000 pixels: above the warning, below the error
    assert read_image(path).data.shape == (40, 50)
    assert not recwarn.list
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(FileError, match="too many pixels"):
        read_image(path)


def test_the_log_of_tifffile_is_left_as_it_was(tmp_path):
    (tmp_path / "a.tif").write_text("No image.")
    with pytest.raises(FileError):
        read_image(tmp_path / "a.tif")
    assert logging.getLogger("tifffile").filters == []
