"""Files as people have them: the window and the command line give the same mask, and the written one lies in place."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from windows import Window

pytest.importorskip("napari")
pytest.importorskip("pydicom")

from dicom_files import dataset, saved
from napari.layers import Labels
from napari_builtins.io import napari_write_image

from napari_darl import cli
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[100:228, 60:220]
MOVIE = np.stack([np.roll(FRAME, 6 * t, axis=1) for t in range(3)])


def movie_without_suffix(folder: Path) -> Path:
    made = dataset(MOVIE.astype(np.uint16) * 16, 12, FrameTime="66.7", PixelSpacing=["0.3", "0.25"])
    return saved(folder / "IM000001", made)


def stack_of_napari(folder: Path) -> Path:
    """Save three frames as napari does, which tags them as the three colours of one."""
    return Path(napari_write_image(str(folder / "stack.tif"), MOVIE, {}))  # type: ignore[arg-type]


def floats_with_nan(folder: Path) -> Path:
    frame = np.full(FRAME.shape, np.nan, np.float32)
    frame[12:-12, 20:-20] = FRAME[12:-12, 20:-20] / 255
    tifffile.imwrite(folder / "registered.tif", frame)
    return folder / "registered.tif"


def burnt_in_text(folder: Path) -> Path:
    frame = FRAME.astype(np.uint16) * 16
    frame[4:8, 4:24] = 65535
    tifffile.imwrite(folder / "text.tif", frame)
    return folder / "text.tif"


def shell(folder: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Segment a file by the command line; return the mask that it wrote."""
    command = ["napari-darl", "segment", str(path), "--output", str(folder / "out"), "--resize", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", command)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    [mask] = (folder / "out").glob("*_mask.tif")
    return mask


def bare(layer: Any) -> Any:
    return getattr(layer, "__wrapped__", layer)


@pytest.mark.filterwarnings("always::napari_darl.DarlWarning")
@pytest.mark.filterwarnings("ignore:<tifffile.TiffWriter.write> data with shape")  # tifffile's, of what napari writes
@pytest.mark.parametrize("write", [movie_without_suffix, stack_of_napari, floats_with_nan, burnt_in_text])
def test_window_and_command_line_agree(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path)
    widget = window.open_segment()
    [image] = window.viewer.open(str(path), plugin=None)
    widget.resize_factor.setValue(1)
    found = bare(window.segment(widget))
    [written] = window.viewer.open(str(shell(tmp_path, path, monkeypatch)), plugin=None)
    assert isinstance(bare(written), Labels)
    np.testing.assert_array_equal(written.data, found.data)
    np.testing.assert_allclose(written.extent.world, image.extent.world)
    assert written.units == image.units
    assert found.data.reshape(-1, *FRAME.shape).any(axis=(1, 2)).all()  # vessels in each frame
    told = [message for message in window.messages if "pixels without a value" in message]
    assert len(told) == (write is floats_with_nan)
    if write is floats_with_nan:
        assert not found.data[:12].any()
