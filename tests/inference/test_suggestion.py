"""The model that is suggested for an image."""

import numpy as np
import pytest

from napari_darl import ImageData
from napari_darl.inference.suggestion import SUITS, suggest_model
from napari_darl.models import bundled_models
from napari_darl.samples import sample_angiogram, sample_fundus
from napari_darl.synthetic.fluorescence import phantom_fluorescence
from napari_darl.synthetic.phantom import phantom_movie


def test_all_bundled_models_are_named() -> None:
    assert set(SUITS) == set(bundled_models())


@pytest.mark.parametrize("name", ["angiogram", "angiogram_2"])
@pytest.mark.parametrize("scale", [1, 2, 4])
def test_angiograms(name: str, scale: int) -> None:
    frame = np.kron(sample_angiogram(name)[::2, ::2], np.ones((scale, scale), np.uint8))
    assert suggest_model(ImageData(frame)).model == "default"
    inverted = ImageData(4095 - frame.astype(np.int32) * 16)
    assert suggest_model(inverted) == ("fluorescence", "bright vessels")


def test_a_retina_in_colours_and_in_grey() -> None:
    photograph = sample_fundus()
    assert suggest_model(ImageData(photograph, rgb=True)).model == "fundus"
    assert suggest_model(ImageData(photograph[200:500, 200:500] / 255, rgb=True)).model == "fundus"
    assert suggest_model(ImageData(photograph[..., 1])).model == "default"


@pytest.mark.parametrize("seed", range(4))
def test_fluorescence_in_grey_and_in_one_colour(seed: int) -> None:
    frame, _ = phantom_fluorescence((256, 256), np.random.default_rng(seed))
    assert suggest_model(ImageData(frame)).model == "fluorescence"
    for colour in range(3):
        stained = np.zeros((256, 256, 3))
        stained[..., colour] = (frame + 1) / 2
        assert suggest_model(ImageData(stained, rgb=True)).model == "fluorescence"


def test_the_sample_movie() -> None:
    movie, _ = phantom_movie(12, (256, 256), np.random.default_rng(0))
    assert suggest_model(ImageData(movie[8])).model == "default"


@pytest.mark.parametrize("fill", [np.nan, 7.0])
def test_frames_that_say_nothing_are_left_to_the_default_model(fill: float) -> None:
    assert suggest_model(ImageData(np.full((40, 30), fill))).model == "default"


def test_pixels_without_a_value_say_nothing() -> None:
    frame = sample_angiogram().astype(np.float32)
    frame[:, :60] = np.nan
    assert suggest_model(ImageData(frame)).model == "default"
