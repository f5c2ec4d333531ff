"""Which plugin opens and saves which file in napari."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

pytest.importorskip("napari")

from masks import MASK, PLACES, PROVENANCE, opened, saved
from napari.layers import Image, Labels
from npe2 import PluginManifest
from windows import needs_windows

import napari_darl
from napari_darl._napari import mask_files as files
from napari_darl._napari.geometry import geometry
from napari_darl.io import output
from napari_darl.io.arrays import ImageData

pytestmark = [
    pytest.mark.usefixtures("settings"),
    pytest.mark.filterwarnings("ignore:Non-orthogonal slicing"),  # napari, of any rotation out of the plane
]


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
    own = Path(napari_darl.__file__).with_name("napari.yaml")
    manifests = [PluginManifest.from_distribution("napari"), PluginManifest.from_file(own)]
    for manifest in reversed(manifests) if getattr(request, "param", "") == "ours first" else manifests:
        manager.register(manifest)
    return request.getfixturevalue("make_napari_viewer")()


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
