"""Warnings that many images of a command have in common are told once, with the number of images."""

import warnings
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run

from napari_darl.errors import DarlWarning, Warned, about
from napari_darl.io.output import write_mask
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


def told(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]


def test_what_is_about_several_images_waits_and_counts_them() -> None:
    warned = Warned()
    first, same, other = (DarlWarning("Too dark.", image) for image in ("a.png", "a.png", "b.png"))
    assert [warned.add(one) for one in (first, same, other)] == ["", "", ""]
    assert warned.take() == ["2 images (a.png and b.png): Too dark."]
    assert warned.add(first) == ""
    assert warned.take() == []
    assert [warned.add(DarlWarning("No GPU.")) for _ in range(2)] == ["No GPU.", ""]
    for number in range(9):
        warned.add(DarlWarning("Too small.", f"{number}.png"))
    assert warned.take() == ["9 images (0.png, 1.png, 2.png and 6 more): Too small."]


def test_a_warning_names_the_image_that_is_worked_on() -> None:
    with about(Path("images") / "1"):
        assert str(DarlWarning("1 of 2 frames is dark.")) == f"{Path('images') / '1'}: 1 of 2 frames is dark."
    with about("a.png"):
        assert str(DarlWarning("a.png is dark.")) == "a.png is dark."
    assert str(DarlWarning("No GPU.")) == "No GPU."


def test_images_without_vessels_are_counted(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        iio.imwrite(tmp_path / f"{number}.png", FRAME[:, number:])
    command = ("segment", tmp_path, "--model", untrained_path, "--threshold", 0.999, "--output")
    assert run(*command, tmp_path / "out") == 0
    (line,) = told(capsys)
    names = [str(tmp_path / f"{number}.png") for number in range(3)]
    assert line.startswith(f"warning: 4 images ({', '.join(names)} and 1 more): No vessels were found. ")
    assert run("segment", tmp_path / "3.png", *command[2:], tmp_path / "one") == 0
    (line,) = told(capsys)
    assert line.startswith(f"warning: {tmp_path / '3.png'}: No vessels were found. ")


def test_pixels_of_unknown_size_are_told_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mask = np.zeros((64, 64), bool)
    mask[30:34, 8:56] = True
    for name in ("a", "b"):
        write_mask(tmp_path / f"{name}_mask.tif", mask, provenance={})
    assert run("measure", tmp_path, "--output", tmp_path / "out") == 0
    (line,) = told(capsys)
    assert line.startswith(f"warning: 2 images ({tmp_path / 'a_mask.tif'} and {tmp_path / 'b_mask.tif'}): Measured in ")


def test_extremes_in_all_frames_of_movies_are_told_once(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = FRAME.astype(np.uint16)
    frame[0] = np.geomspace(256, 65535, 112)
    for name in ("a", "b"):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.stack([frame, frame[::-1]]), photometric="minisblack")
    command = (tmp_path, "--model", untrained_path, "--resize", 1)
    assert run("segment", *command, "--threshold", 0.01, "--output", tmp_path / "out") == 0
    (line,) = told(capsys)
    assert line.startswith(f"warning: 2 images ({tmp_path / 'a.tif'} and {tmp_path / 'b.tif'}): 96 % of a frame's ")
    assert run("assess", *command) == 0
    (line,) = told(capsys)
    assert line.startswith("warning: 4 images (a_0, a_1, b_0 and 1 more): 96 % of a frame's ")


def test_the_fault_of_each_file_is_told(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, rows in (("a", 5), ("b", 9)):
        frame = FRAME.astype(np.float32)
        frame[:rows] = np.nan
        tifffile.imwrite(tmp_path / f"{name}.tif", frame)
    out = tmp_path / "out"
    assert run("segment", tmp_path, "--model", untrained_path, "--threshold", 0.01, "--output", out) == 0
    first, second = told(capsys)
    assert first.startswith(f"warning: {tmp_path / 'a.tif'} has 560 of 10,752 pixels without a value")
    assert second.startswith(f"warning: {tmp_path / 'b.tif'} has 1,008 of 10,752 pixels without a value")


def test_a_command_leaves_the_warnings_of_python_as_they_were(tmp_path: Path) -> None:
    before = warnings.showwarning, list(warnings.filters)
    assert run("segment", tmp_path / "missing.png", "--output", tmp_path) == 2
    assert (warnings.showwarning, list(warnings.filters)) == before
