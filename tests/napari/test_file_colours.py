"""Files whose colours or polarity napari's own reader shows in another way: a notification says so."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image as Picture
from windows import Window

pytest.importorskip("napari")

from napari_darl._napari.file_colours import colour_check
from napari_darl.errors import DarlWarning
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[100:228, 60:220]
COLOURS = np.stack([FRAME, FRAME, 255 - FRAME], -1)


def write(folder: Path, kind: str) -> Path:
    path = folder / f"frame.{'jpg' if kind in ('CMYK', 'RGB') else 'tif'}"
    if path.suffix == ".jpg":
        Picture.fromarray(COLOURS).convert(kind).save(path, quality=95)
    elif kind == "MINISWHITE":
        tifffile.imwrite(path, FRAME, photometric="miniswhite")
    elif kind == "CIELAB":
        tifffile.imwrite(path, COLOURS, photometric="cielab")
    else:
        tifffile.imwrite(path, COLOURS, photometric="rgb")
    return path


def opened(window: Window, path: Path) -> Any:
    [layer] = window.viewer.open(str(path), plugin="napari")
    return getattr(layer, "__wrapped__", layer)


@pytest.mark.parametrize(
    ("kind", "told"), [("CMYK", "kind CMYK"), ("CIELAB", "kind CIELAB"), ("MINISWHITE", "0 is white")]
)
def test_other_colours_are_told(window: Window, tmp_path: Path, kind: str, told: str) -> None:
    layer = opened(window, write(tmp_path, kind))
    with pytest.warns(DarlWarning, match=told):
        colour_check(layer)()
    if kind == "MINISWHITE":  # one run is enough
        found = window.segment(window.open_segment(resize=1))
        assert told in window.messages[0]
        assert found.data.shape == FRAME.shape


@pytest.mark.parametrize("kind", ["RGB", "tif"])
def test_usual_colours_are_not(window: Window, tmp_path: Path, kind: str, recwarn: pytest.WarningsRecorder) -> None:
    path = write(tmp_path, kind)
    check = colour_check(opened(window, path))
    recwarn.clear()
    check()
    path.write_bytes(b"II*\0 and no more")
    check()
    path.unlink()
    check()
    assert len(recwarn) == 0
