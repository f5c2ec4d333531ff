"""Results of `napari-darl segment` as OME-TIFF, and as labels inside of OME-Zarr images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import zarr
from command_line import run

from napari_darl import evaluate, segment
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.io.output import read_provenance, write_mask
from napari_darl.io.zarr_labels import labels_of
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]
VOLUME = np.stack([FRAME, FRAME[::-1]])


def ome_zarr(path: Path) -> Path:
    image = ImageData(VOLUME, axes="ZYX", pixel_size=(0.3, 0.3), unit="µm", slice_distance=2)
    OmeZarr.of(image, VOLUME.shape, (1, 96, 112), "u1", path).create(path, {})
    zarr.open_array(path / "0", mode="r+")[:] = VOLUME
    return path


@pytest.fixture
def volume(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "volume.ome.tif"
    path.parent.mkdir()
    sizes = {"PhysicalSizeX": 0.3, "PhysicalSizeY": 0.3, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, VOLUME, metadata={"axes": "ZYX", **sizes})
    return path


def test_ome_tiff_follows_all_rules_of_a_batch(
    tmp_path: Path, volume: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ("segment", volume.parent, "--output", out, "--model", untrained_path, "--ome-tiff", "--probability")
    assert run(*command, "--threshold", 0.4) == 0
    mask = out / "volume_mask.ome.tif"
    assert sorted(path.name for path in out.iterdir()) == ["volume_mask.ome.tif", "volume_probability.ome.tif"]
    image = read_image(mask)
    np.testing.assert_array_equal(image.data, 255 * segment(VOLUME, untrained_path, threshold=0.4))
    assert (image.axes, image.pixel_size, image.slice_distance) == ("ZYX", (0.3, 0.3), 2.0)
    before = mask.read_bytes()
    assert run(*command, "--threshold", 0.4) == 0
    assert "1 done before" in capsys.readouterr().err
    assert run(*command, "--threshold", 0.3) == 2
    assert "made with other settings" in capsys.readouterr().err
    assert mask.read_bytes() == before

    assert run("segment", volume, "--output", tmp_path / "like", "--like", mask, "--model", untrained_path) == 0
    again = tmp_path / "like" / "volume_mask.tif"
    np.testing.assert_array_equal(tifffile.imread(again), image.data)
    frames = evaluate(out, tmp_path / "like").frames
    assert [frame.dice for frame in frames.values()] == [1, 1]
    assert run("measure", mask, "--output", tmp_path / "tables") == 0
    assert "µm" in (tmp_path / "tables" / "measurements.json").read_text(encoding="utf-8")

    write_mask(mask, image_of_ones(), provenance=read_provenance(mask) | {"edited": True}, overwrite=True)
    assert run(*command, "--threshold", 0.3, "--overwrite") == 0
    assert read_image(mask).data.all()


def image_of_ones() -> ImageData[Any]:
    return ImageData(np.ones(VOLUME.shape, np.uint8), axes="ZYX")


def test_zarr_becomes_ome_tiff_on_request(tmp_path: Path, untrained_path: Path) -> None:
    source = ome_zarr(tmp_path / "slide.ome.zarr")
    options = ("--output", tmp_path, "--model", untrained_path)
    assert run("segment", source, *options, "--ome-tiff") == 0
    image = read_image(tmp_path / "slide_mask.ome.tif")
    np.testing.assert_array_equal(image.data, 255 * segment(VOLUME, untrained_path))
    assert (image.axes, image.pixel_size, image.unit, image.slice_distance) == ("ZYX", (0.3, 0.3), "µm", 2)


def test_masks_become_labels_of_their_images(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = ome_zarr(tmp_path / "slide.ome.zarr")
    plain = tmp_path / "plain.zarr"
    zarr.create_array(plain, data=FRAME)
    command = ("segment", source, plain, "--labels", "vessels", "--model", untrained_path, "--probability")
    assert run(*command) == 2
    told = capsys.readouterr().err
    assert "1 segmented, 1 failed: labels/vessels" in told
    assert f"{plain} isn't an OME-Zarr image" in told
    assert labels_of(source) == ["vessels"]
    found = read_image(source / "labels" / "vessels")
    np.testing.assert_array_equal(found.data, segment(VOLUME, untrained_path))
    assert (found.axes, found.pixel_size, found.slice_distance) == ("ZYX", (0.3, 0.3), 2)
    assert (tmp_path / "slide_probability.ome.zarr").is_dir()
    assert run(*command) == 2
    assert "1 done before, 1 failed" in capsys.readouterr().err
    assert not (plain / "labels").exists()


def test_what_can_not_go_together(tmp_path: Path, volume: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for options, message in (
        ((), "--output is missing"),
        (("--output", tmp_path, "--ome-tiff", "--zarr"), "--ome-tiff writes whole images"),
        (("--labels", "a/b"), "A label can't be called 'a/b'"),
        (("--labels", "vessels", "--measure"), "leave --measure out"),
    ):
        assert run("segment", volume, *options) == 2
        assert message in capsys.readouterr().err
