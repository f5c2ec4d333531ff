import os
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_darl.errors import FileError, InputError
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image
from napari_darl.io.output import read_description, read_provenance, write_frames, write_mask, write_png

PROVENANCE = {"model": "coronary", "threshold": 0.5, "tile": 256, "note": "µ “quoted”"}


@pytest.fixture
def mask():
    return np.random.default_rng(0).integers(0, 2, (3, 40, 50), np.uint8)


@pytest.mark.parametrize("shape", [(40, 50), (1, 40, 50), (3, 40, 50), (2, 4, 40, 50), (40, 3)])
def test_a_mask_comes_back_as_it_was(tmp_path, shape):
    mask = np.random.default_rng(0).integers(0, 2, shape, np.uint8)
    path = tmp_path / "new" / "mask.tif"
    write_mask(path, ImageData(mask, pixel_size=(0.5, 0.25), unit="µm"), provenance=PROVENANCE)
    np.testing.assert_array_equal(tifffile.imread(path), mask * 255)
    image = read_image(path)
    np.testing.assert_array_equal(image.data, mask * 255)
    assert not image.rgb
    assert image.pixel_size == (0.5, 0.25)
    assert image.unit == "µm"
    assert read_provenance(path) == PROVENANCE
    assert os.listdir(path.parent) == ["mask.tif"]


def test_other_readers_find_the_pixel_size(tmp_path, mask):
    path = tmp_path / "mask.tif"
    write_mask(path, ImageData(mask, pixel_size=(0.5, 0.25), unit="µm"), provenance={})
    with tifffile.TiffFile(path) as tiff:
        page = tiff.pages.first
        assert page.resolutionunit == tifffile.RESUNIT.CENTIMETER
        assert page.resolution == pytest.approx((40_000, 20_000))
        assert page.compression == tifffile.COMPRESSION.ADOBE_DEFLATE
        assert len(tiff.pages) == 3


@pytest.mark.parametrize(
    ("size", "unit"),
    [(None, None), ((2.0, 2.0), "inch"), ((1e-9, 1e-9), "m"), ((1e-30, 1e30), "mm"), ((0.2, 0.2), "mm")],
)
def test_any_unit_comes_back(tmp_path, mask, size, unit):
    path = tmp_path / "mask.tif"
    write_mask(path, ImageData(mask, pixel_size=size, unit=unit), provenance={})
    image = read_image(path)
    assert (image.pixel_size, image.unit) == (size, unit)


def test_spacing_at_the_detector_and_frame_time_come_back(tmp_path, mask):
    path = tmp_path / "mask.tif"
    told = ImageData(mask, pixel_size=(0.3, 0.3), unit="mm", at_detector=True, frame_time=66.7)
    write_mask(path, told, provenance={})
    image = read_image(path)
    assert (image.at_detector, image.frame_time) == (True, 66.7)
    write_mask(path, mask, provenance={}, overwrite=True)
    image = read_image(path)
    assert (image.at_detector, image.frame_time) == (False, None)


def test_probabilities_stay_exact(tmp_path):
    probability = np.random.default_rng(0).random((2, 40, 50), np.float32)
    write_frames(tmp_path / "p.tiff", probability, provenance=PROVENANCE)
    image = read_image(tmp_path / "p.tiff")
    assert image.data.dtype == np.float32
    np.testing.assert_array_equal(image.data, probability)


def test_nothing_is_overwritten_unasked(tmp_path, mask):
    path = tmp_path / "mask.tif"
    path.write_bytes(b"precious")
    with pytest.raises(FileError, match="--overwrite"):
        write_mask(path, mask, provenance={})
    assert path.read_bytes() == b"precious"
    write_mask(path, mask, provenance={}, overwrite=True)
    assert read_image(path).data.shape == mask.shape


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path, mask, monkeypatch):
    path = tmp_path / "mask.tif"
    path.write_bytes(b"precious")

    def full_disk(file, *args, **options):
        file.write(b"II*")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(FileError, match="No space left"):
        write_mask(path, mask, provenance={}, overwrite=True)
    assert path.read_bytes() == b"precious"
    assert os.listdir(tmp_path) == ["mask.tif"]


