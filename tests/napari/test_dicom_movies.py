"""A DICOM movie, opened and segmented by one click."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pydicom")

from dicom_files import write_dicom

from napari_darl._napari.commands import segment_vessels
from napari_darl.data.samples import sample_angiogram

MOVIE = np.stack([np.roll(sample_angiogram()[:128, :160], 3 * t, 1) for t in range(3)])


def test_a_movie_is_segmented_in_its_place_in_millimetres(window: Any, tmp_path: Path) -> None:
    path = write_dicom(
        tmp_path / "run.dcm", MOVIE, PixelSpacing=[0.3, 0.2], FrameTime=40, WindowCenter=90, WindowWidth=80
    )
    viewer = window.viewer
    viewer.open(path, plugin="napari-darl")
    image = viewer.layers[0]
    assert image.name == "run"
    np.testing.assert_allclose(image.scale, (40, 0.3, 0.2))
    assert [str(unit) for unit in image.units] == ["millisecond", "millimeter", "millimeter"]
    assert tuple(image.contrast_limits) == (50, 130)
    assert image.axis_labels == ("t", "y", "x")
    assert "Doe" not in json.dumps(image.metadata, default=str)
    segment_vessels(viewer)
    window.wait(lambda: len(viewer.layers) == 2 and not window.busy())
    mask = viewer.layers[1]
    assert mask.data.shape == MOVIE.shape
    assert mask.data.any()
    np.testing.assert_allclose(mask.scale, image.scale)
    assert mask.units == image.units
    np.testing.assert_allclose(mask.extent.world, image.extent.world)


def test_a_damaged_file_is_one_sentence(window: Any, tmp_path: Path) -> None:
    path = tmp_path / "cut.dcm"
    path.write_bytes(write_dicom(tmp_path / "run.dcm", MOVIE).read_bytes()[:5000])
    with pytest.raises(Exception, match="cut short"):
        window.viewer.open(path, plugin="napari-darl")
