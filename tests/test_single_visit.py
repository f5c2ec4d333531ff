"""On its way to a mask a file is read, its frames are checked and its resize factor is decided exactly once."""

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import zarr

from napari_darl import SegmentOptions, cli, open_image, segment
from napari_darl.inference import context, pipeline, windows
from napari_darl.inference.loading import Model
from napari_darl.io.output import write_png
from napari_darl.samples import sample_angiogram

MOVIE = np.stack([np.roll(sample_angiogram()[:96, :120], 8 * t, 1) for t in range(3)])
_OPENED: Counter[str] = Counter()
_WATCHED: list[Path] = []


def _count(event: str, arguments: tuple[object, ...]) -> None:
    if _WATCHED and event == "open" and isinstance(arguments[0], str | os.PathLike):
        _OPENED[str(arguments[0])] += str(arguments[0]).startswith(str(_WATCHED[0]))


sys.addaudithook(_count)  # it stays, so it looks at nothing unless a test watches a path


@pytest.fixture
def visits(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often images and frames were checked, and factors decided."""
    counted: Counter[str] = Counter()

    def counting(name: str, function: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            counted[name] += 1
            return function(*arguments, **options)

        return call

    for module, name in (
        (windows, "as_image"),
        (pipeline, "missing_pixels"),
        (context, "intensity_range"),
        (pipeline, "checked_resize"),
    ):
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    yield counted
    _WATCHED.clear()


def written(folder: Path, kind: str) -> tuple[Path, int]:
    """Write an image; return its path and how many frames it has."""
    path = folder / f"image.{kind}"
    if kind == "png":
        write_png(path, MOVIE[0])
    elif kind == "npy":
        np.save(path, MOVIE)
    elif kind == "dcm":
        dicom_files = pytest.importorskip("dicom_files")
        dicom_files.saved(path, dicom_files.dataset(MOVIE))
    elif kind == "zarr":
        zarr.create_array(path, data=MOVIE, chunks=(1, 96, 120))
    else:
        tifffile.imwrite(path, MOVIE, photometric="minisblack")
    return path, 1 if kind == "png" else len(MOVIE)


KINDS = ("png", "npy", "tif", "dcm", "zarr")


def check(visits: Counter[str], path: Path, frames: int, hashed: bool = False) -> None:
    assert visits == {"as_image": 1, "checked_resize": 1, "missing_pixels": frames, "intensity_range": frames}
    opened = _OPENED[str(path / "zarr.json" if path.is_dir() else path)]
    assert opened == 1 + hashed


def watch(path: Path) -> None:
    _OPENED.clear()
    _WATCHED[:] = [path]


@pytest.mark.parametrize("kind", KINDS)
def test_from_python(tmp_path: Path, untrained: Model, visits: Counter[str], kind: str) -> None:
    path, frames = written(tmp_path, kind)
    watch(path)
    segment(open_image(path), untrained)
    check(visits, path, frames)


@pytest.mark.parametrize("kind", KINDS)
def test_from_the_command_line(
    tmp_path: Path, untrained_path: Path, visits: Counter[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    path, frames = written(tmp_path, kind)
    options = ["--output", str(tmp_path / "out"), "--model", str(untrained_path), "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", ["napari-darl", "segment", str(path), *options])
    watch(path)
    with pytest.raises(SystemExit) as exit_:
        cli.main()
    assert not exit_.value.code
    check(visits, path, frames, hashed=kind != "zarr")  # the mask carries the hash of its file


def test_the_factor_that_was_decided_comes_back(untrained: Model) -> None:
    estimated = windows.Windows(np.tile(MOVIE, (10, 10)), untrained)
    assert estimated.resize == estimated.options.resize != 1
    assert windows.Windows(MOVIE, untrained, SegmentOptions(resize=0.5)).resize == 0.5
