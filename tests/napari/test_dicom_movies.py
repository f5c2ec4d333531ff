"""DICOM movies in napari: opened, segmented and trained on, in millimetres and without the patient's name."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windows import Window

pytest.importorskip("napari")
pytest.importorskip("pydicom")

import pydicom
from dicom_files import PATIENT, dataset, saved
from napari.layers import Image, Labels

from napari_darl import segment
from napari_darl._napari.dicom import read_dicom
from napari_darl._napari.geometry import geometry
from napari_darl.errors import DarlWarning, FileError
from napari_darl.io.images import read_image
from napari_darl.synthetic.phantom import phantom_movie

FRAMES = np.random.default_rng(0).integers(0, 4096, (5, 40, 50), np.uint16)
XA = {"FrameTime": "66.7", "ImagerPixelSpacing": ["0.308", "0.3"]}


def opened(path: Path) -> Image:
    """Open a file as napari does."""
    reader = read_dicom(str(path))
    assert reader is not None
    [(data, meta, kind)] = reader(str(path))
    assert kind == "image"
    return Image(data, **meta)


def units(layer: Any) -> list[str]:
    return [f"{unit:D}" for unit in layer.units]


def xa(path: Path, frames: int = 4, **elements: Any) -> Path:
    """Write a movie of 12 bits in which contrast agent fills vessels."""
    movie, _ = phantom_movie(frames, (128, 160), np.random.default_rng(8))
    grey = np.rint((movie + 1) * 2047.5).astype(np.uint16)
    return saved(path, dataset(grey, 12, **(XA | elements)))


def test_a_movie_lies_in_millimetres_and_milliseconds(tmp_path):
    elements = {"WindowCenter": "2000", "WindowWidth": "1001"}
    layer = opened(saved(tmp_path / "LCA 30.dcm", dataset(FRAMES, 12, **XA, **elements)))
    np.testing.assert_array_equal(layer.data, FRAMES)
    assert layer.name == "LCA 30"
    np.testing.assert_allclose(layer.scale, (66.7, 0.308, 0.3))
    assert units(layer) == ["millisecond", "millimeter", "millimeter"]
    assert layer.axis_labels == ("t", "y", "x")
    assert layer.contrast_limits == [1499.5, 2499.5]
    assert layer.colormap.name == "gray"
    assert layer.metadata["modality"] == "XA"
    assert layer.metadata["pixel size from"].startswith("ImagerPixelSpacing: at the detector")
    assert PATIENT.split("^")[0] not in repr(layer.as_layer_data_tuple())


def test_unknown_sizes_are_in_pixels(tmp_path):
    layer = opened(saved(tmp_path / "a.dicom", dataset(FRAMES, 12)))
    assert tuple(layer.scale) == (1, 1, 1)
    assert units(layer) == ["pixel"] * 3
    assert layer.contrast_limits == [FRAMES.min(), FRAMES.max()]
    layer = opened(saved(tmp_path / "a.DCM", dataset(FRAMES[0], 12, PixelSpacing=["0.2", "0.1"])))
    np.testing.assert_allclose(layer.scale, (0.2, 0.1))
    assert layer.axis_labels == ("y", "x")
    layer = opened(saved(tmp_path / "a.dcm", dataset(FRAMES[0] * 0)))
    assert layer.contrast_limits == [0, 1]


def test_colours(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (2, 40, 50, 3), np.uint8)
    for data, axes in ((colours, ("t", "y", "x")), (colours[0], ("y", "x"))):
        layer = opened(saved(tmp_path / "a.dcm", dataset(data, modality="OP", **XA)))
        assert layer.rgb
        assert layer.axis_labels == axes
        np.testing.assert_array_equal(layer.data, data)


def test_other_files_are_left_to_other_readers(tmp_path):
    path = str(saved(tmp_path / "a.dcm", dataset(FRAMES)))
    assert read_dicom([path, "a.png"]) is None
    assert read_dicom("a.png") is None
    assert read_dicom("dicom") is None
    (tmp_path / "b.dcm").write_bytes(Path(path).read_bytes()[:2000])
    reader = read_dicom(str(tmp_path / "b.dcm"))
    assert reader is not None
    with pytest.raises(FileError, match="is cut short"):
        reader(str(tmp_path / "b.dcm"))


def test_user_opens_a_movie_segments_it_and_saves_the_mask(
    window: Window, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from napari_darl._napari.commands import segment_vessels

    viewer = window.viewer
    viewer.open(str(xa(tmp_path / "run.dcm")), plugin="napari-darl")
    segment_vessels(viewer)
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    image, mask = viewer.layers
    assert mask.name == "run vessels"
    assert mask.data.shape == image.data.shape
    assert mask.data.any()
    assert geometry(mask) == geometry(image)
    np.testing.assert_allclose(mask.scale, (66.7, 0.308, 0.3))
    assert units(mask) == ["millisecond", "millimeter", "millimeter"]
    np.testing.assert_allclose(mask.extent.world, image.extent.world)
    assert [f"{unit:D}" for unit in viewer.dims.units] == units(image)

    [saved_as] = mask.save(str(tmp_path / "run.darl.tif"))
    viewer.open(saved_as, plugin="napari-darl")
    again = viewer.layers[-1]
    assert isinstance(getattr(again, "__wrapped__", again), Labels)
    assert geometry(again) == geometry(image)
    assert window.messages == []
    assert "Mustermann" not in caplog.text + repr([layer.metadata for layer in viewer.layers])
    assert b"Mustermann" not in Path(saved_as).read_bytes()


def test_a_damaged_file_is_one_notification(window: Window, tmp_path: Path) -> None:
    path = xa(tmp_path / "run.dcm")
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(Exception, match="is cut short"):
        window.viewer.open(str(path), plugin="napari-darl")
    assert len(window.viewer.layers) == 0


def open_train(window: Window, folder: Path) -> Any:
    widget = window.dock("Train a model")
    widget.form.folder.setText(str(folder))
    widget.form.steps.setValue(1)
    widget.form.batch.setValue(1)
    widget.form.backgrounds.choose("first frames of each series")
    widget.form.first_frames.setValue(2)
    return widget


def trained(window: Window, widget: Any) -> bool:
    widget.button.click()
    window.finish()
    return window.messages[-1].startswith("Training is complete.")


@pytest.mark.usefixtures("small_networks")
def test_frames_before_contrast_are_the_backgrounds_of_a_layer(window: Window, tmp_path: Path) -> None:
    window.viewer.open(str(xa(tmp_path / "run.dcm")), plugin="napari-darl")
    widget = open_train(window, tmp_path / "model")
    assert widget.form.angiograms.line.text().startswith("4 frames, 128 x 160")
    assert widget.form.angiograms.reading()().bits == 12
    assert trained(window, widget), window.messages
    shown = [layer for layer in window.viewer.layers if layer.name.startswith("preview: ")]
    assert shown
    assert units(shown[0])[-2:] == ["millimeter"] * 2


@pytest.mark.usefixtures("small_networks")
def test_frames_before_contrast_are_the_backgrounds_of_a_folder(window: Window, tmp_path: Path) -> None:
    (tmp_path / "xa").mkdir()
    for name in ("1.dcm", "2.DCM"):
        xa(tmp_path / "xa" / name)
    widget = open_train(window, tmp_path / "model")
    widget.form.angiograms.choose(tmp_path / "xa")
    assert widget.form.angiograms.line.text().startswith("2 files, ")
    assert trained(window, widget), window.messages


@pytest.mark.parametrize("name", ["IM000001", "1.2.840.113619.2.1.7", "I10", "movie.ima"])
def test_a_file_of_any_name_opens_by_its_content(window: Window, tmp_path: Path, name: str) -> None:
    path = saved(tmp_path / name, dataset(FRAMES, 12, **XA))
    [layer] = window.viewer.open(str(path), plugin=None)
    np.testing.assert_array_equal(layer.data, FRAMES)
    np.testing.assert_allclose(layer.scale, (66.7, 0.308, 0.3))
    assert layer.source.reader_plugin == "napari-darl"


def test_other_files_without_suffix_are_left_to_others(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("no image")
    assert read_dicom(str(tmp_path / "notes")) is None
    assert read_dicom([str(saved(tmp_path / "IM1", dataset(FRAMES))), str(tmp_path / "notes")]) is None


def test_a_series_of_slices_opens_as_a_volume(tmp_path: Path) -> None:
    paths = []
    for at in (2, 0, 1):
        place = {"ImagePositionPatient": ["0", "0", str(3 * at)], "ImageOrientationPatient": list("100010")}
        made = dataset(FRAMES[at], 12, SeriesInstanceUID="1.2.3", SeriesNumber=4, PixelSpacing=["0.5", "0.4"], **place)
        paths.append(str(saved(tmp_path / f"IM{at}", made)))
    paths.append(str(saved(tmp_path / "IM9", dataset(FRAMES, 12, **XA))))
    reader = read_dicom(paths)
    assert reader is not None
    (volume, meta, _), (movie, _, _) = reader(paths)
    np.testing.assert_array_equal(volume, FRAMES[:3])
    np.testing.assert_array_equal(movie, FRAMES)
    layer = Image(volume, **meta)
    np.testing.assert_allclose(layer.scale, (3, 0.5, 0.4))
    assert units(layer) == ["millimeter"] * 3
    assert (layer.name, layer.axis_labels) == ("series 4 (XA)", ("z", "y", "x"))


def test_padding_and_polarity_are_told_and_kept_out(window: Window, tmp_path: Path) -> None:
    path = xa(tmp_path / "a.dcm", frames=1)
    made = pydicom.dcmread(path)
    pixels = made.pixel_array.copy()
    pixels[:40] = 0
    made.PixelData = pixels.tobytes()
    made.PhotometricInterpretation = "MONOCHROME1"
    made.add_new("PixelPaddingValue", "US", 0)
    [(data, meta, _)] = read_dicom(str(saved(path, made)))(str(path))  # type: ignore[misc]
    assert meta["metadata"]["padding"] == (4095, 4095)
    assert meta["metadata"]["bright values"].startswith("inverted")
    assert meta["contrast_limits"][1] < 4095
    layer = window.viewer.add_image(data, **meta)
    found = window.segment(window.open_segment(resize=1)).data
    with pytest.warns(DarlWarning, match="6,400 of"):
        wanted = segment(read_image(path), resize=1)
    np.testing.assert_array_equal(found, wanted)
    assert not found[:40].any()
    assert "6,400 of 20,480 pixels without a value" in window.messages[0]
    assert layer.name in str(window.viewer.layers)
