"""Files and arrays as the public reports in docs/cases.md describe them, given to the library."""

import json
import shutil
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile
import zarr
from dicom_files import dataset, saved

from napari_darl import DarlWarning, InputError, open_image
from napari_darl.errors import FileError
from napari_darl.frames.arrays import as_image
from napari_darl.frames.stacks import read_stack
from napari_darl.io.images import image_paths, read_image

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (3, 40, 50), np.uint8)
DEEP = RNG.integers(0, 4096, (3, 40, 50), np.uint16)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)


def both(path: Path) -> list[Any]:
    """Return a file's pixels, read as a whole and part by part."""
    return [np.asarray(open_image(path, lazy=lazy).data) for lazy in (False, True)]


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("tile", [None, (16, 32)])
@pytest.mark.parametrize(("predictor", "kind"), [(2, "u1"), (2, "u2"), (2, "i2"), (2, "u8"), (3, "f2"), (3, "f4")])
def test_predictors_of_tiffs(tmp_path: Path, order: str, tile: Any, predictor: int, kind: str) -> None:
    path, data = tmp_path / "a.tif", (DEEP[0] * 7).astype(kind)
    options = {"compression": "zlib", "predictor": predictor, "tile": tile, "photometric": "minisblack"}
    tifffile.imwrite(path, data, byteorder=order, metadata=None, **options)
    for pixels in both(path):
        np.testing.assert_array_equal(pixels, data)
        assert pixels.dtype.isnative


def test_predictors_of_planes(tmp_path: Path) -> None:
    path, planes = tmp_path / "a.tif", np.moveaxis(COLOURS, -1, 0)
    options = {"photometric": "rgb", "planarconfig": "separate", "tile": (16, 16), "metadata": None}
    tifffile.imwrite(path, planes, compression="lzw", predictor=2, **options)
    image = read_image(path)
    assert image.rgb
    np.testing.assert_array_equal(image.data, COLOURS)


def test_a_large_imagej_stack_lists_its_first_page_only(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, imagej=True)
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        next_page = page.offset + 2 + 12 * len(page.tags)
    with path.open("r+b") as file:
        file.seek(next_page)
        file.write(bytes(4))
    for pixels in both(path):
        np.testing.assert_array_equal(pixels, DEEP)


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_frames_that_the_metadata_leave_out_are_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / ("a.ome.tif" if kind == "ome" else "a.tif")
    if kind == "ome":
        tifffile.imwrite(path, DEEP, ome=True, metadata={"axes": "TYX"}, photometric="minisblack")
        content = path.read_bytes().replace(b'SizeT="3"', b'SizeT="2"').replace(b'PlaneCount="3"', b'PlaneCount="2"')
    else:
        tifffile.imwrite(path, DEEP, imagej=True)
        content = path.read_bytes().replace(b"images=3\n", b"images=2\n").replace(b"channels=3", b"channels=2")
    path.write_bytes(content)
    for lazy in (False, True):
        with pytest.warns(DarlWarning, match="has 3 pages, but its metadata describe 2"):
            assert open_image(path, lazy=lazy).data.shape == (2, 40, 50)


def test_pages_that_were_appended_are_one_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, GREY[0], photometric="minisblack")
    tifffile.imwrite(path, GREY[1:], photometric="minisblack", append=True)
    image = read_image(path)
    assert image.axes == "IYX"
    np.testing.assert_array_equal(image.data, GREY)
    assert [len(series) for series in read_stack(path).series] == [3]
    with pytest.raises(FileError, match="holds 2 images"):
        open_image(path, lazy=True)


