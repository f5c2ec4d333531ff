"""`segment --like`: a mask's own metadata repeats what made it."""

import shutil
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run

from napari_darl.batch.replay import segment_command, settings_of
from napari_darl.samples import sample_angiogram


@pytest.fixture
def made(tmp_path: Path, untrained_path: Path) -> Path:
    """A mask of a colour image, made by the untrained model with options of all kinds."""
    frame = sample_angiogram()[:96, :112]
    iio.imwrite(tmp_path / "it's.png", np.stack([frame, frame[::-1], frame // 2], -1))
    options = ("--threshold", 0.4, "--hysteresis", 0.1, "--smallest-piece", 5, "--bright", "--resize", 1.5)
    common = ("--output", tmp_path / "first", "--model", untrained_path, "--channel", "blue")
    assert run("segment", tmp_path / "it's.png", *common, *options) == 0
    return tmp_path / "first" / "it's_mask.tif"


def test_the_same_mask_comes_again(tmp_path: Path, made: Path, untrained_path: Path) -> None:
    like = ("segment", tmp_path / "it's.png", "--output", tmp_path / "again", "--like", made)
    assert run(*like, "--model", untrained_path) == 0
    again = tmp_path / "again" / "it's_mask.tif"
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(made))
    assert settings_of(again) == settings_of(made)
    assert tifffile.imread(made).any()


def test_a_command_made_of_the_settings_gives_the_same(tmp_path: Path, made: Path, untrained_path: Path) -> None:
    import shlex
    from dataclasses import replace

    settings = replace(settings_of(made), model=str(untrained_path))
    words = shlex.split(segment_command(settings, str(tmp_path / "it's.png"), str(tmp_path / "again")))
    assert words[0] == "napari-darl"
    assert run(*words[1:]) == 0
    again = tmp_path / "again" / "it's_mask.tif"
    np.testing.assert_array_equal(tifffile.imread(again), tifffile.imread(made))


def test_what_cant_be_repeated_is_refused(
    tmp_path: Path, made: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    like = ("segment", tmp_path / "it's.png", "--output", tmp_path / "again", "--like", made)
    for extra, said in (
        (("--model", untrained_path, "--threshold", 0.5), "Leave --threshold out"),
        (("--model", untrained_path, "--dark"), "Leave --bright or --dark out"),
        (("--model", "default"), "isn't the model that made the mask"),
    ):
        assert run(*like, *extra) == 2
        assert said in " ".join(capsys.readouterr().err.split())
    tifffile.imwrite(tmp_path / "other.tif", np.zeros((9, 9), np.uint8))
    assert run(*like[:-1], tmp_path / "other.tif") == 2
    assert "doesn't say with which settings" in " ".join(capsys.readouterr().err.split())
    assert run(*like[:-1], tmp_path / "missing.tif") == 2
    assert not (tmp_path / "again").exists() or not list((tmp_path / "again").iterdir())
    shutil.rmtree(tmp_path / "first")
