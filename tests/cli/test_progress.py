"""What the terminal shows while a command works: the images of a folder, and the frames, tiles or chunks of one."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from command_line import run
from rich.progress import Progress

from napari_darl.io.output import write_mask
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]
Shown = Callable[[], list[tuple[str, int, int]]]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    """What bars say in a terminal: their titles, and the numbers of finished parts and of all, one line a change."""
    lines: list[tuple[str, int, int]] = []
    update = Progress.update

    def recorded(self: Progress, task_id: Any, **changes: Any) -> None:
        update(self, task_id, **changes)
        [task] = [task for task in self.tasks if task.id == task_id]
        if not self.disable and task.visible and task.total is not None:
            lines.append((task.description, int(task.completed), int(task.total)))

    monkeypatch.setattr(Progress, "update", recorded)
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich then takes any file for a terminal
    return lambda: lines


def check(lines: list[tuple[str, int, int]], title: str, total: int) -> None:
    """Check that a bar rises in steps to its end; small frames are segmented several at once."""
    assert {(name, of) for name, _, of in lines} == {(title, total)}
    counts = [done for _, done, _ in lines]
    assert counts == sorted(set(counts))
    assert counts[-1] == total
    lines.clear()


@pytest.fixture
def movie(tmp_path: Path) -> Path:
    path = tmp_path / "movie.tif"
    frames = np.stack([FRAME, np.zeros_like(FRAME), FRAME[::-1]])  # one shows nothing
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path


def test_frames_of_a_movie(tmp_path: Path, movie: Path, untrained_path: Path, shown: Shown) -> None:
    command = ("segment", movie, "--model", untrained_path, "--output")
    assert run(*command, tmp_path / "all") == 0
    check(shown(), "Segmenting movie.tif", 3)
    assert run(*command, tmp_path / "some", "--frames", "0,2") == 0
    assert shown() == [("Segmenting movie.tif", done, 2) for done in (1, 2)]
    shown().clear()
    assert run("assess", movie, "--model", untrained_path) == 0
    assert shown() == [("Assessing movie.tif", done, 3) for done in (1, 2, 3)]


def test_tiles_of_a_large_frame(tmp_path: Path, untrained_path: Path, shown: Shown) -> None:
    iio.imwrite(tmp_path / "large.png", sample_angiogram()[:200, :220])
    command = ("segment", tmp_path / "large.png", "--model", untrained_path, "--resize", 1)
    assert run(*command, "--output", tmp_path) == 0
    assert len(shown()) == 9
    check(shown(), "Segmenting large.png", 9)


def test_all_three_axes_of_a_volume(tmp_path: Path, untrained_path: Path, shown: Shown) -> None:
    tifffile.imwrite(tmp_path / "volume.tif", np.stack([FRAME[:40, :36]] * 34), photometric="minisblack")
    command = ("segment", tmp_path / "volume.tif", "--model", untrained_path, "--resize", 1, "--orthogonal")
    assert run(*command, "--output", tmp_path) == 0
    assert len(shown()) > 40 + 36  # frame by frame along y and x
    check(shown(), "Segmenting volume.tif", 34 + 40 + 36)


def test_chunks_of_zarr(tmp_path: Path, untrained_path: Path, shown: Shown) -> None:
    zarr.create_array(tmp_path / "large.zarr", data=np.tile(FRAME, (3, 3)))
    command = ("segment", tmp_path / "large.zarr", "--model", untrained_path, "--resize", 1)
    assert run(*command, "--output", tmp_path) == 0
    counts = shown()
    assert {title for title, *_ in counts} == {"Segmenting large.zarr"}
    assert [done for _, done, _ in counts] == list(range(counts[-1][2] + 1))
    assert counts[-1][2] > 1


def test_frames_that_are_measured(tmp_path: Path, shown: Shown) -> None:
    mask = np.zeros((4, 64, 64), bool)
    mask[:, 30:34, 8:56] = True
    write_mask(tmp_path / "run_mask.tif", mask, provenance={})
    assert run("measure", tmp_path / "run_mask.tif", "--output", tmp_path) == 0
    assert shown() == [("Measuring run_mask.tif", done, 4) for done in (1, 2, 3, 4)]


def test_images_of_a_folder_and_the_frames_of_those_that_have_some(
    tmp_path: Path, movie: Path, untrained_path: Path, shown: Shown
) -> None:
    iio.imwrite(tmp_path / "a.png", FRAME)
    assert run("segment", tmp_path, "--model", untrained_path, "--output", tmp_path / "out") == 0
    check([line for line in shown() if line[0] != "Segmenting"], "Segmenting movie.tif", 3)


def test_nothing_is_shown_in_a_file(
    tmp_path: Path, movie: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("segment", movie, "--model", untrained_path, "--output", tmp_path / "out") == 0
    assert capsys.readouterr().err == f"1 segmented: {tmp_path / 'out'}\n"
