"""Sizes of pixels that TIFF files give and napari's own reader leaves out: measured with, and saved."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windows import Window

pytest.importorskip("napari")

from napari.layers import Image, Labels
from tifffile import imwrite

from napari_darl._napari.file_scale import with_file_scale
from napari_darl._napari.geometry import geometry, pixel_size
from napari_darl._napari.layers import mask_layer, slice_distance
from napari_darl._napari.measuring.layer_scale import frame_time, layer_scale
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image
from napari_darl.io.output import write_frames

FRAME = np.arange(48 * 64, dtype=np.uint16).reshape(48, 64)
STACK = np.stack([FRAME] * 5)
IMAGEJ: dict[str, Any] = {"imagej": True, "resolution": (2, 4)}  # px per µm along x and y
OME: dict[str, Any] = {"PhysicalSizeY": 0.25, "PhysicalSizeX": 0.5}


def opened(window: Window, path: Path) -> Any:
    """Open a file with napari's own reader, which leaves sizes out."""
    (layer,) = window.viewer.open(str(path), plugin="napari")
    assert layer.scale.tolist() == [1] * layer.ndim
    return layer


@pytest.mark.parametrize(
    "options",
    [
        IMAGEJ | {"metadata": {"unit": "um"}},
        {"metadata": OME},
        {"resolution": (20_000, 40_000), "resolutionunit": "CENTIMETER"},
    ],
    ids=["ImageJ", "OME", "per centimetre"],
)
def test_a_mask_is_measured_with_the_size_in_its_images_file(
    window: Window, tmp_path: Path, options: dict[str, Any]
) -> None:
    path = tmp_path / ("frame.ome.tif" if options == {"metadata": OME} else "frame.tif")
    imwrite(path, FRAME, **options)
    image = opened(window, path)
    mask = window.viewer.add_layer(mask_layer(image, window.viewer))
    mask.data[10:20, :] = 1
    _, widget = window.viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
    scale = widget.form.scale_of(mask)
    assert (scale.size, scale.unit) == (pytest.approx((0.25, 0.5)), "µm")
    assert widget.form.unit_line.text() == f"Lengths are in µm: a pixel is 0.25 x 0.5 µm, from the file {path.name}."
    assert widget.form.options(mask)["pixel_size"] == ",".join(map(repr, scale.size))
    widget.form.image.value = None
    assert widget.form.scale_of(mask) == scale


def test_a_saved_mask_keeps_the_size(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "frame.tif", FRAME, **IMAGEJ, metadata={"unit": "um"})
    mask = window.viewer.add_layer(mask_layer(opened(window, tmp_path / "frame.tif"), window.viewer))
    mask.save(str(tmp_path / "mask.darl.tif"), plugin="napari-darl")
    saved = read_image(tmp_path / "mask.darl.tif")
    assert (saved.pixel_size, saved.unit) == (pytest.approx((0.25, 0.5)), "µm")
    window.viewer.layers.clear()
    window.wait(lambda: True)
    (again,) = window.viewer.open(str(tmp_path / "mask.darl.tif"), plugin="napari-darl")
    assert layer_scale(with_file_scale(again), 2).size == pytest.approx((0.25, 0.5))


def test_volumes_and_movies(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "volume.tif", STACK, **IMAGEJ, metadata={"unit": "um", "axes": "ZYX", "spacing": 1.0})
    volume = opened(window, tmp_path / "volume.tif")
    assert layer_scale(with_file_scale(volume), 3).size == pytest.approx((1, 0.25, 0.5))
    assert slice_distance(volume) == pytest.approx(1 / np.sqrt(0.25 * 0.5))
    window.viewer.add_layer(mask_layer(volume, window.viewer))
    _, widget = window.viewer.window.add_plugin_dock_widget("napari-darl", "Measure vessels")
    assert widget.form.stack.currentText() == "volume"

    ome = OME | {"axes": "TYX", "TimeIncrement": 0.1, "TimeIncrementUnit": "s"}
    imwrite(tmp_path / "movie.ome.tif", STACK, metadata=ome)
    movie = opened(window, tmp_path / "movie.ome.tif")
    assert frame_time(with_file_scale(movie), 2) == pytest.approx(100)
    assert slice_distance(movie) is None


def test_slices_whose_distance_is_not_known(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "slices.tif", STACK, resolution=(20_000, 40_000), resolutionunit="CENTIMETER")
    slices = opened(window, tmp_path / "slices.tif")
    assert layer_scale(with_file_scale(slices), 2).size == pytest.approx((0.25, 0.5))
    assert slice_distance(slices) == 1


def test_the_size_at_a_detector_does_not_count(window: Window, tmp_path: Path) -> None:
    image = ImageData(FRAME, pixel_size=(0.3, 0.3), unit="mm", at_detector=True)
    write_frames(tmp_path / "frame.tif", image, provenance={})
    scale = layer_scale(with_file_scale(opened(window, tmp_path / "frame.tif")), 2)
    assert scale.unit == "px"
    assert "detector" in scale.warning


def test_what_the_user_or_another_reader_says_comes_first(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "frame.tif", FRAME, **IMAGEJ, metadata={"unit": "um"})
    image = opened(window, tmp_path / "frame.tif")
    image.scale = (3, 3)
    assert with_file_scale(image) is image
    image.units = "mm"
    assert with_file_scale(image) is image
    assert layer_scale(image, 2).size == (3, 3)


def test_other_pixels_than_the_files_have_no_size(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "frame.tif", FRAME, **IMAGEJ, metadata={"unit": "um"})
    image = opened(window, tmp_path / "frame.tif")
    image.data = FRAME[::2, ::2]
    assert with_file_scale(image) is image
    (tmp_path / "frame.tif").unlink()
    image.data = FRAME
    assert with_file_scale(image) is image


def test_a_unit_that_napari_does_not_know(window: Window, tmp_path: Path) -> None:
    imwrite(tmp_path / "frame.tif", FRAME, **IMAGEJ, metadata={"unit": "foo"})
    image = opened(window, tmp_path / "frame.tif")
    assert with_file_scale(image) is image


def test_layers_without_a_file_stay() -> None:
    for layer in (Image(FRAME), Labels(FRAME)):
        assert with_file_scale(layer) is layer
        assert pixel_size(geometry(layer)) is None
