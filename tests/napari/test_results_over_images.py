"""Results of the command line, opened in napari over their images: places, units and time agree."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")
pytest.importorskip("pydicom")

import zarr
from command_line import run
from dicom_files import dataset, saved
from napari.layers import Image, Labels

from napari_darl import segment
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[100:228, 150:310]
STACK = np.stack([FRAME, FRAME[::-1], FRAME[:, ::-1]])


def plain_zarr(folder: Path) -> Path:
    zarr.create_array(folder / "plain.zarr", data=FRAME)
    return folder / "plain.zarr"


def ome_zarr(folder: Path) -> Path:
    path = folder / "movie.ome.zarr"
    image = ImageData(STACK, axes="TYX", pixel_size=(0.3, 0.2), unit="mm", frame_time=66.7)
    layout = OmeZarr.of(image, STACK.shape, (1, 64, 64), "u1", path)
    layout = OmeZarr(**{**vars(layout), "count": 2})
    layout.create(path, {})
    zarr.open_array(path / "0", mode="r+")[:] = STACK
    layout.build(path)
    return path


def dicom_movie(folder: Path) -> Path:
    movie = dataset(STACK, ImagerPixelSpacing=[0.3, 0.3], FrameTime=66.7)
    return saved(folder / "run.dcm", movie)


def ome_tiff(folder: Path) -> Path:
    path = folder / "volume.ome.tif"
    sizes = {"PhysicalSizeX": 0.2, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, STACK, metadata={"axes": "ZYX", **sizes})
    return path


CASES = {
    "zarr": (plain_zarr, "napari", ("--output", "out"), "out/plain_mask.ome.zarr"),
    "OME-Zarr": (ome_zarr, "napari-darl", ("--output", "out"), "out/movie_mask.ome.zarr"),
    "OME-Zarr, its own labels": (ome_zarr, "napari-darl", ("--labels", "vessels"), "movie.ome.zarr/labels/vessels"),
    "DICOM": (dicom_movie, "napari-darl", ("--output", "out"), "out/run_mask.tif"),
    "OME-TIFF": (ome_tiff, "napari", ("--output", "out", "--ome-tiff"), "out/volume_mask.ome.tif"),
}


@pytest.mark.parametrize("case", CASES)
def test_results_lie_over_their_images(
    case: str, make_napari_viewer: Any, tmp_path: Path, untrained_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, reader, options, result = CASES[case]
    monkeypatch.chdir(tmp_path)
    source = make(tmp_path)
    assert run("segment", source, *options, "--model", untrained_path) == 0
    viewer = make_napari_viewer()
    (image,) = viewer.open(source, plugin=reader)[:1]
    viewer.open(tmp_path / result, plugin="napari-darl")
    masks = viewer.layers[1:]
    assert isinstance(image, Image)
    assert len(masks) == 1 + ("labels" in case)  # an image brings its labels along
    values = segment(read_image(source).data, untrained_path)
    for mask in masks:
        assert isinstance(mask, Labels)
        np.testing.assert_array_equal(mask.data[0] if mask.multiscale else mask.data, values)
        np.testing.assert_allclose(mask.extent.world, image.extent.world)
        assert (mask.units, mask.axis_labels) == (image.units, image.axis_labels)
        np.testing.assert_allclose(mask.scale, image.scale)
    if case.startswith("OME-Zarr"):
        np.testing.assert_allclose(image.scale, (66.7, 0.3, 0.2))
        assert [f"{unit:D}" for unit in image.units] == ["millisecond", "millimeter", "millimeter"]


def test_a_mask_alone_keeps_its_own_place(make_napari_viewer: Any, tmp_path: Path, untrained_path: Path) -> None:
    assert run("segment", ome_tiff(tmp_path), "--output", tmp_path, "--ome-tiff", "--model", untrained_path) == 0
    (mask,) = make_napari_viewer().open(tmp_path / "volume_mask.ome.tif", plugin="napari-darl")
    np.testing.assert_allclose(mask.scale, (2, 0.3, 0.2))
    assert {f"{unit:D}" for unit in mask.units} == {"micrometer"}
    assert mask.axis_labels == ("z", "y", "x")
