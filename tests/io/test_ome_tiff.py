"""Results as OME-TIFF: valid by an independent library, and read back with place, time and provenance."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_darl import InputError, open_image, read_provenance
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image
from napari_darl.io.output import read_description, write_frames, write_mask

MASK = np.random.default_rng(0).integers(0, 2, (3, 40, 48), np.uint8)
VOLUME = ImageData(MASK, axes="ZYX", pixel_size=(0.3, 0.2), unit="mm", slice_distance=1.5)
MOVIE = ImageData(MASK, axes="TYX", pixel_size=(0.3, 0.2), unit="µm", frame_time=66.7, at_detector=True)
MADE = {"model": "default", "threshold": 0.5, "settings": '{"resize": 1}'}


def pixels_of(path: Path) -> Any:
    ome_types = pytest.importorskip("ome_types")  # here, since it takes a second to import
    with tifffile.TiffFile(path) as tiff:
        assert tiff.is_ome
        assert tiff.ome_metadata is not None
        return ome_types.from_xml(tiff.ome_metadata, validate=True).images[0].pixels


def test_a_volume(tmp_path: Path) -> None:
    path = tmp_path / "in_mask.ome.tif"
    write_mask(path, VOLUME, provenance=MADE)
    found = pixels_of(path)
    assert (found.size_z, found.size_t, found.size_c, found.size_y, found.size_x) == (3, 1, 1, 40, 48)
    assert [found.physical_size_z, found.physical_size_y, found.physical_size_x] == [1.5, 0.3, 0.2]
    assert {found.physical_size_z_unit.value, found.physical_size_x_unit.value} == {"mm"}
    np.testing.assert_array_equal(tifffile.imread(path), 255 * MASK)
    for image in (read_image(path), open_image(path, lazy=True)):
        assert (image.axes, image.pixel_size, image.unit, image.slice_distance) == ("ZYX", (0.3, 0.2), "mm", 1.5)
    assert read_provenance(path) == MADE


def test_a_movie(tmp_path: Path) -> None:
    write_mask(tmp_path / "mask.ome.tif", MOVIE, provenance=MADE)
    found = pixels_of(tmp_path / "mask.ome.tif")
    assert (found.size_t, found.time_increment, found.time_increment_unit.value) == (3, 66.7, "ms")
    assert found.physical_size_x_unit.value == "µm"
    for image in (read_image(tmp_path / "mask.ome.tif"), open_image(tmp_path / "mask.ome.tif", lazy=True)):
        assert (image.axes, image.frame_time, image.at_detector, image.unit) == ("TYX", 66.7, True, "µm")


@pytest.mark.parametrize(("axes", "shape"), [(None, (1, 40, 48)), ("TZYX", (2, 1, 40, 48)), ("CYX", (1, 40, 48))])
def test_axes_of_length_one_stay(tmp_path: Path, axes: str | None, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape, np.float32)
    write_frames(tmp_path / "a.ome.tif", ImageData(values, axes=axes), provenance={})
    image = read_image(tmp_path / "a.ome.tif")
    np.testing.assert_array_equal(image.data, values)
    assert image.axes == (axes or "TYX")


def test_files_of_other_programs(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "TimeIncrement": 0.5, "TimeIncrementUnit": "s", "PhysicalSizeX": 2, "PhysicalSizeY": 3}
    tifffile.imwrite(tmp_path / "a.ome.tif", MASK, metadata=metadata)
    image = read_image(tmp_path / "a.ome.tif")
    assert (image.frame_time, image.pixel_size, image.unit) == (500, (3, 2), "µm")
    assert read_description(tmp_path / "a.ome.tif") is None
    for value in (
        "no JSON",
        "[1]",
        '{"provenance": 1, "shape": [3, "a"], "axes": "TYX", "frame_time": "x"}',
        "[" * 9999,
    ):
        comment = {"Namespace": "napari-darl", "Value": value}
        tifffile.imwrite(tmp_path / "b.ome.tif", MASK, metadata={"axes": "ZYX", "CommentAnnotation": comment})
        assert read_description(tmp_path / "b.ome.tif") is None
        np.testing.assert_array_equal(read_image(tmp_path / "b.ome.tif").data, MASK)


def test_what_ome_tiff_can_not_hold(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't have 6 axes"):
        write_mask(tmp_path / "a.ome.tif", np.ones((1, 1, 1, 1, 40, 40), np.uint8), provenance={})
    with pytest.raises(InputError, match="can't hold int64"):
        write_frames(tmp_path / "a.ome.tif", np.ones((40, 40), np.int64), provenance={})
    assert not list(tmp_path.iterdir())
