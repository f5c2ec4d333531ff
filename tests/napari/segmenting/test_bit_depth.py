"""A 12-bit file gets the same mask in napari as on the command line, whichever reader opened it."""

import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from windows import Window

pytest.importorskip("napari")

from napari.layers import Image
from tifffile import imwrite

from napari_darl._napari.bit_depth import BITS, bit_depth
from napari_darl.cli import main
from napari_darl.darl.checkpoint import save_model
from napari_darl.darl.config import LITE
from napari_darl.darl.model import build
from napari_darl.frames.normalisation import Normalisation
from napari_darl.inference.segment import segment_probability
from napari_darl.io.images import read_image
from napari_darl.samples import sample_angiogram

FRAME = 700 + 3 * sample_angiogram()[200:264, 200:296].astype(np.uint16)  # 12 bits, of which percentiles use a part
MAX_SAMPLE_VALUE = (281, "H", 1, 4095, True)


@pytest.fixture
def by_bits(tmp_path: Path) -> Path:
    """A model with random weights that normalises by bits, as the published one does."""
    config = LITE.model_copy(update={"normalisation": Normalisation(kind="bits")})
    path = tmp_path / "bits.safetensors"
    save_model(path, build(config, seed=0)[0].eval())
    return path


def written(kind: str, folder: Path) -> Path:
    if kind == "DICOM":
        from dicom_files import dataset, saved

        return saved(folder / "frame.dcm", dataset(FRAME, 12))
    path = folder / "frame.tif"
    imwrite(path, FRAME, extratags=[MAX_SAMPLE_VALUE])
    return path


@pytest.mark.parametrize(("kind", "plugin"), [("DICOM", "napari-darl"), ("TIFF", "napari")])
def test_the_mask_is_that_of_the_command_line(
    window: Window, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by_bits: Path, kind: str, plugin: str
) -> None:
    if kind == "DICOM":
        pytest.importorskip("pydicom")
    path = written(kind, tmp_path)
    window.viewer.open(str(path), plugin=plugin)
    widget = window.open_segment(resize=1)
    widget.model.choose(by_bits)
    widget.resize_factor.setValue(1)
    mask = window.segment(widget)
    assert mask.metadata["napari-darl"]["bits"] == 12
    probability = widget._segmenter.result_on(mask).probability
    np.testing.assert_array_equal(probability, segment_probability(FRAME, by_bits, bits=12, resize=1))
    assert not np.array_equal(probability, segment_probability(FRAME, by_bits, resize=1))

    out = tmp_path / "masks"
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)  # which the command line replaces
    arguments = ["segment", path, "--model", by_bits, "--resize", 1, "--output", out]
    monkeypatch.setattr(sys, "argv", ["napari-darl", *map(str, arguments)])
    with pytest.raises(SystemExit, match="0"):
        main()
    (saved,) = (file for file in out.rglob("*.tif*") if "mask" in file.name)
    np.testing.assert_array_equal(read_image(saved).data > 0, mask.data > 0)


def found(data: Any, path: Path | None = None, **metadata: Any) -> int | None:
    layer = Image(data, metadata=metadata)
    if path:
        from napari.layers._source import Source

        layer._source = Source(path=str(path))
    return bit_depth(layer)()


def test_bits_that_contradict_the_values_are_ignored(tmp_path: Path) -> None:
    assert BITS == "bits"
    assert found(FRAME, bits=12) == found(FRAME, bits=np.int64(12)) == 12
    for bits in (None, 0, 65, True, "12", 9):
        assert found(FRAME, bits=bits) is None, bits
    assert found(FRAME.astype(np.float32), bits=12) is None
    assert found(FRAME.astype(np.int16) - 2000, bits=12) is None

    path = written("TIFF", tmp_path)
    assert found(FRAME, path) == 12
    assert found(FRAME, path, bits=13) == 13  # what the user says goes first
    for other in (FRAME * 5, FRAME.astype(np.uint32), FRAME[1:], FRAME.astype(float)):
        assert found(other, path) is None
    path.write_bytes(b"II*\0 and no more")
    assert found(FRAME, path) is None
    assert found(FRAME, tmp_path / "gone.tif") is None
    assert found(FRAME, tmp_path / "frame.png") is None
