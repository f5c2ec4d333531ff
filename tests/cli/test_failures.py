"""`evaluate` and `noise` go on past files that can't be used, as `segment` does."""

import json
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
from command_line import run

from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Frames or masks, and experts' masks: the second one is damaged, that of the third has another size."""
    first, truth = tmp_path / "first", tmp_path / "truth"
    for folder in (first, truth):
        folder.mkdir()
        for name in "abcd":
            iio.imwrite(folder / f"{name}.png", FRAME)
    (first / "b.png").write_bytes(b"damaged")
    iio.imwrite(truth / "c.png", FRAME[:64])
    return first, truth


def test_evaluate_goes_on(folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    first, truth = folders
    assert run("evaluate", first, truth, "--json") == 2
    told = capsys.readouterr()
    report = json.loads(told.out)
    assert list(report["frames"]) == ["a", "d"]
    assert report["mean"]["dice"] == 1
    errors = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 2
    assert "b.png" in errors[0]
    assert "c.png" in errors[1]
    for name in "ad":
        (first / f"{name}.png").write_bytes(b"damaged")
    assert run("evaluate", first, truth) == 2
    told = capsys.readouterr()
    assert told.out == ""
    assert told.err.count("error: ") == 4


def test_noise_goes_on(
    folders: tuple[Path, Path], untrained_path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first, truth = folders
    iio.imwrite(first / "c.png", np.zeros_like(FRAME))
    iio.imwrite(truth / "c.png", FRAME)
    options = ("--model", untrained_path, "--noise-levels", "50", "--sigmas", "")
    assert run("noise", first, "--truth", truth, *options, "--output", tmp_path / "out") == 2
    told = capsys.readouterr()
    assert "t=50" in told.out
    errors = [line for line in told.err.splitlines() if line.startswith("error: ")]
    assert ["b.png" in errors[0], "c" in errors[1], len(errors)] == [True, True, 2]
    assert {path.name[0] for path in (tmp_path / "out").iterdir()} == {"a", "d"}
