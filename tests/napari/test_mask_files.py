import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

import napari.settings
from napari.layers import Image, Labels
from npe2 import PluginManifest
from windows import needs_windows

import napari_darl
from napari_darl._napari import mask_files as files
from napari_darl._napari.geometry import geometry
from napari_darl._napari.mask_files import read_mask, write_mask
from napari_darl.errors import DarlWarning, FileError, InputError
from napari_darl.io import output
from napari_darl.io.arrays import ImageData
from napari_darl.io.images import read_image

pytestmark = pytest.mark.filterwarnings("ignore:Non-orthogonal slicing")  # napari, of any rotation out of the plane

RNG = np.random.default_rng(0)
MASK = RNG.integers(0, 2, (5, 40, 50), np.uint8)
PROVENANCE = {"model": "default", "threshold": 0.5}
PLACES: dict[int, dict[str, Any]] = {
    2: {
        "scale": (0.3, 0.2),
        "translate": (-7, 40.5),
        "rotate": 25,
        "shear": [0.3],
        "affine": np.array([[1.1, 0.2, 3], [-0.1, 0.9, -4], [0, 0, 1]]),
        "units": ("mm", "mm"),
        "axis_labels": ("y", "x"),
    },
    3: {
        "scale": (1.5, 0.3, 0.2),
        "translate": (2, -7, 40.5),
        "rotate": (5, 10, 25),
        "shear": [0.1, 0.2, 0.3],
        "affine": np.array([[1.1, 0.2, 0, 3], [-0.1, 0.9, 0.1, -4], [0, 0.3, 1, 7], [0, 0, 0, 1]]),
        "units": ("mm", "um", "um"),
        "axis_labels": ("z", "y", "x"),
    },
}


@pytest.fixture(autouse=True)
def settings(tmp_path_factory, monkeypatch):
    """Settings of napari that are independent of those of the user who runs the tests."""
    fresh = napari.settings.NapariSettings(tmp_path_factory.mktemp("settings") / "settings.yaml")
    monkeypatch.setattr(napari.settings, "_SETTINGS", fresh)
    return fresh


def saved(path: Path, layer: Labels) -> str:
    """Save a layer as napari does, and return the path."""
    return write_mask(str(path), *layer.as_layer_data_tuple()[:2])[0]


def opened(path: str) -> Labels:
    """Open a file as napari does."""
    reader = read_mask(path)
    assert reader is not None
    [(data, meta, kind)] = reader(path)
    assert kind == "labels"
    return Labels(data, **meta)


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


def test_napari_learns_once_which_reader_opens_our_files(tmp_path, settings):
    saved(tmp_path / "a.tif", Labels(MASK))
    assert settings.plugins.extension2reader == {}
    settings.plugins.extension2reader = {"*.tif": "other", "*.darl.tiff": "napari"}
    saved(tmp_path / "a.darl.tif", Labels(MASK))
    folders = (
        f"*{name}{os.sep}" for name in ("_mask.ome.zarr", "_probability.ome.zarr", f".zarr{os.sep}labels{os.sep}*")
    )
    ome = ("*_mask.ome.tif", "*_probability.ome.tif")
    results = ("*_mask.tif", "*_probability.tif", "*_uncertainty.tif", *ome, *folders)
    expected = {"*.darl.tif": "napari-darl", "*.darl.tiff": "napari", **dict.fromkeys(results, "napari-darl")}
    expected["*.tif"] = "other"
    assert list(settings.plugins.extension2reader.items()) == list(expected.items())


@pytest.fixture
def viewer(request, settings):
    """A viewer with napari's own plugin and this one, in an order that the test can choose."""
    needs_windows(request.config)
    manager = request.getfixturevalue("npe2pm")
    manifests = [PluginManifest.from_distribution("napari"), own_manifest()]
    for manifest in reversed(manifests) if getattr(request, "param", "") == "ours first" else manifests:
        manager.register(manifest)
    return request.getfixturevalue("make_napari_viewer")()


def own_manifest() -> PluginManifest:
    path = Path(napari_darl.__file__).with_name("napari.yaml")
    if path.exists() and "read_mask" in path.read_text(encoding="utf-8"):
        return PluginManifest.from_file(path)
    commands = [
        {"id": f"napari-darl.{name}", "title": name, "python_name": f"napari_darl._napari.mask_files:{name}"}
        for name in ("write_mask", "read_mask")
    ]
    writer = {
        "command": "napari-darl.write_mask",
        "display_name": "mask",
        "layer_types": ["labels"],
        "filename_extensions": list(files.MASK_SUFFIXES),
    }
    reader = {"command": "napari-darl.read_mask", "filename_patterns": [f"*{suffix}" for suffix in files.MASK_SUFFIXES]}
    contributions = {"commands": commands, "readers": [reader], "writers": [writer]}
    return PluginManifest(name="napari-darl", display_name="DARL", contributions=contributions)


def no_dialog(*_: Any, **__: Any) -> None:
    raise AssertionError("napari asks which reader to take")


BOTH_ORDERS = pytest.mark.parametrize("viewer", ["napari first", "ours first"], indirect=True)


