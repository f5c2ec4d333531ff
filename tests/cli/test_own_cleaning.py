"""The cleaning that a model's file asks for: in Python, on the command line, and in copied commands."""

from pathlib import Path

import imageio.v3 as iio
import numpy as np
import pytest
import tifffile
from command_line import run
from numpy.typing import NDArray

from napari_darl import Cleaning, clean_mask, load_model, segment, segment_probability
from napari_darl.batch.replay import Settings, segment_command
from napari_darl.io.output import read_provenance
from napari_darl.models import model_info
from napari_darl.samples import sample_angiogram

FRAME: NDArray[np.uint8] = sample_angiogram()[128:256, 128:320]
OWN = Cleaning(hysteresis=0.9, peak=0.9)


@pytest.fixture(scope="module")
def probability() -> NDArray[np.float32]:
    return segment_probability(FRAME, "default", resize=1)


def test_the_bundled_models_say_how_their_masks_are_cleaned() -> None:
    assert load_model("default", "cpu").cleaning == OWN
    assert Cleaning.of_model(model_info("default")) == OWN
    assert load_model("fundus", "cpu").cleaning == Cleaning()
    assert model_info("no such model") == {}


def test_python_cleans_as_the_file_says(probability: NDArray[np.float32]) -> None:
    cleaned = clean_mask(probability, OWN)
    assert (cleaned != (probability > 0.5)).any()
    np.testing.assert_array_equal(segment(FRAME, resize=1), cleaned)
    lower = clean_mask(probability, OWN.updated(threshold=0.3))
    np.testing.assert_array_equal(segment(FRAME, threshold=0.3, resize=1), lower)


@pytest.mark.parametrize(
    ("typed", "cleaning"),
    [
        ((), OWN),
        (("--threshold", 0.4), OWN.updated(threshold=0.4)),
        (("--hysteresis", 0, "--peak", 0), Cleaning()),
        (("--peak", 0, "--smallest-piece", 9), OWN.updated(peak=0, smallest_piece=9)),
    ],
)
def test_options_replace_what_the_file_says(
    tmp_path: Path, probability: NDArray[np.float32], typed: tuple[object, ...], cleaning: Cleaning
) -> None:
    iio.imwrite(tmp_path / "a.png", FRAME)
    command = ("segment", tmp_path / "a.png", "--resize", 1)
    assert run(*command, "--output", tmp_path / "out", *typed) == 0
    mask = tmp_path / "out" / "a_mask.tif"
    np.testing.assert_array_equal(tifffile.imread(mask), 255 * clean_mask(probability, cleaning))
    assert dict(cleaning).items() <= read_provenance(mask).items()
    assert run("segment", tmp_path / "a.png", "--output", tmp_path / "again", "--like", mask) == 0
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "again" / "a_mask.tif"), tifffile.imread(mask))


def test_zarr_takes_the_threshold_alone_and_says_so(
    tmp_path: Path, probability: NDArray[np.float32], capsys: pytest.CaptureFixture[str]
) -> None:
    zarr = pytest.importorskip("zarr")
    tifffile.imwrite(tmp_path / "a.tif", FRAME)
    assert run("segment", tmp_path / "a.tif", "--resize", 1, "--zarr", "--output", tmp_path / "out") == 0
    assert "asks for is left out" in " ".join(capsys.readouterr().err.split())
    mask = zarr.open_array(tmp_path / "out" / "a_mask.ome.zarr" / "0", mode="r")[:]
    np.testing.assert_array_equal(mask, probability > 0.5)


def test_copied_commands_say_what_differs_from_the_file() -> None:
    plain = segment_command(Settings("default", cleaning=Cleaning()), "a.tif", "out")
    assert plain.endswith("--threshold 0.5 --hysteresis 0.0 --peak 0.0")
    assert segment_command(Settings("default", cleaning=OWN), "a.tif", "out").endswith("--threshold 0.5")
    assert segment_command(Settings("fundus", cleaning=OWN), "a.tif", "out").endswith("--hysteresis 0.9 --peak 0.9")
