"""Results as OME-Zarr: valid by an independent library, with axes, units, scale and coarser levels."""

from pathlib import Path
from typing import Any

import numpy as np
import pydantic_zarr.v2
import pytest
import zarr
from ome_zarr_models.v04 import image as image_04
from ome_zarr_models.v04 import image_label as label_04
from ome_zarr_models.v05 import image as image_05
from ome_zarr_models.v05 import image_label as label_05

from napari_darl import DarlWarning, FileError, InputError, SegmentOptions, Windows, evaluate, open_image, write_zarr
from napari_darl.inference.zarr_results import is_result
from napari_darl.io.arrays import ImageData
from napari_darl.io.ome_zarr import OmeZarr
from napari_darl.io.output import write_frames
from napari_darl.samples import sample_angiogram

for model in (
    image_04.Image,
    label_04.ImageLabel,
):  # whose types ome-zarr-models 1.6 leaves undefined with pydantic 2.14
    model.model_rebuild(_types_namespace=vars(pydantic_zarr.v2))
VALID = {2: (image_04.Image, label_04.ImageLabel), 3: (image_05.Image, label_05.ImageLabel)}
MOVIE = ImageData(
    np.zeros((2, 600, 700), np.uint8), axes="TYX", pixel_size=(0.3, 0.2), unit="mm", frame_time=66.7, path=Path("a.tif")
)


def layout(image: ImageData[Any], dtype: type, zarr_format: Any = 3) -> OmeZarr:
    shape = image.data.shape
    made = OmeZarr.of(image, shape, (1,) * (len(shape) - 2) + (256, 256), dtype, Path("mask.ome.zarr"))
    return OmeZarr(**{**vars(made), "zarr_format": zarr_format})


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_what_is_written_is_valid(tmp_path: Path, zarr_format: int, dtype: type) -> None:
    path = tmp_path / "in_mask.ome.zarr"
    layout(MOVIE, dtype, zarr_format).create(path, {"napari-darl": {"model": "default"}})
    group = zarr.open_group(path, mode="r")
    kind = VALID[zarr_format][dtype is np.uint8]
    found = kind.from_zarr(group)
    attributes = found.attributes if zarr_format == 2 else found.attributes.ome
    multiscale = attributes.multiscales[0]
    assert [axis.name for axis in multiscale.axes] == ["t", "y", "x"]
    assert [axis.unit for axis in multiscale.axes] == ["millisecond", "millimeter", "millimeter"]
    first, second = (level.coordinateTransformations for level in multiscale.datasets)
    assert first[0].scale == [66.7, 0.3, 0.2]
    assert second[0].scale == [66.7, 0.6, 0.4]
    assert second[1].translation == [0, 0.15, 0.1]
    assert group["1"].shape == (2, 300, 350)
    if zarr_format == 3:
        assert group["0"].metadata.dimension_names == ("t", "y", "x")
    image = open_image(path)
    assert (image.axes, image.pixel_size, image.unit, image.frame_time) == ("TYX", (0.3, 0.2), "mm", 66.7)


def test_coarser_levels_keep_thin_vessels_and_average_probabilities(tmp_path: Path) -> None:
    values = np.zeros((1, 601, 1301), np.uint8)
    values[0, 5, :] = values[0, :, 1300] = 1
    for dtype in (np.uint8, np.float32):
        made = layout(ImageData(values, axes="ZYX", pixel_size=(1, 1), unit="µm", slice_distance=4), dtype)
        path = tmp_path / f"{dtype.__name__}.ome.zarr"
        made.create(path, {})
        zarr.open_array(path / "0", mode="r+")[:] = values
        made.build(path)
        assert made.scale == (4, 1, 1)
    one, two = (zarr.open_group(tmp_path / f"{name}.ome.zarr", mode="r") for name in ("uint8", "float32"))
    assert [one[level].shape[1:] for level in "012"] == [(601, 1301), (301, 651), (151, 326)]
    assert one["1"][0, 2].all()
    assert one["2"][0, 1].all()
    assert one["1"][0, :, 650].all()
    assert one["1"][:].sum() == 301 + 650
    np.testing.assert_allclose(two["1"][0, 2, :650], 0.5)


