"""`--channel`, `--frames` and `--bits`: the same in every command that reads images."""

import json
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run

from napari_darl import SegmentOptions, Windows, cli, segment
from napari_darl.io.output import read_description, read_provenance
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[:96, :112]
RED = np.stack([FRAME, np.full_like(FRAME, 7), np.zeros_like(FRAME)], -1)
CELLS = np.stack([FRAME // 2, FRAME[::-1], FRAME])


def test_a_red_signal(tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    iio.imwrite(tmp_path / "red.png", RED)
    command = ("segment", tmp_path / "red.png", "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command) == 2
    assert "Of its colours, red shows something" in " ".join(capsys.readouterr().err.split())
    assert run(*command, "--channel", "red") == 0
    expected = 255 * segment(FRAME, untrained_path)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "red_mask.tif"), expected)
    assert json.loads(str(read_provenance(tmp_path / "out" / "red_mask.tif")["settings"])) == {"channel": "red"}
    assert run(*command, "--channel", "purple", "--overwrite") == 2
    assert "no channel 'purple'" in capsys.readouterr().err


def test_channels_of_a_microscope_lie_over_the_image(tmp_path: Path, untrained_path: Path) -> None:
    names = {"Channel": {"Name": ["a", "b", "CD31"]}}
    tifffile.imwrite(tmp_path / "stack.ome.tif", np.stack([CELLS, CELLS]), metadata={"axes": "ZCYX"} | names)
    tifffile.imwrite(tmp_path / "plane.ome.tif", CELLS, metadata={"axes": "CYX"} | names)
    command = ("segment", tmp_path, "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command, "--channel", "cd31") == 0
    expected = 255 * segment(FRAME, untrained_path)
    plane, stack = (tmp_path / "out" / f"{name}_mask.tif" for name in ("plane", "stack"))
    np.testing.assert_array_equal(tifffile.imread(plane), expected)
    np.testing.assert_array_equal(tifffile.imread(stack), np.stack([expected[None]] * 2))
    told = read_description(stack)
    assert told is not None
    assert told["notes"]["geometry"]["translate"] == [0, 2, 0, 0]
    zarr = pytest.importorskip("zarr")
    assert run(*command[:1], tmp_path / "stack.ome.tif", *command[2:], "--channel", 2, "--zarr") == 0
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "out" / "stack_mask.ome.zarr" / "0")[:] * 255, [[expected]] * 2
    )


def test_chosen_frames(tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    movie = np.stack([np.roll(FRAME, shift, 1) for shift in range(5)])
    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="minisblack")
    command = ("segment", tmp_path / "movie.tif", "--output", tmp_path / "out", "--model", untrained_path)
    assert run(*command, "--frames", "1,3-") == 0
    mask = tifffile.imread(tmp_path / "out" / "movie_mask.tif")
    for number in range(5):
        expected = 255 * segment(movie[number], untrained_path) if number in (1, 3, 4) else np.zeros_like(FRAME)
        np.testing.assert_array_equal(mask[number], expected)
    assert run(*command, "--frames", "5", "--overwrite") == 2
    assert "no frame 5, since there are 5" in capsys.readouterr().err
    assert run(*command, "--frames", "x") == 2
    assert "The frames are 'x'" in capsys.readouterr().err
    assert run("assess", tmp_path / "movie.tif", "--model", untrained_path, "--frames", "1,4", "--json") == 0
    assert list(json.loads(capsys.readouterr().out)["frames"]) == ["movie_1", "movie_4"]


def test_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[SegmentOptions] = []
    make = Windows.__init__

    def note(windows: Windows, *arguments: object, **options: object) -> None:
        make(windows, *arguments, **options)  # type: ignore[arg-type]
        given.append(windows.options)

    monkeypatch.setattr(Windows, "__init__", note)
    np.save(tmp_path / "a.npy", FRAME.astype(np.uint16) * 16)
    assert run("segment", tmp_path / "a.npy", "--output", tmp_path / "out", "--bits", 12) == 0
    assert [options.bits for options in given] == [12]
    assert read_provenance(tmp_path / "out" / "a_mask.tif")["bits"] == 12
    assert run("segment", tmp_path / "a.npy", "--output", tmp_path / "out", "--bits", 0) == 2


def test_training_reads_the_channel_and_the_frames(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from napari_darl.training import trainer

    seen: list[object] = []

    def stop(_: object, __: object, ___: object, frames: list[np.ndarray], *____: object, **options: object) -> None:
        seen.extend([frames, options["bits"]])
        raise KeyError

    monkeypatch.setattr(trainer.Trainer, "__init__", stop)
    tifffile.imwrite(tmp_path / "movie.tif", np.stack([RED, RED[::-1], RED]), photometric="rgb")
    command = ("train", "--angiograms", tmp_path / "movie.tif", "--output", tmp_path / "run", "--frames", "0-1")
    monkeypatch.setattr(sys, "argv", ["napari-darl", *map(str, command), "--channel", "red", "--bits", "8"])
    with pytest.raises(KeyError):
        cli.main()
    frames, bits = seen
    np.testing.assert_array_equal(np.stack(frames), [FRAME, FRAME[::-1]])
    assert bits == 8


def test_only_pixels_in_a_region_count(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, regions = tmp_path / "in", tmp_path / "regions"
    for place in (folder, regions):
        place.mkdir()
    inside = np.zeros(FRAME.shape, np.uint8)
    inside[20:80, 20:90] = 255
    written = np.where(inside, FRAME, 0) + np.uint8(255) * (np.indices(FRAME.shape).sum(0) % 9 == 0) * (inside == 0)
    iio.imwrite(folder / "a.png", FRAME)
    iio.imwrite(folder / "b.png", written.astype(np.uint8))
    for name in ("a_mask.png", "b.png"):
        iio.imwrite(regions / name, inside)
    masks = []
    for place in (regions, regions / "b.png"):
        out = tmp_path / f"by_{place.stem}"
        command = ("segment", folder, "--output", out, "--model", untrained_path, "--region", place)
        assert run(*command) == 0
        masks.append([tifffile.imread(out / f"{name}_mask.tif") for name in "ab"])
        assert run(*command) == 0
        assert "2 done before" in capsys.readouterr().err
    np.testing.assert_array_equal(masks[0], masks[1])
    expected = segment(FRAME, untrained_path, region=inside)
    np.testing.assert_array_equal(masks[0][0], 255 * expected)
    assert not masks[0][1][inside == 0].any()
    assert run(*command[:-2]) == 2  # masks of another region
    assert "region_sha256" in capsys.readouterr().err
    assert run(*command[:-2], "--like", out / "a_mask.tif") == 2
    assert "was made within a region. Pass it again by --region" in capsys.readouterr().err
    assert run(*command, "--like", out / "a_mask.tif") == 0
    (regions / "b.png").unlink()
    command = ("segment", folder, "--output", tmp_path / "half", "--model", untrained_path, "--fov", regions)
    assert run(*command) == 2
    assert f"{regions} has no region for {folder / 'b.png'}" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "half").iterdir()] == ["a_mask.tif"]
    assert run(*command, "--region", regions) == 2
    assert run("segment", folder, "--output", tmp_path / "none", "--region", tmp_path / "none") == 2


def test_the_field_of_view_is_found(tmp_path: Path, untrained_path: Path) -> None:
    shown = np.zeros((128, 160), np.uint8)
    y, x = np.indices(shown.shape)
    disc = np.hypot(y - 64, x - 80) < 60
    shown[disc] = sample_angiogram()[:128, :160][disc] // 2 + 100
    tifffile.imwrite(tmp_path / "movie.tif", np.stack([shown, shown[:, ::-1]]), photometric="minisblack")
    command = ("segment", tmp_path / "movie.tif", "--output", tmp_path, "--model", untrained_path, "--probability")
    assert run(*command, "--fov", "auto") == 0
    probability = tifffile.imread(tmp_path / "movie_probability.tif")
    assert (probability > 0)[:, disc].mean() > 0.7
    assert not probability[:, np.hypot(y - 64, x - 80) > 63].any()
    assert json.loads(str(read_provenance(tmp_path / "movie_mask.tif")["settings"])) == {"fov": "auto"}
    again = ("segment", tmp_path / "movie.tif", "--output", tmp_path / "again", "--model", untrained_path)
    assert run(*again, "--like", tmp_path / "movie_mask.tif") == 0
    assert (tmp_path / "again" / "movie_mask.tif").read_bytes() == (tmp_path / "movie_mask.tif").read_bytes()
