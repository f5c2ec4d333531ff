"""`napari-darl segment` on many files: it goes on past bad ones, resumes, and replaces nothing unasked."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run

from napari_darl import segment, segment_probability
from napari_darl.io.output import read_description, read_provenance, write_mask
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Three good files and two bad ones."""
    folder = tmp_path / "images"
    folder.mkdir()
    iio.imwrite(folder / "a.png", FRAME)
    (folder / "b.png").write_bytes(b"no picture")
    tifffile.imwrite(folder / "c.tif", np.full((64, 64), np.nan, np.float32))
    np.save(folder / "d.npy", np.stack([FRAME, FRAME[::-1]]))
    iio.imwrite(folder / "e.png", FRAME[:, ::-1])
    return folder


def times(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_bad_files_are_reported_at_the_end_and_the_rest_resumes(
    tmp_path: Path, folder: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    command = ("segment", folder, folder / "a.png", "--output", out, "--model", untrained_path)  # a.png counts once
    assert run(*command) == 2
    *_, counted, first, second = capsys.readouterr().err.splitlines()
    assert counted == f"3 segmented, 2 failed: {out}"
    assert first.startswith(f"error: {folder / 'b.png'} is damaged")
    assert second.startswith(f"error: {folder / 'c.tif'}")
    before = times(out)
    assert sorted(before) == ["a_mask.tif", "d_mask.tif", "e_mask.tif"]

    (folder / "b.png").unlink()
    iio.imwrite(folder / "c.tif", FRAME[::-1])
    assert run(*command) == 0
    assert f"3 done before, 1 segmented: {out}" in capsys.readouterr().err
    assert before.items() <= times(out).items()
    np.testing.assert_array_equal(tifffile.imread(out / "c_mask.tif"), 255 * segment(FRAME[::-1], untrained_path))


def test_assess_goes_on_past_bad_files(folder: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("assess", folder, "--model", untrained_path, "--json") == 2
    told = capsys.readouterr()
    assert list(json.loads(told.out)["frames"]) == ["a", "c", "d_0", "d_1", "e"]  # c shows nothing, and scores 0
    assert told.err.splitlines()[-1].startswith(f"error: {folder / 'b.png'} is damaged")


def test_results_of_anything_else_are_left_unless_asked(
    tmp_path: Path, folder: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for name in ("b.png", "c.tif"):
        (folder / name).unlink()
    command = ("segment", folder, "--output", out, "--model", untrained_path)
    out.mkdir()
    tifffile.imwrite(out / "a_mask.tif", np.zeros((96, 112), np.uint8))
    assert run(*command) == 2  # a_mask.tif is somebody's
    assert "a_mask.tif exists, and doesn't say which image" in capsys.readouterr().err
    before = times(out)

    iio.imwrite(folder / "e.png", FRAME)  # another image of the same name
    assert run(*command, "--threshold", 0.4) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "3 left" in told
    assert "e_mask.tif was made from another image" in told
    assert "d_mask.tif was made with other settings: the defaults instead of threshold 0.4." in told
    assert "pass --overwrite" in told
    assert run(*command, "--model", "default") == 2
    assert f"by another model, {untrained_path.name}" in capsys.readouterr().err
    assert times(out) == before

    assert run(*command, "--overwrite", "--threshold", 0.4) == 0
    assert all(times(out)[name] > at for name, at in before.items())
    assert run(*command, "--threshold", 0.4, "--probability") == 0  # the masks are left, the probabilities added
    assert len(list(out.iterdir())) == 6
    assert run(*command, "--threshold", 0.4, "--probability") == 0
    assert "3 done before" in capsys.readouterr().err


def test_an_edited_mask_is_never_replaced(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    iio.imwrite(tmp_path / "a.png", FRAME)
    command = ("segment", tmp_path / "a.png", "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command) == 0
    mask = tmp_path / "out" / "a_mask.tif"
    write_mask(mask, np.ones((96, 112)) > 0, provenance=read_provenance(mask) | {"edited": True}, overwrite=True)
    before = mask.read_bytes()
    for more in ((), ("--overwrite",), ("--overwrite", "--threshold", 0.3)):
        assert run(*command, *more) == 0
        assert "1 edited" in capsys.readouterr().err
    assert mask.read_bytes() == before


def test_masks_say_nothing_of_folders_or_patients(tmp_path: Path, untrained_path: Path) -> None:
    dicom_files = pytest.importorskip("dicom_files")
    home = tmp_path / "Mueller"
    home.mkdir()
    model = home / "model.safetensors"
    shutil.copy(untrained_path, model)
    dicom_files.saved(home / "Mueller_Eva.dcm", dicom_files.dataset(np.stack([FRAME] * 2)))
    iio.imwrite(home / "a.png", FRAME)
    assert run("segment", home, "--output", tmp_path / "out", "--model", model) == 0
    assert read_provenance(tmp_path / "out" / "a_mask.tif")["source"] == "a.png"
    for mask in (tmp_path / "out").iterdir():
        assert "Mueller" not in str(read_description(mask))


def test_series_folders_become_one_mask_each(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for series, frames in (("run_1", [FRAME, FRAME[::-1], FRAME]), ("run_2", [FRAME]), ("mixed", [FRAME, FRAME[:50]])):
        (tmp_path / "in" / series).mkdir(parents=True)
        for number, frame in enumerate(frames, 9):  # frame_10 comes after frame_9
            iio.imwrite(tmp_path / "in" / series / f"frame_{number}.png", frame)
    command = ("segment", tmp_path / "in", "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command) == 2
    assert "mixed aren't alike (96 x 112 uint8; 50 x 112 uint8)" in capsys.readouterr().err
    expected = np.stack([segment(frame, untrained_path) for frame in (FRAME, FRAME[::-1], FRAME)])
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "run_1_mask.tif"), 255 * expected)
    assert tifffile.imread(tmp_path / "out" / "run_2_mask.tif").shape == (1, 96, 112)
    assert run(*command) == 2
    assert "2 done before, 1 failed" in capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_batch_resumes(tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder, out = tmp_path / "in", tmp_path / "out"
    folder.mkdir()
    for number in range(12):
        iio.imwrite(folder / f"{number}.png", np.roll(FRAME, number, 1))
    (folder / "bad.png").write_bytes(b"")
    command = ("segment", folder, "--output", out, "--model", untrained_path)
    code = "from napari_darl.cli import main; main()"
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, command)], stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(out.glob("*_mask.tif"))) < 4:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    before = times(out)
    masks = {name: at for name, at in before.items() if name.endswith("_mask.tif")}
    assert 4 <= len(masks) < 12
    assert run(*command) == 2
    told = capsys.readouterr().err
    assert f"{len(masks)} done before, {12 - len(masks)} segmented, 1 failed" in told
    assert "bad.png is an empty file" in told
    assert masks.items() <= times(out).items()
    for number in range(12):
        expected = 255 * segment(np.roll(FRAME, number, 1), untrained_path)
        np.testing.assert_array_equal(tifffile.imread(out / f"{number}_mask.tif"), expected)


def test_ctrl_c_stops_and_the_rest_is_left_for_later(
    tmp_path: Path,
    folder: Path,
    untrained_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from napari_darl.batch import segmenting

    def interrupted(*arguments: object, **options: object) -> None:
        write_mask(*arguments, **options)  # type: ignore[arg-type]
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(segmenting, "write_mask", interrupted)
    command = ("segment", folder, "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command) == 2
    assert "Stopped after 1 of 5 images. The same command resumes" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a_mask.tif"]
    monkeypatch.undo()
    run(*command)
    assert "1 done before, 2 segmented, 2 failed" in capsys.readouterr().err


def test_a_volume_is_segmented_along_three_axes(tmp_path: Path, untrained_path: Path) -> None:
    volume = np.random.default_rng(0).integers(0, 255, (32, 40, 48)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "volume.tif", volume)
    options = ("--model", untrained_path, "--probability", "--resize", 1)
    assert run("segment", tmp_path / "volume.tif", "--output", tmp_path / "out", "--slice-distance", 2, *options) == 2
    command = ("segment", tmp_path / "volume.tif", "--output", tmp_path / "out", *options)
    assert run(*command, "--orthogonal", "--slice-distance", 2) == 0
    found = tifffile.imread(tmp_path / "out" / "volume_probability.tif")
    expected = segment_probability(volume, untrained_path, resize=1, orthogonal=True, slice_distance=2)
    np.testing.assert_array_equal(found, expected)
    assert read_provenance(tmp_path / "out" / "volume_mask.tif")["slice_distance"] == 2
    assert run(*command) == 2  # made along three axes, so it isn't taken for the result along one
