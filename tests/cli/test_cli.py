"""The command line as a user types it, through `main` in the process of the test."""

import csv
import json
import signal
import subprocess
import sys
from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
import zarr
from command_line import run

from napari_darl import __version__, segment
from napari_darl.frames.smoothing import smooth_over_time
from napari_darl.inference.cleaning import Cleaning, clean_mask
from napari_darl.inference.windows import Windows
from napari_darl.inference.zarr_output import _Output
from napari_darl.io.output import read_provenance
from napari_darl.samples import sample_angiogram, sample_path
from napari_darl.synthetic.phantom import phantom_angiogram


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    folder = tmp_path / "frames"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for index in range(3):
        frame, _ = phantom_angiogram((96, 96), rng)
        iio.imwrite(folder / f"frame_{index}.png", ((frame + 1) * 127.5).astype(np.uint8))
    return folder


def test_segment_smooths_movies_over_time_and_leaves_single_frames(
    tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    frame = iio.imread(frames / "frame_0.png")
    movie = np.clip(frame + np.random.default_rng(0).normal(0, 8, (3, *frame.shape)), 0, 255).astype(np.uint8)
    tifffile.imwrite(frames / "movie.tif", movie, photometric="minisblack")
    out = tmp_path / "out"
    assert run("segment", frames, "--output", out, "--smooth-time", "--resize", 1) == 0
    smoothed = 255 * segment(smooth_over_time(movie), resize=1)
    assert (smoothed != 255 * segment(movie, resize=1)).any()
    np.testing.assert_array_equal(tifffile.imread(out / "movie_mask.tif"), smoothed)
    np.testing.assert_array_equal(tifffile.imread(out / "frame_0_mask.tif"), 255 * segment(frame, resize=1))
    assert [read_provenance(out / f"{name}_mask.tif")["smooth_time"] for name in ("movie", "frame_0")] == [True, False]
    capsys.readouterr()
    assert run("segment", frames / "frame_0.png", "--output", tmp_path / "single", "--smooth-time", "--resize", 1) == 0
    assert "Nothing was smoothed over time" in capsys.readouterr().err


def test_segment_writes_masks_with_pixel_size_and_provenance(tmp_path: Path, untrained_path: Path) -> None:
    frame, _ = phantom_angiogram((96, 112), np.random.default_rng(0))
    movie = np.stack([frame, frame[::-1]])
    source, out = tmp_path / "movie.tif", tmp_path / "out"
    tifffile.imwrite(source, ((movie + 1) * 2000).astype(np.uint16), resolution=(20, 20), resolutionunit="CENTIMETER")
    status = run("segment", source, "--output", out, "--model", untrained_path, "--threshold", 0.4, "--probability")
    assert status == 0
    mask, probability = tifffile.imread(out / "movie_mask.tif"), tifffile.imread(out / "movie_probability.tif")
    assert mask.shape == probability.shape == movie.shape
    np.testing.assert_array_equal(mask, np.where(probability > 0.4, 255, 0))
    made = read_provenance(out / "movie_mask.tif")
    assert made["threshold"] == 0.4
    assert made["version"] == __version__
    assert len(str(made["sha256"])) == 64
    with tifffile.TiffFile(out / "movie_mask.tif") as tiff:
        assert tiff.pages.first.get_resolution("CENTIMETER") == pytest.approx((20, 20))


def test_segment_cleans_the_mask(tmp_path: Path, frames: Path, untrained_path: Path) -> None:
    options = {"threshold": 0.5, "hysteresis": 0.05, "smallest_piece": 9, "largest_hole": 4}
    typed = [word for name, value in options.items() for word in (f"--{name.replace('_', '-')}", value)]
    out = tmp_path / "out"
    assert run("segment", frames, "--output", out, "--model", untrained_path, "--probability", *typed) == 0
    for path in out.glob("*_mask.tif"):
        probability = tifffile.imread(path.with_name(path.name.replace("mask", "probability")))
        np.testing.assert_array_equal(tifffile.imread(path), 255 * clean_mask(probability, Cleaning(**options)))
        assert options.items() <= read_provenance(path).items()


@pytest.mark.parametrize("option", ["--threshold", "--hysteresis", "--smallest-piece", "--largest-hole"])
def test_segment_refuses_impossible_cleaning(option: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", "frame.png", "--output", "out", option, -1) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: Invalid value")
    assert f" for {option[2:].replace('-', '_')}: " in message
    assert message.endswith(".\n")


@pytest.mark.parametrize(
    ("option", "value", "accepted"),
    [("--threshold", "0,5", "number"), ("--smallest-piece", "few", "integer"), ("--bits", "99", "64")],
)
def test_a_refused_value_is_named(option: str, value: str, accepted: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("segment", "frame.png", "--output", "out", option, value) == 2
    message = capsys.readouterr().err
    assert option in message
    assert value in message
    assert accepted in message.replace("float", "number")  # the word of older versions of typer


def test_two_inputs_never_share_an_output(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "frame_0.png").write_bytes((frames / "frame_0.png").read_bytes())
    assert run("segment", frames, other, "--output", tmp_path / "out") == 2
    told = capsys.readouterr().err
    assert told.count("would both become") == 2
    assert "2 segmented, 2 failed" in told
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"frame_1_mask.tif", "frame_2_mask.tif"}


@pytest.mark.usefixtures("small_networks")
def test_train_resume_segment_and_synthesize(tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs, pairs = tmp_path / "run", tmp_path / "pairs"
    assert run("train", "--angiograms", frames, "--output", runs, "--steps", 2) == 0
    assert run("train", "--angiograms", frames, "--output", runs, "--steps", 2) == 2
    resumed = ("train", "--angiograms", frames, "--output", runs, "--resume")
    assert run(*resumed, "--preset", "published", "--seed", 9) == 2
    assert "Leave --preset and --seed out" in capsys.readouterr().err
    assert run(*resumed, "--steps", 1) == 2
    assert "has done 2 steps" in capsys.readouterr().err
    assert run(*resumed, "--steps", 3) == 0
    with (runs / "losses.csv").open() as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["1", "2", "3"]
    assert run("segment", frames / "frame_0.png", "--output", tmp_path / "out", "--model", runs) == 0
    assert run("synthesize", "--model", runs, "--backgrounds", frames, "--output", pairs, "--count", 4) == 0
    for kind in ("angiograms", "masks", "backgrounds", "cycle_masks"):
        assert len(list((pairs / kind).iterdir())) == 4
    angiogram, mask = (iio.imread(pairs / kind / "00001.tif") for kind in ("angiograms", "masks"))
    assert angiogram.shape == mask.shape == (96, 96)
    assert set(np.unique(mask)) <= {0, 255}


def test_train_refuses_impossible_seeds_and_missing_stacks(
    tmp_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("train", "--angiograms", frames, "--output", tmp_path / "run", "--seed", 2**64) == 2
    assert run("train", "--angiograms", tmp_path / "nosuch", "--output", tmp_path / "run") == 2
    assert "nosuch doesn't exist" in capsys.readouterr().err


def test_pairs_over_sampled_backgrounds_and_their_chain(tmp_path: Path, untrained_path: Path) -> None:
    out = tmp_path / "pairs"
    made = ("synthesize", "--model", untrained_path, "--output", out, "--count", 2, "--size", 64, "--reverse-steps", 4)
    assert run(*made, "--chain") == 0
    assert tifffile.imread(out / "chain.tif").shape == (5, 64, 64)
    settings = json.loads((out / "pairs.json").read_text())["settings"]
    assert (settings["seed"], settings["reverse_steps"]) == (0, 4)
    assert run(*made) == 2


def test_assess_scores_frames_without_labels(
    tmp_path: Path, untrained_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "maps"
    assert run("assess", frames, "--model", untrained_path, "--output", out, "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert list(told["frames"]) == ["frame_0", "frame_1", "frame_2"]
    assert told["mean"] == pytest.approx(np.mean(list(told["frames"].values())))
    assert tifffile.imread(out / "frame_1_uncertainty.tif").shape == (96, 96)
    assert run("assess", frames / "frame_0.png", "--model", untrained_path) == 0
    assert "mean" in capsys.readouterr().out


def test_noise_prints_a_table_and_writes_masks(
    tmp_path: Path, untrained_path: Path, frames: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "masks"
    asked = ("noise", frames, "--model", untrained_path, "--noise-levels", "20, 300", "--sigmas", "25")
    assert run(*asked, "--truth", frames, "--output", out) == 0
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert [row[0] for row in rows[2:]] == ["none", "t=20", "t=300", "sigma=25"]
    assert float(rows[2][2]) == 1
    assert all(0 <= float(row[3]) <= 1 for row in rows[2:])
    assert len(list(out.iterdir())) == 12
    assert set(np.unique(tifffile.imread(out / "frame_0_t300_mask.tif"))) <= {0, 255}


def test_evaluate_prints_a_table_or_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth, prediction = np.zeros((64, 64), np.uint8), np.zeros((64, 64), np.uint8)
    truth[20:30], prediction[20:25] = 255, 255
    iio.imwrite(tmp_path / "a.png", truth)
    iio.imwrite(tmp_path / "a_mask.png", prediction)
    assert run("evaluate", tmp_path / "a_mask.png", tmp_path / "a.png") == 0
    assert "0.667" in capsys.readouterr().out
    assert run("evaluate", tmp_path / "a_mask.png", tmp_path / "a.png", "--json") == 0
    assert json.loads(capsys.readouterr().out)["mean"]["dice"] == pytest.approx(2 / 3)


def test_models_lists_and_shows_cards(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("models") == 0
    assert capsys.readouterr().out.startswith("default\t")
    assert run("models", "default") == 0
    assert "not for diagnosis" in capsys.readouterr().out


def test_demo_writes_mask_probability_and_overlay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("demo", "--output", tmp_path / "demo", "--no-window") == 0
    stem = sample_path().stem
    assert {path.name for path in (tmp_path / "demo").iterdir()} == {
        f"{stem}_mask.tif",
        f"{stem}_probability.tif",
        f"{stem}_overlay.png",
    }
    assert "Vessels cover" in capsys.readouterr().out


def test_the_installed_command_answers() -> None:
    code = "from napari_darl.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=True)
    for command in (
        "segment",
        "train",
        "synthesize",
        "assess",
        "noise",
        "evaluate",
        "import-checkpoint",
        "models",
        "demo",
    ):
        assert command in done.stdout


def finest(path: Path) -> np.ndarray:
    """Return the full size of a result in OME-Zarr."""
    return np.asarray(zarr.open_array(path / "0", mode="r")[:])


def test_segment_writes_zarr_part_by_part_and_goes_on(
    tmp_path: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    frame, _ = phantom_angiogram((96, 112), np.random.default_rng(0))
    movie = np.stack([frame, frame[::-1]])
    source, out = tmp_path / "movie.zarr", tmp_path / "out"
    zarr.create_array(source, shape=movie.shape, chunks=(1, 50, 50), dtype=movie.dtype)[:] = movie
    options = ("--output", out, "--model", untrained_path, "--probability")
    assert run("segment", source, *options) == 0
    mask, probability = (finest(out / f"movie_{kind}.ome.zarr") for kind in ("mask", "probability"))
    np.testing.assert_array_equal(mask, probability > 0.5)
    assert zarr.open_group(out / "movie_mask.ome.zarr", mode="r").attrs["napari-darl"]["source"] == "movie.zarr"

    tifffile.imwrite(tmp_path / "movie.tif", movie, photometric="minisblack")
    assert run("segment", tmp_path / "movie.tif", "--zarr", "--output", tmp_path / "of_tiff", *options[2:4]) == 0
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "of_tiff" / "movie_mask.ome.zarr" / "0", mode="r")[:], mask[:]
    )

    tifffile.imwrite(tmp_path / "second.tif", movie[::-1], photometric="minisblack", compression="zlib")
    assert run("segment", source, tmp_path / "second.tif", "--zarr", *options) == 0  # the first is left as it is
    np.testing.assert_array_equal(
        zarr.open_array(out / "second_mask.ome.zarr" / "0", mode="r")[:], np.asarray(mask[:])[::-1]
    )
    assert run("segment", source, *options, "--threshold", 0.4) == 2
    assert f"{out / 'movie_mask.ome.zarr'} exists already" in capsys.readouterr().err
    iio.imwrite(tmp_path / "picture.png", np.zeros((40, 40), np.uint8))
    assert run("segment", tmp_path / "picture.png", "--zarr", "--output", tmp_path / "png") == 2
    assert "picture.png is neither zarr nor TIFF" in capsys.readouterr().err
    assert run("segment", source, *options, "--overwrite", "--smallest-piece", 5) == 2
    assert "cleaned but by --threshold" in capsys.readouterr().err
    assert run("segment", source, "--output", tmp_path / "far", "--cluster", "tcp://127.0.0.1:9") == 2
    assert "No Dask scheduler answers" in capsys.readouterr().err

    monkeypatch.setattr(Windows, "chunk_shape", (1, 96, 112))
    write = _Output.write
    with monkeypatch.context() as patch:
        patch.setattr(_Output, "write", lambda *args: (write(*args), signal.raise_signal(signal.SIGINT))[0])
        assert run("segment", source, "--output", tmp_path / "halves", *options[2:]) == 2
    assert "Stopped after 1 of 2 chunks" in capsys.readouterr().err
    assert run("segment", source, "--output", tmp_path / "halves", *options[2:]) == 0
    np.testing.assert_array_equal(
        zarr.open_array(tmp_path / "halves" / "movie_mask.ome.zarr" / "0", mode="r")[:], mask[:]
    )


def test_images_are_never_replaced_and_results_never_taken_for_images(
    tmp_path: Path, frames: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--output", frames, "--model", untrained_path, "--overwrite")
    expert = frames / "frame_0_mask.tif"
    tifffile.imwrite(expert, np.zeros((96, 96), np.uint8))
    before = expert.read_bytes()
    assert run("segment", frames, *options) == 2
    assert "is one of the images" in capsys.readouterr().err
    assert expert.read_bytes() == before
    expert.unlink()
    for count in (3, 3):  # the second time, beside the results of the first
        assert run("segment", frames, *options) == 0
        assert len(list(frames.glob("*_mask.tif"))) == count
    assert "left out (frame_0_mask.tif and 2 more)" in capsys.readouterr().err
    zarr.create_array(frames / "slide.zarr", data=iio.imread(frames / "frame_0.png"))
    for _ in range(2):
        assert run("segment", frames, *options) == 0
    assert (frames / "slide_mask.ome.zarr").is_dir()
    assert not (frames / "slide_mask_mask.ome.zarr").exists()
    assert run("assess", frames, "--model", untrained_path) == 0
    assert "| slide " in capsys.readouterr().out


@pytest.mark.parametrize("command", ["assess", "noise"])
def test_frames_of_one_name_are_refused(
    tmp_path: Path, frames: Path, untrained_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    tifffile.imwrite(frames / "frame_0.tif", iio.imread(frames / "frame_0.png"))
    assert run(command, frames, "--model", untrained_path, "--output", tmp_path / "maps") == 2
    assert "would both be called frame_0" in capsys.readouterr().err
    (frames / "frame_0.png").unlink()
    tifffile.imwrite(frames / "frame.tif", np.stack([iio.imread(frames / "frame_1.png")] * 3), photometric="minisblack")
    assert run(command, frames, "--model", untrained_path) == 2
    assert "would both be called frame_0" in capsys.readouterr().err


def test_experts_masks_in_any_colour(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    frame = sample_angiogram()[128:288, 128:288]
    iio.imwrite(tmp_path / "a.png", frame)
    mask = segment(frame) * np.uint8(255)
    tables = []
    for colours in (mask, np.stack([mask, 0 * mask, 0 * mask], -1)):
        iio.imwrite(tmp_path / "truth.png", colours)
        options = ("--sigmas", "25", "--noise-levels", "50")
        assert run("noise", tmp_path / "a.png", "--truth", tmp_path / "truth.png", *options) == 0
        tables.append(capsys.readouterr().out)
    assert tables[0] == tables[1]
    assert "1.000" in tables[0]


def test_pairs_are_of_one_run(tmp_path: Path, frames: Path, untrained_path: Path) -> None:
    options = ("--model", untrained_path, "--output", tmp_path / "pairs", "--backgrounds", frames)
    assert run("synthesize", *options, "--count", 3) == 0
    (tmp_path / "pairs" / "masks" / "mine.tif").touch()
    assert run("synthesize", *options, "--count", 1, "--seed", 5, "--overwrite") == 0
    for kind in ("angiograms", "backgrounds", "cycle_masks"):
        assert [path.name for path in (tmp_path / "pairs" / kind).iterdir()] == ["00000.tif"]
    assert {path.name for path in (tmp_path / "pairs" / "masks").iterdir()} == {"00000.tif", "mine.tif"}