@pytest.mark.parametrize(
    ("axes", "leading", "named"), [(None, 1, "tyx"), ("TCZYX", 3, "tczyx"), ("CYX", 1, "cyx"), ("IQYX", 2, "tzyx")]
)
def test_axes_are_named(axes: str | None, leading: int, named: str) -> None:
    image = ImageData(np.zeros((1,) * leading + (40, 40), np.uint8), axes=axes)
    assert layout(image, np.uint8).axes == named


def test_axes_that_ome_zarr_has_not() -> None:
    with pytest.warns(DarlWarning, match="no axes in the order ztyx"):
        assert layout(ImageData(np.zeros((1, 1, 40, 40), np.uint8), axes="ZTYX"), np.uint8).axes == "tzyx"
    with pytest.raises(InputError, match="6 axes"):
        layout(ImageData(np.zeros((1,) * 4 + (40, 40), np.uint8)), np.uint8)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An OME-Zarr image on zarr 2."""
    path = tmp_path / "in.ome.zarr"
    frame = sample_angiogram()[:96, :112]
    image = ImageData(frame, axes="YX", pixel_size=(0.3, 0.3), unit="mm")
    layout(image, np.float32, 2).create(path, {})
    zarr.open_array(path / "0", mode="r+")[:] = frame
    return path


def test_a_result_follows_its_image(tmp_path: Path, source: Path) -> None:
    path = tmp_path / "in_mask.ome.zarr"
    windows = Windows(open_image(source), options=SegmentOptions(resize=1))
    write_zarr(windows, path, tmp_path / "in_probability.ome.zarr")
    found = label_04.ImageLabel.from_zarr(zarr.open_group(path, mode="r"))
    assert found.attributes.image_label.source.image == "../in.ome.zarr"
    assert (path / "0" / "0" / "0").is_file()  # chunks in folders, as NGFF 0.4 wants
    image_04.Image.from_zarr(zarr.open_group(tmp_path / "in_probability.ome.zarr", mode="r"))
    assert evaluate(path, path).frames["in"].dice == 1
    assert is_result(path)


@pytest.mark.parametrize("finished", [True, False])
def test_arrays_of_a_former_version_are_left_alone(tmp_path: Path, source: Path, finished: bool) -> None:
    windows = Windows(open_image(source), options=SegmentOptions(resize=1))
    former = tmp_path / "in_mask.zarr"
    attributes = {"napari-darl": {"model": "default"}}
    zarr.create_array(former, shape=(96, 112), chunks=(96, 112), dtype=np.uint8, attributes=attributes)
    if not finished:
        (former / ".darl-done").write_text("")
    before = sorted((path, path.stat().st_mtime_ns) for path in former.rglob("*"))
    with pytest.warns(DarlWarning, match=r"in_mask\.zarr is an array that a former version wrote"):
        write_zarr(windows, tmp_path / "in_mask.ome.zarr")
    with pytest.raises(FileError, match="is an array that a former version wrote"):
        write_zarr(windows, former)
    assert sorted((path, path.stat().st_mtime_ns) for path in former.rglob("*")) == before


def test_time_and_a_detectors_pixel_size_survive(tmp_path: Path) -> None:
    frame = np.stack([sample_angiogram()[:96, :112]] * 2)
    movie = ImageData(frame, axes="TYX", pixel_size=(0.3, 0.3), unit="mm", at_detector=True, frame_time=66.7)
    write_frames(tmp_path / "movie.tif", movie, provenance={})
    image = open_image(tmp_path / "movie.tif", lazy=True)
    assert (image.at_detector, image.frame_time) == (True, 66.7)
    write_zarr(Windows(image, options=SegmentOptions(resize=1)), tmp_path / "movie_mask.ome.zarr")
    mask = open_image(tmp_path / "movie_mask.ome.zarr")
    assert (mask.at_detector, mask.frame_time, mask.pixel_size) == (True, 66.7, (0.3, 0.3))
    assert not open_image(tmp_path / "movie_mask.ome.zarr" / "0").at_detector