def test_unusable_targets_are_refused(tmp_path, mask):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "folder.tif").mkdir()
    for name, message in [
        ("mask.png", r"\.tif or \.tiff"),
        ("folder.tif", "is a folder"),
        ("file/mask.tif", "can't be written"),
    ]:
        with pytest.raises(FileError, match=message):
            write_mask(tmp_path / name, mask, provenance={}, overwrite=True)


def test_only_masks_are_written_as_masks(tmp_path, mask):
    for wrong in (mask * 255, mask.astype(np.float32), np.zeros((0, 40), np.uint8), mask.astype(np.int8) - 1):
        with pytest.raises(InputError, match="0 and 1"):
            write_mask(tmp_path / "mask.tif", wrong, provenance={})
    with pytest.raises(InputError, match="pixel size"):
        write_mask(tmp_path / "mask.tif", ImageData(mask, pixel_size=(0, 1), unit="µm"), provenance={})
    with pytest.raises(InputError, match="empty"):
        write_frames(tmp_path / "p.tif", [], provenance={})
    assert os.listdir(tmp_path) == []


def test_pictures_are_written_as_png(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    write_png(tmp_path / "a.PNG", colours)
    np.testing.assert_array_equal(iio.imread(tmp_path / "a.PNG"), colours)
    write_png(tmp_path / "b.png", colours[..., 0] > 100)
    np.testing.assert_array_equal(iio.imread(tmp_path / "b.png"), (colours[..., 0] > 100) * np.uint8(255))
    with pytest.raises(FileError, match="--overwrite"):
        write_png(tmp_path / "b.png", colours)
    with pytest.raises(InputError, match="float64"):
        write_png(tmp_path / "c.png", colours / 255)


@pytest.mark.parametrize("write", [write_mask, write_frames])
def test_notes_are_kept_beside_the_provenance(tmp_path, mask, write):
    notes = {"name": "µ", "numbers": [[1, 0.1], []], "nothing": None}
    write(tmp_path / "a.tif", ImageData(mask, pixel_size=(0.5, 0.25), unit="mm"), provenance=PROVENANCE, notes=notes)
    description = read_description(tmp_path / "a.tif")
    assert description["notes"] == notes
    assert description["provenance"] == PROVENANCE
    assert (description["pixel_size"], description["unit"]) == ([0.5, 0.25], "mm")
    tifffile.imwrite(tmp_path / "plain.tif", mask, photometric="minisblack")
    assert read_description(tmp_path / "plain.tif") is None


def test_provenance_of_other_files(tmp_path):
    tifffile.imwrite(tmp_path / "plain.tif", np.zeros((40, 40), np.uint8), metadata=None)
    assert read_provenance(tmp_path / "plain.tif") == {}
    (tmp_path / "text.tif").write_text("no TIFF")
    with pytest.raises(FileError, match="can't be read as a TIFF"):
        read_provenance(tmp_path / "text.tif")
    with pytest.raises(FileError, match="can't be opened"):
        read_provenance(tmp_path / "missing.tif")


def test_a_mask_lies_over_its_movie(tmp_path: Path) -> None:
    movie = ImageData(np.zeros((3, 40, 50), bool), pixel_size=(0.25, 0.2), unit="mm", axes="TYX", frame_time=40.0)
    write_mask(tmp_path / "mask.tif", movie, provenance={})
    description = read_description(tmp_path / "mask.tif")
    assert description is not None
    assert description["notes"]["geometry"] == {
        "scale": [40.0, 0.25, 0.2],
        "units": ["ms", "mm", "mm"],
        "axis_labels": ["t", "y", "x"],
    }
