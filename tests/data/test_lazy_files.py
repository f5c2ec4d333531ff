"""Images that are opened without being read."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_darl.data.lazy_files import is_zarr, open_lazily
from napari_darl.errors import FileError

FRAMES = np.arange(3 * 40 * 50, dtype=np.uint16).reshape(3, 40, 50)


@pytest.mark.parametrize("version", [2, 3])
def test_zarr_arrays_and_ome_levels(tmp_path: Path, version: int) -> None:
    group = zarr.open_group(tmp_path / "image.zarr", mode="w", zarr_format=version)
    for name, step in (("0", 1), ("1", 2)):
        level = FRAMES[:, ::step, ::step]
        group.create_array(name, shape=level.shape, chunks=(1, 20, 20), dtype=level.dtype)[:] = level
    scale = {"type": "scale", "scale": [1.0, 0.5, 0.25]}
    axes = [{"name": "t"}, {"name": "y", "unit": "micrometer"}, {"name": "x", "unit": "micrometer"}]
    datasets = [{"path": name, "coordinateTransformations": [scale]} for name in "01"]
    told = {"multiscales": [{"axes": axes, "datasets": datasets}]}
    group.attrs.update({"ome": {"version": "0.5", **told}} if version == 3 else told)
    assert is_zarr(tmp_path / "image.zarr")
    image = open_lazily(tmp_path / "image.zarr")
    assert (image.pixel_size, image.unit) == ((0.5, 0.25), "µm")
    np.testing.assert_array_equal(image.data[1, 5:9], FRAMES[1, 5:9])
    alone = open_lazily(tmp_path / "image.zarr" / "1")
    assert alone.data.shape == (3, 20, 25)


@pytest.mark.parametrize("options", [{}, {"tile": (16, 16), "compression": "zlib"}, {"bigtiff": True}])
def test_tiffs(tmp_path: Path, options: dict[str, object]) -> None:
    tifffile.imwrite(tmp_path / "movie.tif", FRAMES, photometric="minisblack", **options)
    image = open_lazily(tmp_path / "movie.tif")
    assert (image.data.shape, image.data.dtype, image.rgb) == (FRAMES.shape, FRAMES.dtype, False)
    np.testing.assert_array_equal(image.data[2, 3:30, 7:], FRAMES[2, 3:30, 7:])
    tifffile.imwrite(tmp_path / "colours.tif", np.stack([FRAMES[0]] * 3, -1).astype(np.uint8), photometric="rgb")
    assert open_lazily(tmp_path / "colours.tif").rgb


def test_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    group = zarr.open_group(tmp_path / "group.zarr", mode="w")
    group.create_array("mine", shape=(4, 4), dtype="u1")
    with pytest.raises(FileError, match="name one of its arrays"):
        open_lazily(tmp_path / "group.zarr")
    (tmp_path / "group.zarr" / "notes").mkdir()
    with pytest.raises(FileError, match="name one of its arrays"):  # and no warning
        open_lazily(tmp_path / "group.zarr")
    group.attrs["multiscales"] = [{"datasets": [{"path": "../../secret"}]}]
    with pytest.raises(FileError, match="can't be read as zarr"):
        open_lazily(tmp_path / "group.zarr")
    (tmp_path / "broken.zarr").mkdir()
    (tmp_path / "broken.zarr" / "zarr.json").write_text('{"zarr_format": 3, "node_ty')
    with pytest.raises(FileError, match="can't be read as zarr"):
        open_lazily(tmp_path / "broken.zarr")
    tifffile.imwrite(tmp_path / "white.tif", FRAMES, photometric="miniswhite")
    with pytest.raises(FileError, match="MINISWHITE"):
        open_lazily(tmp_path / "white.tif")
