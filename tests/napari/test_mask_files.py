"""Masks as files of napari: what is saved, what is opened, and what is refused."""

import json
import os
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from masks import MASK, PLACES, PROVENANCE, opened, saved
from napari.layers import Image, Labels

from napari_darl._napari.geometry import geometry
from napari_darl._napari.mask_files import read_mask, write_mask
from napari_darl.errors import DarlWarning, FileError, InputError
from napari_darl.io import output
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image

pytestmark = [
    pytest.mark.usefixtures("settings"),
    pytest.mark.filterwarnings("ignore:Non-orthogonal slicing"),  # napari, of any rotation out of the plane
]


@pytest.mark.parametrize("ndim", PLACES)
def test_a_saved_mask_keeps_values_geometry_and_provenance(tmp_path, ndim):
    mask = MASK if ndim == 3 else MASK[0]
    layer = Labels(mask, name="LAD “vessels”", metadata={"napari-darl": PROVENANCE, "mine": 1}, **PLACES[ndim])
    again = opened(saved(tmp_path / "a.darl.tif", layer))
    np.testing.assert_array_equal(again.data, mask)
    assert again.data.dtype == np.uint8
    assert again.data.flags.writeable
    assert geometry(again) == geometry(layer)
    assert again.name == layer.name
    assert again.metadata == {"napari-darl": PROVENANCE}


def test_other_programs_see_black_and_white_and_the_pixel_size(tmp_path):
    layer = Labels(MASK, scale=(1.5, 0.3, 0.2), units=("s", "mm", "mm"), metadata={"napari-darl": PROVENANCE})
    path = saved(tmp_path / "a.darl.tif", layer)
    np.testing.assert_array_equal(tifffile.imread(path), MASK * 255)
    image = read_image(path)
    assert image.pixel_size == pytest.approx((300, 200))
    assert image.unit == "µm"
    assert output.read_provenance(path) == PROVENANCE
    with tifffile.TiffFile(path) as tiff:
        assert tiff.pages.first.resolution == pytest.approx((1 / 0.02, 1 / 0.03))  # pixels per centimetre
        assert "geometry" in json.loads(tiff.pages.first.description)["notes"]


@pytest.mark.parametrize(("dtype", "stored"), [("u1", "u4"), ("u2", "u4"), ("i1", "i4"), ("i8", "i8"), ("u4", "u4")])
def test_labels_other_than_masks_keep_their_values(tmp_path, dtype, stored):
    labels = MASK.astype(dtype)
    labels[0, 0, :3] = 1, 2, 100
    again = opened(saved(tmp_path / "a.darl.tif", Labels(labels)))
    np.testing.assert_array_equal(again.data, labels)
    assert again.data.dtype == stored
    assert again.data.flags.writeable


@pytest.mark.parametrize(
    "data",
    [MASK[0] > 0, MASK[0].astype(np.int64), da.from_array(MASK), MASK * 0, MASK[:1], MASK[:, :3, :4], MASK[:, :, None]],
)
def test_any_array_of_a_mask_is_saved(tmp_path, data):
    again = opened(saved(tmp_path / "a.darl.tiff", Labels(data)))
    np.testing.assert_array_equal(again.data, np.asarray(data))
    assert again.data.dtype == np.uint8


def test_the_finest_level_of_a_multiscale_layer_is_saved(tmp_path):
    layer = Labels([MASK[0], MASK[0, ::2, ::2]], multiscale=True, **PLACES[2])
    again = opened(saved(tmp_path / "a.darl.tif", layer))
    np.testing.assert_array_equal(again.data, MASK[0])
    assert geometry(again) == geometry(layer)


def test_a_plain_tiff_opens_as_labels(tmp_path):
    path = saved(tmp_path / "a.tif", Labels(MASK, name="LAD", **PLACES[3]))
    assert path == str(tmp_path / "a.tif")
    np.testing.assert_array_equal(tifffile.imread(path), MASK)
    assert tifffile.imread(path).dtype == np.uint32
    os.rename(path, tmp_path / "a.darl.tif")
    assert geometry(opened(str(tmp_path / "a.darl.tif"))) == geometry(Labels(MASK, **PLACES[3]))


def test_other_formats_are_left_to_napari(tmp_path):
    path = saved(tmp_path / "a.npz", Labels(MASK))
    with np.load(path) as arrays:
        np.testing.assert_array_equal(arrays["arr_0"], MASK)


