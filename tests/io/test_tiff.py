"""TIFF files: frames and colours, axes, stored bits, and the size of a pixel."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_darl.errors import FileError
from napari_darl.frames.stacks import read_stack
from napari_darl.io.images import open_image, read_image, read_images

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)
GREY = COLOURS[..., 0]
DEEP = RNG.integers(0, 4096, (5, 40, 50), np.uint16)


def test_a_multi_page_tiff_is_a_stack(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", DEEP, byteorder=">", compression="zlib", metadata=None)
    image = read_image(str(tmp_path / "a.tif"))
    np.testing.assert_array_equal(image.data, DEEP)
    assert image.data.dtype == np.dtype("=u2")
    assert image.data.dtype.isnative
    assert (image.path, image.rgb, image.bits, image.pixel_size) == (tmp_path / "a.tif", False, None, None)


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("channels", [3, 4])
def test_tiff_colours_lead_to_rgb_without_alpha(tmp_path, planar, channels):
    colours = RNG.integers(0, 256, (2, 40, 50, channels), np.uint8)
    stored = colours if planar == "contig" else np.moveaxis(colours, -1, 1)
    extra = ["unassalpha"] if channels == 4 else None
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar, extrasamples=extra)
    image = read_image(tmp_path / "a.tif")
    assert image.rgb
    np.testing.assert_array_equal(image.data, colours[..., :3])


@pytest.mark.parametrize("shape", [(3, 40, 50), (40, 50, 3), (2, 4, 40, 50)])
def test_grey_tiffs_never_turn_into_colours(tmp_path, shape):
    data = RNG.integers(0, 256, shape, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, photometric="minisblack")
    image = read_image(tmp_path / "a.tif")
    assert not image.rgb
    np.testing.assert_array_equal(image.data, data)


def test_other_kinds_of_tiff_pixels(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([GREY, 255 - GREY], -1), photometric="minisblack", extrasamples=["unassalpha"])
    np.testing.assert_array_equal(read_image(path).data, GREY)
    tifffile.imwrite(path, np.stack([GREY, 255 - GREY], -1), photometric="minisblack", planarconfig="contig")
    np.testing.assert_array_equal(read_image(path).data, [GREY, 255 - GREY])
    tifffile.imwrite(path, GREY, photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path).data, 255 - GREY)
    tifffile.imwrite(path, GREY > 100, photometric="minisblack")
    np.testing.assert_array_equal(read_image(path).data, (GREY > 100) * np.uint8(255))
    palette = RNG.integers(0, 2**16, (3, 256), np.uint16)
    tifffile.imwrite(path, GREY, photometric="palette", colormap=palette)
    image = read_image(path)
    assert image.rgb
    np.testing.assert_array_equal(image.data, np.moveaxis(palette[:, GREY] >> 8, 0, -1))
    tifffile.imwrite(path, np.dstack([COLOURS, GREY]), photometric="separated")
    with pytest.raises(FileError, match="SEPARATED"):
        read_image(path)


def test_pixel_sizes_of_imagej_ome_and_tags(tmp_path):
    path = tmp_path / "a.tif"
    for unit in ("um", "micron", "\\u00B5m"):
        tifffile.imwrite(path, DEEP, imagej=True, resolution=(4, 2), metadata={"unit": unit, "axes": "TYX"})
        image = read_image(path)
        assert (image.pixel_size, image.unit, image.data.shape) == ((0.5, 0.25), "µm", DEEP.shape)
    tifffile.imwrite(path, DEEP, imagej=True, metadata={"unit": "pixel", "axes": "TYX"})
    assert read_image(path).pixel_size is None
    sizes = {
        "axes": "ZYX",
        "PhysicalSizeX": 0.3,
        "PhysicalSizeY": 0.2,
        "PhysicalSizeYUnit": "mm",
        "PhysicalSizeXUnit": "mm",
    }
    tifffile.imwrite(tmp_path / "a.ome.tif", DEEP, metadata=sizes)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.pixel_size, image.unit) == ((0.2, 0.3), "mm")
    tifffile.imwrite(path, DEEP, resolution=(2000, 1000), resolutionunit="centimeter")
    image = read_image(path)
    assert (image.pixel_size, image.unit) == ((10.0, 5.0), "µm")
    tifffile.imwrite(path, DEEP, resolution=(96, 96), resolutionunit="inch")
    assert read_image(path).pixel_size is None


def test_each_axis_has_its_own_unit(tmp_path: Path) -> None:
    sizes = {"PhysicalSizeX": 0.2, "PhysicalSizeXUnit": "mm", "PhysicalSizeY": 250, "PhysicalSizeYUnit": "µm"}
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata={"axes": "YX"} | sizes)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.pixel_size, image.unit) == (pytest.approx((0.25, 0.2)), "mm")
    tifffile.imwrite(tmp_path / "a.ome.tif", GREY, metadata={"axes": "YX"} | sizes | {"PhysicalSizeYUnit": "pixel"})
    assert read_image(tmp_path / "a.ome.tif").pixel_size is None


def test_stored_bits_are_found_and_checked(tmp_path):
    path = tmp_path / "a.tif"
    tag = {"extratags": [("MaxSampleValue", "H", 1, 4095, True)], "metadata": None}
    tifffile.imwrite(path, DEEP, **tag)
    assert read_image(path).bits == 12
    tifffile.imwrite(path, DEEP * 16, **tag)
    assert read_image(path).bits is None, "values that contradict the tag"
    pytest.importorskip("imagecodecs")
    try:
        tifffile.imwrite(path, DEEP[0], bitspersample=12, photometric="minisblack")
    except NotImplementedError:
        pytest.skip("this version of imagecodecs can't write 12 bits")
    image = read_image(path)
    np.testing.assert_array_equal(image.data, DEEP[0])
    assert image.bits == 12


def test_significant_bits_of_ome(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.ome.tif", DEEP, metadata={"axes": "TYX", "SignificantBits": 12})
    assert read_image(tmp_path / "a.ome.tif").bits == open_image(tmp_path / "a.ome.tif", lazy=True).bits == 12


def test_pages_of_several_sizes(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(DEEP, metadata=None)
        writer.write(GREY[:35, :45], metadata=None)
    with pytest.raises(FileError, match="2 images, of different sizes"):
        read_image(path)
    frames = read_stack(path).frames
    assert [(frame.shape, frame.dtype) for frame in frames] == [((40, 50), np.uint16)] * 5 + [((35, 45), np.uint8)]


def test_axes_are_those_that_the_file_names(tmp_path: Path) -> None:
    def axes(name: str, data: np.ndarray, **options: object) -> str | None:
        tifffile.imwrite(tmp_path / name, data, **options)
        image = read_image(tmp_path / name)
        assert image.axes is None or len(image.axes) == image.data.ndim
        assert open_image(tmp_path / name, lazy=True).axes == image.axes
        return image.axes

    hyperstack = np.zeros((2, 3, 40, 50), np.uint8)
    assert axes("a.tif", hyperstack, imagej=True, metadata={"axes": "TCYX"}) == "TCYX"
    assert axes("a.ome.tif", hyperstack, metadata={"axes": "TZYX"}) == "TZYX"
    assert axes("a.tif", COLOURS, photometric="rgb") == "YXS"
    assert axes("a.tif", DEEP, metadata=None) == "IYX"
    iio.imwrite(tmp_path / "a.png", COLOURS)
    assert read_image(tmp_path / "a.png").axes == "YXS"
    np.save(tmp_path / "a.npy", DEEP)
    assert read_image(tmp_path / "a.npy").axes is None


@pytest.mark.parametrize("shape", [(3, 40, 50), (4, 40, 50), (2, 3, 40, 50)])
@pytest.mark.filterwarnings("ignore:<tifffile.TiffWriter.write>")
def test_stacks_saved_by_napari_are_frames(tmp_path: Path, shape: tuple[int, ...]) -> None:
    frames = RNG.integers(0, 256, shape, np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, frames, compression="zlib", compressionargs={"level": 1})  # as napari does
    for lazy in (False, True):
        image = open_image(path, lazy=lazy)
        assert not image.rgb
        assert image.axes in ("QYX", "QQYX")
        np.testing.assert_array_equal(image.data[...], frames)


def test_colours_in_planes_stay_colours(tmp_path: Path) -> None:
    planes = np.moveaxis(COLOURS, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", planes, photometric="rgb", planarconfig="separate", metadata=None)
    image = read_image(tmp_path / "a.tif")
    assert image.rgb
    np.testing.assert_array_equal(image.data, COLOURS)


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_white_is_zero_is_inverted_whatever_the_type(tmp_path: Path, dtype: type) -> None:
    tifffile.imwrite(tmp_path / "a.tif", GREY.astype(dtype), photometric="miniswhite")
    data = read_image(tmp_path / "a.tif").data
    assert data.dtype == dtype
    expected = -1 - GREY.astype(dtype) if dtype is np.int16 else -GREY.astype(dtype)
    np.testing.assert_array_equal(data, expected)


def test_a_tiff_without_a_photometric_tag_is_read_as_napari_shows_it(tmp_path: Path) -> None:
    for name, data, kind in (("grey", DEEP[0], "minisblack"), ("colours", COLOURS, "rgb")):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, data, photometric=kind, metadata=None)
        with tifffile.TiffFile(path) as tiff:
            at = tiff.pages.first.tags["PhotometricInterpretation"].offset
        content = bytearray(path.read_bytes())
        content[at : at + 2] = (65000).to_bytes(2, "little")  # a private tag in its place
        path.write_bytes(content)
        image = read_image(path)
        assert image.rgb == (name == "colours")
        np.testing.assert_array_equal(image.data, data)
        lazy = open_image(path, lazy=True)
        assert lazy.rgb == image.rgb
        np.testing.assert_array_equal(lazy.data[...], data)


def test_a_file_of_a_larger_data_set_is_read_alone(tmp_path):
    blocks = "".join(
        f'<TiffData FirstT="{time}" IFD="0" PlaneCount="1">'
        f'<UUID FileName="{name}.ome.tif">urn:uuid:{name}</UUID></TiffData>'
        for time, name in enumerate("ab")
    )
    for name in "ab":
        xml = (
            f'<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:{name}">'
            '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" '
            'SizeX="50" SizeY="40" SizeZ="1" SizeC="1" SizeT="2" PhysicalSizeX="0.5" PhysicalSizeY="0.5">'
            f"{blocks}</Pixels></Image></OME>"
        )
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", GREY, description=xml, metadata=None)
    assert tifffile.imread(tmp_path / "a.ome.tif").shape == (2, 40, 50)
    images = read_images(tmp_path)
    assert [(image.data.shape, image.pixel_size, image.unit) for image in images] == [((40, 50), (0.5, 0.5), "µm")] * 2