@BOTH_ORDERS
def test_a_viewer_saves_and_opens_a_mask(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", no_dialog)
    paths = [str(tmp_path / "a.darl.tif"), str(tmp_path / "b.darl.tiff")]
    for ndim, place in PLACES.items():  # in one viewer, for they are slow to open
        mask = MASK if ndim == 3 else MASK[0]
        layer = viewer.add_labels(mask, name="LAD", metadata={"napari-darl": PROVENANCE}, **place)
        kept, extent = geometry(layer), layer.extent.world
        assert viewer.layers["LAD"].save(paths[0]) == paths[:1]
        assert viewer.layers.save(paths[1], selected=True) == paths[1:]
        viewer.layers.clear()
        viewer.open(paths[0], plugin=None)
        viewer.window._qt_viewer._qt_open([paths[1]], stack=False)  # of File > Open and of dropped files
        assert [again.name for again in viewer.layers] == ["LAD", "LAD [1]"]
        for again in viewer.layers:
            assert isinstance(again, Labels)
            np.testing.assert_array_equal(again.data, mask)
            assert geometry(again) == kept
            np.testing.assert_allclose(again.extent.world, extent, atol=1e-6)
            assert again.metadata == {"napari-darl": PROVENANCE}
            assert again.source.reader_plugin == "napari-darl"
            again.paint((0,) * (ndim - 2) + (10, 10), 3)
            assert again.data.max() == 3
        viewer.layers.clear()


@BOTH_ORDERS
def test_other_tiff_files_are_opened_and_saved_as_before(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", no_dialog)
    path = str(tmp_path / "cells.tif")
    viewer.add_labels(MASK * 3)
    assert viewer.layers[0].save(path) == [path]
    np.testing.assert_array_equal(tifffile.imread(path), MASK * 3)
    with tifffile.TiffFile(path) as tiff:
        assert "notes" not in tiff.shaped_metadata[0]
    tifffile.imwrite(tmp_path / "frame.tif", MASK[0] * 200)
    viewer.layers.clear()
    viewer.window._qt_viewer._qt_open([path, str(tmp_path / "frame.tif")], stack=False)
    assert [layer.source.reader_plugin for layer in viewer.layers] == ["napari", "napari"]
    np.testing.assert_array_equal(viewer.layers[0].data, MASK * 3)
    np.testing.assert_array_equal(viewer.layers[1].data, MASK[0] * 200)


@BOTH_ORDERS
def test_results_of_the_command_line_open_in_place(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", no_dialog)
    files.prefer_own_reader()  # as the plugin does when it is first used
    movie = ImageData(MASK, pixel_size=(0.3, 0.2), unit="mm", axes="TYX", frame_time=66.7)
    paths = [str(tmp_path / f"LCA 30_{kind}.tif") for kind in ("mask", "probability")]
    output.write_mask(paths[0], movie, provenance=PROVENANCE)
    output.write_frames(paths[1], replace(movie, data=MASK * np.float32(0.7)), provenance=PROVENANCE)
    viewer.window._qt_viewer._qt_open(paths, stack=False)
    mask, probability = viewer.layers
    assert isinstance(mask, Labels)
    np.testing.assert_array_equal(mask.data, MASK)
    assert isinstance(probability, Image)
    np.testing.assert_array_equal(probability.data, MASK * np.float32(0.7))
    for layer, name in zip(viewer.layers, ("LCA 30_mask", "LCA 30_probability"), strict=True):
        assert layer.name == name
        np.testing.assert_allclose(layer.scale, (66.7, 0.3, 0.2))
        assert [f"{unit:D}" for unit in layer.units] == ["millisecond", "millimeter", "millimeter"]
        assert layer.axis_labels == ("t", "y", "x")


@BOTH_ORDERS
def test_masks_of_other_programs_open_as_before(viewer, tmp_path, monkeypatch):
    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", no_dialog)
    files.prefer_own_reader()
    path = str(tmp_path / "cells_mask.tif")
    for data, kind in ((MASK[0] * 200, Image), (MASK.astype(np.uint32) * 3, Labels)):
        tifffile.imwrite(path, data, photometric="minisblack")
        viewer.window._qt_viewer._qt_open([path], stack=False)
        assert isinstance(viewer.layers[-1], kind)
        np.testing.assert_array_equal(viewer.layers[-1].data, data)
    viewer.window._qt_viewer._qt_open([path, path], stack=True)
    assert viewer.layers[-1].data.shape == (2, *MASK.shape)


def test_the_save_dialog_offers_our_file_type(viewer, tmp_path, monkeypatch):
    from qtpy.QtWidgets import QFileDialog

    viewer.add_labels(MASK, name="LAD", **PLACES[3])
    asked: dict[str, str] = {}

    def answer(*_: Any, filter: str, **__: Any) -> tuple[str, str]:
        ours = [entry for entry in filter.split(";;") if ".darl.tif" in entry]
        asked["filter"] = ours[0]
        return str(tmp_path / "LAD"), ours[0]

    monkeypatch.setattr(QFileDialog, "getSaveFileName", answer)
    viewer.window._qt_viewer._save_layers_dialog(selected=True)
    assert asked["filter"].endswith("(*.darl.tif *.darl.tiff)")
    assert os.listdir(tmp_path) == ["LAD.darl.tif"]
    assert geometry(opened(str(tmp_path / "LAD.darl.tif"))) == geometry(viewer.layers[0])


def test_napari_asks_once_about_files_from_elsewhere(viewer, tmp_path, monkeypatch, settings):
    path = saved(tmp_path / "a.darl.tif", Labels(MASK))
    settings.plugins.extension2reader = {}
    asked = []

    def choose(paths: list[str], qt_viewer: Any, stack: bool, **_: Any) -> None:
        asked.append(paths)
        qt_viewer.viewer.open(paths, stack=stack, plugin="napari-darl")

    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", choose)
    for _ in range(2):
        viewer.window._qt_viewer._qt_open([path], stack=False)
    assert asked == [[path]]
    assert [type(layer) for layer in viewer.layers] == [Labels, Labels]


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
