"""Masks as labels inside of their OME-Zarr image, by the rules of NGFF; labels of others stay as they are."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pydantic_zarr.v2
import pytest
import zarr
from ome_zarr_models.v04 import image as image_04
from ome_zarr_models.v04 import image_label as label_04
from ome_zarr_models.v04 import labels as labels_04
from ome_zarr_models.v05 import image as image_05
from ome_zarr_models.v05 import labels as labels_05

from napari_darl import FileError, InputError, SegmentOptions, Windows, open_image, write_zarr
from napari_darl.io.arrays import ImageData
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.io.zarr_labels import label_path, labels_of, list_label
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:128, :160]


def image_at(path: Path, zarr_format: Any, levels: int = 3) -> Path:
    """Write an OME-Zarr image with levels."""
    made = OmeZarr.of(ImageData(FRAME, axes="YX", pixel_size=(0.3, 0.2), unit="mm"), FRAME.shape, (64, 64), "u2", path)
    made = OmeZarr(**{**vars(made), "zarr_format": zarr_format, "count": levels})
    made.create(path, {"mine": 1})
    zarr.open_array(path / "0", mode="r+")[:] = FRAME
    made.build(path)
    return path


def other_label(image: Path) -> dict[Path, bytes]:
    """Add a label as another program does; return its files."""
    version = 2 if (image / ".zgroup").exists() else 3
    listed = {"labels": ["cells"], "note": "mine"}
    labels = zarr.create_group(
        image / "labels",
        zarr_format=version,
        attributes=listed if version == 2 else {"ome": {"version": "0.5", "labels": ["cells"]}, "note": "mine"},
    )
    labels.create_array("cells/0", shape=(4, 4), dtype="u2")[:] = 7
    return {path: path.read_bytes() for path in (image / "labels" / "cells").rglob("*") if path.is_file()}


def segment_into(image: Path, name: str = "vessels", **options: Any) -> Path:
    path = label_path(image, name)
    write_zarr(Windows(open_image(image), options=SegmentOptions(resize=1)), path, **options)
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("others", [False, True])
def test_a_label_is_written_and_listed(tmp_path: Path, zarr_format: int, others: bool) -> None:
    image = image_at(tmp_path / "in.ome.zarr", zarr_format)
    kept = other_label(image) if others else {}
    path = segment_into(image)
    assert labels_of(image) == ["cells", "vessels"][not others :]
    assert {file: file.read_bytes() for file in kept} == kept
    if others:
        assert zarr.open_group(image / "labels", mode="r").attrs["note"] == "mine"
    assert zarr.open_group(image, mode="r").attrs["mine"] == 1
    label = zarr.open_group(path, mode="r")
    assert [label[level].shape for level in "012"] == [(128, 160), (64, 80), (32, 40)]
    attributes = dict(label.attrs)
    attributes = attributes.get("ome", attributes)
    assert attributes["image-label"]["source"]["image"] == "../.."
    assert len(attributes["multiscales"][0]["datasets"]) == 3
    mask = open_image(path)
    assert (mask.pixel_size, mask.unit, mask.axes) == ((0.3, 0.2), "mm", "YX")
    assert np.asarray(mask.data[:]).any()
    before = {file: file.stat().st_mtime_ns for file in image.rglob("*") if file.is_file()}
    segment_into(image)
    assert {file: file.stat().st_mtime_ns for file in image.rglob("*") if file.is_file()} == before


def test_what_is_written_is_valid(tmp_path: Path) -> None:
    for model in (image_04.Image, label_04.ImageLabel, labels_04.Labels):
        model.model_rebuild(_types_namespace=vars(pydantic_zarr.v2))
    for zarr_format, image_kind, labels_kind in (
        (2, image_04.Image, labels_04.Labels),
        (3, image_05.Image, labels_05.Labels),
    ):
        image = image_at(tmp_path / f"{zarr_format}.ome.zarr", zarr_format)
        segment_into(image)
        found = image_kind.from_zarr(zarr.open_group(image, mode="r"))
        assert found.labels is not None
        labels_kind.from_zarr(zarr.open_group(image / "labels", mode="r"))


def test_labels_of_others_are_never_replaced(tmp_path: Path) -> None:
    image = image_at(tmp_path / "in.ome.zarr", 3)
    kept = other_label(image)
    for overwrite in (False, True):
        with pytest.raises(FileError, match="cells is a label of another program, which is never replaced"):
            segment_into(image, "cells", overwrite=overwrite)
    assert {file: file.read_bytes() for file in kept} == kept
    segment_into(image)
    with pytest.raises(FileError, match="vessels exists already"):
        segment_into(image, provenance={"model": "mine"})
    segment_into(image, provenance={"model": "mine"}, overwrite=True)
    assert labels_of(image) == ["cells", "vessels"]


def test_an_interrupted_label_is_not_listed_and_resumes(tmp_path: Path) -> None:
    image = image_at(tmp_path / "in.ome.zarr", 3)

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        segment_into(image, progress=stop)
    assert labels_of(image) == []
    segment_into(image)
    assert labels_of(image) == ["vessels"]
    (image / "labels" / "zarr.json").unlink()  # as if killed before it was listed
    segment_into(image)
    assert labels_of(image) == ["vessels"]


@pytest.mark.parametrize("zarr_format", [2, 3])
def test_consolidated_metadata_know_the_label(tmp_path: Path, zarr_format: int) -> None:
    image = image_at(tmp_path / "in.ome.zarr", zarr_format)
    import warnings

    with warnings.catch_warnings(action="ignore"):
        zarr.consolidate_metadata(str(image))
    segment_into(image)
    assert "labels/vessels/0" in dict(zarr.open_consolidated(image, mode="r").members(max_depth=None))


def test_bad_names_and_damaged_attributes(tmp_path: Path) -> None:
    image = image_at(tmp_path / "in.ome.zarr", 3)
    for name in ("", "a/b", "../x", ".hidden", "zarr.json"):
        with pytest.raises(InputError, match="A label can't be called"):
            label_path(image, name)
    (image / "labels").mkdir()
    for labels in ("cells", ["x" * 256], ["a\nb"], ["../other"], ["/a"], [""]):
        (image / "labels" / "zarr.json").write_text(json.dumps({"attributes": {"ome": {"labels": labels}}}))
        with pytest.raises(FileError, match="damaged attributes"):
            list_label(image / "labels" / "vessels")


@pytest.mark.parametrize("text", ["[]", '{"attributes": 7}', '{"attributes": {"ome": "mine"}}', "{", '{"labels": "a"}'])
def test_damaged_attributes_of_labels_are_left_alone(tmp_path: Path, text: str) -> None:
    image = image_at(tmp_path / "in.ome.zarr", 3)
    (image / "labels" / "vessels").mkdir(parents=True)
    (image / "labels" / "zarr.json").write_text(text)
    with pytest.raises(FileError, match="labels"):
        list_label(image / "labels" / "vessels")
    assert (image / "labels" / "zarr.json").read_text() == text