def test_only_the_named_file_is_replaced(tmp_path):
    for name in ("a", "b.v2"):
        path = saved(tmp_path / name, Labels(MASK))
        assert path == str(tmp_path / f"{name}.darl.tif")
        with pytest.raises(FileError, match="already exists"):
            saved(tmp_path / name, Labels(1 - MASK))
        np.testing.assert_array_equal(opened(path).data, MASK)
        saved(Path(path), Labels(1 - MASK))
        np.testing.assert_array_equal(opened(path).data, 1 - MASK)
    assert sorted(os.listdir(tmp_path)) == ["a.darl.tif", "b.v2.darl.tif"]


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.darl.tif", Labels(MASK))

    def full_disk(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tifffile, "imwrite", full_disk)
    with pytest.raises(FileError, match="No space left"):
        saved(tmp_path / "a.darl.tif", Labels(1 - MASK))
    np.testing.assert_array_equal(opened(path).data, MASK)
    assert os.listdir(tmp_path) == ["a.darl.tif"]


def test_provenance_is_of_strings_and_numbers(tmp_path):
    odd = PROVENANCE | {"array": np.zeros(3), "none": None}
    path = saved(tmp_path / "a.darl.tif", Labels(MASK, metadata={"napari-darl": odd}))
    assert output.read_provenance(path) == PROVENANCE
    for metadata in ({}, {"napari-darl": "text"}):
        assert opened(saved(tmp_path / "b.darl.tif", Labels(MASK, metadata=metadata))).metadata == {}


def test_masks_of_the_command_line_open_with_their_pixel_size(tmp_path):
    path = tmp_path / "frame 3.darl.tif"
    output.write_mask(path, ImageData(MASK, pixel_size=(0.3, 0.2), unit="mm"), provenance=PROVENANCE)
    layer = opened(str(path))
    np.testing.assert_array_equal(layer.data, MASK)
    assert geometry(layer) == geometry(Labels(MASK, scale=(1, 0.3, 0.2), units=("pixel", "mm", "mm")))
    assert layer.name == "frame 3"
    assert layer.metadata == {"napari-darl": PROVENANCE}


def test_files_without_geometry_open_with_a_warning(tmp_path):
    path = str(tmp_path / "a.darl.tif")
    tifffile.imwrite(path, MASK.astype(np.uint32) * 7, photometric="minisblack")  # as napari's own writer does
    with pytest.warns(DarlWarning, match="darl.tif"):
        layer = opened(path)
    np.testing.assert_array_equal(layer.data, MASK * 7)
    output.write_mask(path, MASK, provenance={}, notes={"geometry": {"scale": [1, 2, 3, 4]}}, overwrite=True)
    with pytest.warns(DarlWarning, match="geometry of 3 dimensions"):
        layer = opened(path)
    assert geometry(layer) == geometry(Labels(MASK))


def test_files_without_labels_are_refused(tmp_path):
    path = str(tmp_path / "a.darl.tif")
    for image in (np.zeros((40, 50), np.float32), np.zeros((40, 50, 3), np.uint8)):
        tifffile.imwrite(path, image, photometric="rgb" if image.ndim == 3 else "minisblack")
        with pytest.raises(InputError, match="holds an image"):
            opened(path)
    Path(path).write_bytes(b"II*\0 and no more")
    with pytest.raises(FileError):
        opened(path)


def test_a_detectors_pixel_size_stays_one(tmp_path):
    from napari_darl._napari.geometry import AT_DETECTOR, SPACING, at_detector
    from napari_darl._napari.layers import mask_layer

    class Viewer:
        layers = ()

    image = Image(np.zeros((40, 50)), scale=(0.3, 0.3), units=("mm", "mm"), metadata={SPACING: AT_DETECTOR})
    mask = mask_layer(image, Viewer())
    assert at_detector(mask)
    (path,) = write_mask(str(tmp_path / "a.darl.tif"), *mask.as_layer_data_tuple()[:2])
    assert read_image(path).at_detector
    ((_, meta, _),) = read_mask(path)(path)
    assert meta["metadata"][SPACING] == AT_DETECTOR
    image.metadata = {}
    assert not at_detector(mask_layer(image, Viewer()))


def test_a_damaged_mask_is_refused_by_us(tmp_path: Path) -> None:
    path = tmp_path / "a_mask.tif"
    output.write_mask(path, MASK, provenance=PROVENANCE)
    path.write_bytes(path.read_bytes()[:6])
    opened = read_mask(str(path))
    assert opened is not None
    with pytest.raises(FileError, match=r"a_mask\.tif can't be read as a TIFF"):
        opened(str(path))


@pytest.mark.parametrize("notes", ["lost", ["geometry"], 7])
def test_damaged_notes_are_left_out(tmp_path: Path, notes: Any) -> None:
    path = tmp_path / "a_mask.tif"
    tifffile.imwrite(path, MASK, photometric="minisblack", metadata={"provenance": PROVENANCE, "notes": notes})
    ((_, meta, kind),) = read_mask(str(path))(str(path))
    assert (kind, meta["name"], meta["metadata"]) == ("labels", "a_mask", {"napari-darl": PROVENANCE})