def test_scenes_of_one_size_are_no_stack(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.tif"
    with tifffile.TiffWriter(path, ome=True) as writer:
        for frame in GREY:
            writer.write(frame, photometric="minisblack")
    with pytest.raises(FileError, match=r"3 images.*scenes"):
        read_image(path)


def bioformats2raw(folder: Path, images: int) -> Path:
    group = zarr.open_group(folder, mode="w", zarr_format=2)
    group.attrs["bioformats2raw.layout"] = 3
    axes = [{"name": "t"}, *({"name": name, "unit": "micrometer"} for name in "yx")]
    scale = {"type": "scale", "scale": [1, 0.5, 0.25]}
    levels = [{"path": "0", "coordinateTransformations": [scale]}]
    for name in "01"[:images]:
        image = group.create_group(name)
        image.attrs["multiscales"] = [{"axes": axes, "datasets": levels}]
        image.create_array("0", shape=DEEP.shape, dtype=">u2", chunks=(1, 32, 32))[:] = DEEP
    (folder / "OME").mkdir()
    (folder / "OME" / ".zgroup").write_text(json.dumps({"zarr_format": 2}))
    (folder / "OME" / "METADATA.ome.xml").write_text("<OME/>")
    return folder


def test_bioformats2raw_with_one_image_is_that_image(tmp_path: Path) -> None:
    image = open_image(bioformats2raw(tmp_path / "a.zarr", 1))
    assert (image.pixel_size, image.unit, image.axes) == ((0.5, 0.25), "µm", "TYX")
    np.testing.assert_array_equal(np.asarray(image.data), DEEP)
    with pytest.raises(FileError, match=r"one of the images in it \(0, 1\)"):
        open_image(bioformats2raw(tmp_path / "b.zarr", 2))


def test_bits_of_frames_that_begin_within_a_byte(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    bits = RNG.integers(0, 2, (3, 33, 35), np.uint8)
    made = dataset(bits)
    made.BitsAllocated, made.BitsStored, made.HighBit = 1, 1, 0
    packed = np.packbits(bits.ravel(), bitorder="little").tobytes()
    made.PixelData = packed + bytes(len(packed) % 2)
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.dcm", made)).data, bits * np.uint8(255))


@pytest.mark.parametrize(("slopes", "wanted"), [((2, 2), 2 * DEEP[:2].astype(int) - 10), ((1, 2), DEEP[:2])])
def test_rescaling_applies_to_all_frames_or_to_none(tmp_path: Path, slopes: tuple[int, int], wanted: Any) -> None:
    from pydicom import Dataset

    made, groups = dataset(DEEP[:2], 12), []
    for slope in slopes:
        rescaling, group = Dataset(), Dataset()
        rescaling.RescaleSlope, rescaling.RescaleIntercept, rescaling.RescaleType = slope, -10, "US"
        group.PixelValueTransformationSequence = [rescaling]
        groups.append(group)
    made.PerFrameFunctionalGroupsSequence = groups
    np.testing.assert_array_equal(read_image(saved(tmp_path / "a.dcm", made)).data, wanted)


def test_groups_that_are_no_sequence_leave_the_header_as_it_is(tmp_path: Path) -> None:
    made = dataset(DEEP[:2], 12, RescaleSlope="2", RescaleIntercept="-10", PixelSpacing=["0.2", "0.3"])
    made.add_new("SharedFunctionalGroupsSequence", "FL", 1.0)
    image = read_image(saved(tmp_path / "a.dcm", made))
    np.testing.assert_array_equal(image.data, 2 * DEEP[:2].astype(int) - 10)
    assert image.pixel_size == (0.2, 0.3)


class OnGpu:
    shape, dtype, ndim, __cuda_array_interface__ = (64, 64), np.dtype("u1"), 2, {"version": 3}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [(OnGpu(), "memory of a GPU"), ("frame.tif", "is a path"), (Path("frame.tif"), "is a path")],
)
def test_what_is_no_array_is_told(wrong: object, told: str) -> None:
    with pytest.raises(InputError, match=told):
        as_image(wrong)


@pytest.mark.parametrize(
    "array",
    [
        DEEP[::-1, ::-1],
        DEEP[:1][::-1],
        DEEP.astype(">u2"),
        DEEP.astype("f2"),
        np.asfortranarray(DEEP),
        np.repeat(DEEP, 2, axis=-1)[..., ::2],
        np.broadcast_to(DEEP[0], DEEP.shape),
        da.from_array(DEEP)[None, None],
        DEEP.tolist(),
    ],
)
def test_layouts_of_arrays(array: Any) -> None:
    np.testing.assert_array_equal(np.asarray(as_image(array).data[...] if hasattr(array, "dtype") else array), array)


NAMES = ("-lead", "with space & (1) [a] 100%", "æøå 図", "it's", "a..b", "a#b?c", "n" * 240)


def test_names_of_files(tmp_path: Path) -> None:
    for name in NAMES:
        tifffile.imwrite(tmp_path / f"{name}.TIF", GREY[0], photometric="minisblack")
    shutil.copy(tmp_path / "it's.TIF", tmp_path / "._it's.TIF")  # macOS writes such files on foreign disks
    (tmp_path / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
    (tmp_path / "gone.tif").symlink_to(tmp_path / "nowhere.tif")
    found = image_paths(tmp_path)
    assert {path.stem for path in found} == set(NAMES)
    for path in found:
        np.testing.assert_array_equal(read_image(path).data, GREY[0])
