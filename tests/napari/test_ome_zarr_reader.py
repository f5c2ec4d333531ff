"""OME-Zarr of the command line in napari: in place, in levels."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import zarr

pytest.importorskip("napari")

from napari.layers import Image, Labels

from napari_darl._napari.mask_files import PLUGIN, prefer_own_reader
from napari_darl._napari.ome_zarr import read_ome_zarr
from napari_darl.errors import FileError
from napari_darl.io.arrays import ImageData
from napari_darl.io.ome_zarr import OmeZarr

MASK = np.random.default_rng(0).integers(0, 2, (3, 40, 600), np.uint8)
MOVIE = ImageData(MASK, axes="TYX", pixel_size=(0.3, 0.2), unit="mm", frame_time=66.7)
MADE = {"model": "default", "threshold": 0.5}


def written(path: Path, image: ImageData[np.ndarray]) -> str:
    layout = OmeZarr.of(image, image.data.shape, (1, 40, 300), image.data.dtype, path)
    layout.create(path, {"napari-darl": MADE})
    zarr.open_array(path / "0", mode="r+")[:] = image.data
    layout.build(path)
    return str(path)


def test_results_open_in_place(make_napari_viewer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_dialog(*_: object, **__: object) -> None:
        pytest.fail("napari asked which reader to use")

    monkeypatch.setattr("napari._qt.qt_viewer.handle_gui_reading", no_dialog)
    prefer_own_reader()
    viewer = make_napari_viewer()
    probability = replace(MOVIE, data=MASK * np.float32(0.5))
    paths = [written(tmp_path / "in_mask.ome.zarr", MOVIE), written(tmp_path / "in_probability.ome.zarr", probability)]
    viewer.window._qt_viewer._qt_open(paths, stack=False)
    mask, chance = viewer.layers
    assert isinstance(mask, Labels)
    assert isinstance(chance, Image)
    for layer, values in ((mask, MASK), (chance, probability.data)):
        np.testing.assert_array_equal(layer.data[0][:], values)
        assert [level.shape for level in layer.data] == [(3, 40, 600), (3, 20, 300)]
        np.testing.assert_allclose(layer.scale, (66.7, 0.3, 0.2))
        assert [f"{unit:D}" for unit in layer.units] == ["millisecond", "millimeter", "millimeter"]
        assert layer.axis_labels == ("t", "y", "x")
        assert layer.metadata[PLUGIN] == MADE
    assert [layer.name for layer in viewer.layers] == ["in_mask", "in_probability"]


def test_zarr_of_other_programs_is_left_to_napari(make_napari_viewer, tmp_path: Path) -> None:
    prefer_own_reader()
    path = tmp_path / "cells_mask.ome.zarr"
    zarr.create_array(path, data=MASK[0])
    viewer = make_napari_viewer()
    (layer,) = viewer.open(path, plugin="napari-darl")
    assert isinstance(layer, Image)
    np.testing.assert_array_equal(layer.data, MASK[0])


def test_all_levels_of_a_result_are_checked(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "in_mask.ome.zarr", MOVIE))
    coarser = json.loads((path / "1" / "zarr.json").read_text())
    coarser["chunk_grid"]["configuration"]["chunk_shape"] = [1, 2**20, 2**20]
    (path / "1" / "zarr.json").write_text(json.dumps(coarser))
    opened = read_ome_zarr(str(path))
    assert opened is not None
    with pytest.raises(FileError, match="too large"):
        opened(str(path))


@pytest.mark.parametrize("shape", [[3, 4000, 5000], [3, 40, 600], [40, 300], [3, 0, 300]])
def test_levels_become_smaller(tmp_path: Path, shape: list[int]) -> None:
    path = Path(written(tmp_path / "in_mask.ome.zarr", MOVIE))
    coarser = json.loads((path / "1" / "zarr.json").read_text())
    chunks = coarser["chunk_grid"]["configuration"]
    coarser["shape"], chunks["chunk_shape"] = shape, chunks["chunk_shape"][: len(shape)]
    coarser.pop("dimension_names", None)
    (path / "1" / "zarr.json").write_text(json.dumps(coarser))
    opened = read_ome_zarr(str(path))
    assert opened is not None
    with pytest.raises(FileError, match="Each level must have as many axes"):
        opened(str(path))


def test_damaged_metadata_are_one_sentence(tmp_path: Path) -> None:
    path = Path(written(tmp_path / "in_mask.ome.zarr", MOVIE))
    whole = json.loads((path / "zarr.json").read_text())
    for levels in (
        [{"path": "0"}, {}],
        [{"path": "0"}, {"path": "9"}],
        [{"path": "0"}, {"path": 1}],
        [{"path": "0"}, 7],
    ):
        whole["attributes"]["ome"]["multiscales"][0]["datasets"] = levels
        (path / "zarr.json").write_text(json.dumps(whole))
        opened = read_ome_zarr(str(path))
        assert opened is not None
        with pytest.raises(FileError, match="can't be read as zarr"):
            opened(str(path))
