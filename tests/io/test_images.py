"""Files and folders of any kind: arrays, missing files, natural order, and what is read part by part."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile

from napari_darl.errors import FileError
from napari_darl.frames.stacks import read_stack
from napari_darl.io.images import image_paths, open_image, read_image

RNG = np.random.default_rng(0)
COLOURS = RNG.integers(0, 256, (40, 50, 3), np.uint8)
GREY = COLOURS[..., 0]
DEEP = RNG.integers(0, 4096, (5, 40, 50), np.uint16)


def test_arrays(tmp_path):
    np.save(tmp_path / "a.npy", DEEP.astype(">f4"))
    image = read_image(tmp_path / "a.npy")
    np.testing.assert_array_equal(image.data, DEEP)
    assert image.data.dtype.isnative
    assert not image.rgb
    np.save(tmp_path / "a.npy", np.dstack([COLOURS, GREY]))
    image = read_image(tmp_path / "a.npy")
    assert image.rgb
    np.testing.assert_array_equal(image.data, COLOURS)


def test_missing_files_folders_and_suffixes(tmp_path, monkeypatch):
    with pytest.raises(FileError, match=r"a\.tif doesn't exist"):
        read_image(tmp_path / "a.tif")
    with pytest.raises(FileError, match=r"a\.tif doesn't exist"):
        read_stack(tmp_path / "a.tif")
    with pytest.raises(FileError, match="is a folder"):
        read_image(tmp_path)
    (tmp_path / "a.docx").touch()
    with pytest.raises(FileError, match=r"a\.docx .* \.tif, \.tiff, \.png"):
        read_image(tmp_path / "a.docx")
    with pytest.raises(FileError, match="nowhere can't be listed"):
        image_paths(tmp_path / "nowhere")
    with pytest.raises(FileError, match="holds no image"):
        read_stack(tmp_path)
    path = tmp_path / "a.png"
    iio.imwrite(path, GREY)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(FileError, match=r"a\.png can't be opened. Check its permissions"):
        read_image(path)


def test_a_folder_is_read_in_natural_order(tmp_path):
    for number in (10, 2, 1):
        iio.imwrite(tmp_path / f"Frame_{number}.png", np.full((40 + number, 50), number, np.uint8))
    iio.imwrite(tmp_path / "frame_3.PNG", COLOURS)
    tifffile.imwrite(tmp_path / "frame_20.tif", DEEP)
    iio.imwrite(tmp_path / ".hidden.png", GREY)
    (tmp_path / "notes.txt").write_text("none")
    (tmp_path / "folder.png").mkdir()
    names = [path.name for path in image_paths(tmp_path)]
    assert names == ["Frame_1.png", "Frame_2.png", "frame_3.PNG", "Frame_10.png", "frame_20.tif"]
    frames = read_stack(tmp_path).frames
    assert [frame.shape[0] for frame in frames] == [41, 42, 40, 50, *[40] * 5]
    np.testing.assert_array_equal(frames[2], COLOURS[..., 1])


def test_one_function_decides_what_is_read_whole(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.create_array(tmp_path / "a.zarr", shape=DEEP.shape, dtype=DEEP.dtype)[:] = DEEP
    tifffile.imwrite(tmp_path / "a.tif", DEEP)
    for name, lazy, whole in [
        *(("a.zarr", None, False), ("a.zarr", True, False), ("a.zarr", False, True)),
        *(("a.tif", None, True), ("a.tif", True, False), ("a.tif", False, True)),
    ]:
        image = open_image(tmp_path / name, lazy=lazy)
        assert isinstance(image.data, np.ndarray) == whole, (name, lazy)
        assert image.path == tmp_path / name
        np.testing.assert_array_equal(image.data[...], DEEP)
    iio.imwrite(tmp_path / "a.png", GREY)
    with pytest.raises(FileError, match=r"a\.png"):
        open_image(tmp_path / "a.png", lazy=True)
