"""Images that are opened without being read."""

import copy
import pickle
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_darl.errors import FileError
from napari_darl.io import lazy as lazy_files
from napari_darl.io.images import read_image
from napari_darl.io.lazy import is_zarr, open_lazily

FRAMES = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_and_ome_levels(tmp_path: Path, version: int) -> None:
    group = zarr.open_group(tmp_path / "image.zarr", mode="w", zarr_format=version)
    for name, step in (("0", 1), ("1", 2)):
        level = FRAMES[:, ::step, ::step]
        group.create_array(name, shape=level.shape, chunks=(1, 20, 20), dtype=level.dtype)[:] = level
    scale = {"type": "scale", "scale": [1.0, 0.5, 0.25]}
    axes = [{"name": "t"}, {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "micrometer"}]
    datasets = [{"path": name, "coordinateTransformations": [scale]} for name in "01"]
    told = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs.update({"ome": {"version": "0.5", **told}} if version == 3 else told)
    assert is_zarr(tmp_path / "image.zarr")
    image = open_lazily(tmp_path / "image.zarr")
    assert (image.pixel_size, image.unit) == ((0.5, 0.25), "µm")
    np.testing.assert_array_equal(image.data[1, 5:9], FRAMES[1, 5:9])
    alone = open_lazily(tmp_path / "image.zarr" / "1")
    assert alone.data.shape == (3, 20, 25)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True}])
def test_tiffs(tmp_path: Path, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", FRAMES, photometric="minisblack", **options)
    image = open_lazily(tmp_path / "movie.tif")
    assert (image.data.shape, image.data.dtype, image.rgb) == (FRAMES.shape, FRAMES.dtype, False)
    np.testing.assert_array_equal(image.data[2, 3:30, 7:], FRAMES[2, 3:30, 7:])
    tifffile.imwrite(tmp_path / "colours.tif", np.stack([FRAMES[0]] * 3, -1).astype(np.uint8), photometric="rgb")
    assert open_lazily(tmp_path / "colours.tif").rgb


@pytest.mark.parametrize("levels", ["in the page", "in the page, OME", "as pages"])
def test_of_a_pyramid_the_finest_level(tmp_path: Path, levels: str) -> None:
    name = "slide.ome.tif" if "OME" in levels else "slide.tif"
    frame = np.arange(256 * 320, dtype=np.uint16).reshape(256, 320)
    with tifffile.TiffWriter(tmp_path / name, ome="OME" in levels) as tiff:
        tiff.write(frame, tile=(64, 64), subifds=2 if "page," in levels or levels == "in the page" else None)
        for step in (2, 4):
            tiff.write(frame[::step, ::step], tile=(64, 64), subfiletype=1)
    image = open_lazily(tmp_path / name)
    assert image.data.shape == frame.shape
    np.testing.assert_array_equal(image.data[3:200, 100:300], frame[3:200, 100:300])


def test_jpeg_colours_and_stored_bits_of_tiffs(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    tifffile.imwrite(tmp_path / "jpeg.tif", colours, photometric="ycbcr", compression="jpeg", tile=(32, 32))
    image = open_lazily(tmp_path / "jpeg.tif")
    assert image.rgb
    np.testing.assert_array_equal(image.data[:], read_image(tmp_path / "jpeg.tif").data)
    tifffile.imwrite(
        tmp_path / "deep.tif", FRAMES % 4096, photometric="minisblack", extratags=[(281, 3, 1, 4095, True)]
    )
    assert open_lazily(tmp_path / "deep.tif").bits == read_image(tmp_path / "deep.tif").bits == 12


@pytest.mark.parametrize("options", [{}, {"compression": "zlib"}])
def test_a_tiff_is_opened_once_and_travels(
    tmp_path: Path, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", FRAMES, photometric="minisblack", byteorder=">", **options)
    pixels = open_lazily(tmp_path / "movie.tif").data
    opened, whole = [], lazy_files.tiff_file
    monkeypatch.setattr(lazy_files, "tiff_file", lambda path: (opened.append(path), whole(path))[1])
    for t in range(3):
        np.testing.assert_array_equal(pixels[t, ::2], FRAMES[t, ::2])
    assert len(opened) == 1
    assert pixels[0].dtype == FRAMES.dtype
    assert isinstance(pixels._array, np.memmap) == (not options)  # one strip isn't read for a part of it
    for other in (pickle.loads(pickle.dumps(pixels)), copy.deepcopy(pixels)):
        np.testing.assert_array_equal(other[1], FRAMES[1])


def test_colours_in_zarr(tmp_path: Path) -> None:
    colours = np.arange(40 * 50 * 3, dtype=np.uint8).reshape(40, 50, 3)
    zarr.create_array(tmp_path / "colours.zarr", shape=colours.shape, dtype=colours.dtype)[:] = colours
    image = open_lazily(tmp_path / "colours.zarr")
    assert (image.data.shape, image.rgb) == (colours.shape, True)


def test_what_cannot_be_opened_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("mine", shape=(4, 4), dtype="u1")
    group.create_group("0").attrs["multiscales"] = [{"datasets": [{"path": "0"}]}]  # as bioformats2raw does
    group.create_group("OME")
    with pytest.raises(FileError, match=r"group\.zarr .* \(0, mine\)"):
        open_lazily(tmp_path / "group.zarr")
    (tmp_path / "group.zarr" / "notes").mkdir()
    with pytest.raises(FileError, match=r"\(0, mine\)"):  # and no warning
        open_lazily(tmp_path / "group.zarr")
    group.attrs["multiscales"] = [{"datasets": [{"path": "../../secret"}]}]
    with pytest.raises(FileError, match="can't be read as zarr"):
        open_lazily(tmp_path / "group.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_ty')
    with pytest.raises(FileError, match="can't be read as zarr"):
        open_lazily(tmp_path / "broken.zarr")
    tifffile.imwrite(tmp_path / "white.tif", FRAMES, photometric="miniswhite")
    with pytest.raises(FileError, match="MINISWHITE"):
        open_lazily(tmp_path / "white.tif")
    (tmp_path / "picture.png").touch()
    with pytest.raises(FileError, match=r"picture\.png can't be read part by part"):
        open_lazily(tmp_path / "picture.png")
    monkeypatch.setattr(lazy_files, "MAX_CHUNK", 1000)
    tifffile.imwrite(tmp_path / "strip.tif", FRAMES, photometric="minisblack", compression="zlib", rowsperstrip=40)
    with pytest.raises(FileError, match=r"strip\.tif has tiles"):
        open_lazily(tmp_path / "strip.tif")
