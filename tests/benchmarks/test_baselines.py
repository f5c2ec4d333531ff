"""The ridge filters: they find dark vessels, stay in the field of view, and reproduce their scores."""

from pathlib import Path

import numpy as np
import pytest
from baselines import (
    BASELINES,
    BaselineSettings,
    brightest,
    coronary_field_of_view,
    fundus_field_of_view,
    vesselness,
)

from napari_darl.errors import InputError
from napari_darl.evaluation.metrics import above_half, score
from napari_darl.io.images import image_paths, read_image

DCA1 = Path(__file__).parents[3] / "shared" / "data" / "dca1_dev"


@pytest.fixture
def angiogram():
    """Return a frame with a dark vessel on a brightening background, and a bright line that isn't a vessel."""
    frame = np.tile(np.linspace(0.3, 0.9, 80), (80, 1))
    frame[38:41] *= 0.8
    frame[18:21] *= 1.1
    return frame


@pytest.mark.parametrize("name", BASELINES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_finds_dark_lines_and_not_bright_ones(name, dtype, angiogram):
    response = vesselness(name, angiogram.astype(dtype))
    assert response.dtype == np.float32
    assert response.min() >= 0
    assert response[39, 8:-8].min() > 3 * response[19, 8:-8].max()


@pytest.mark.parametrize("logarithm", [True, False])
def test_logarithm_makes_the_response_independent_of_the_background(logarithm, angiogram):
    response = vesselness("sato", angiogram, BaselineSettings(logarithm=logarithm))[39]
    alike = response[10:20].mean() / response[60:70].mean()
    assert (alike > 0.9) == logarithm


def test_nothing_outside_the_field_of_view(angiogram):
    inside = np.zeros(angiogram.shape, bool)
    inside[:, :40] = True
    whole, response = vesselness("sato", angiogram), vesselness("sato", angiogram, fov=inside)
    np.testing.assert_array_equal(response, np.where(inside, whole, 0))


@pytest.mark.parametrize(
    ("name", "frame", "fov", "message"),
    [
        ("canny", np.zeros((9, 9)), None, "'canny': take one of sato, frangi, meijering"),
        ("sato", np.zeros((2, 9, 9)), None, "2-D"),
        ("sato", np.zeros((0, 9)), None, "2-D"),
        ("sato", np.full((9, 9), 255.0), None, "in \\[0, 1\\]"),
        ("sato", np.full((9, 9), np.nan), None, "in \\[0, 1\\]"),
        ("sato", np.zeros((9, 9)), np.ones((9, 8), bool), "field of view's shape"),
    ],
)
def test_refuses_what_cannot_be_filtered(name, frame, fov, message):
    with pytest.raises(InputError, match=message):
        vesselness(name, frame, fov=fov)


@pytest.mark.parametrize("wrong", [{"sigmas": ()}, {"sigmas": (0,)}, {"fraction": 1}, {"scales": (1,)}])
def test_settings_refuse_nonsense(wrong):
    with pytest.raises(InputError):
        BaselineSettings(**wrong)


def test_brightest_keeps_the_part_asked_for_of_the_pixels_that_count():
    response = np.arange(100, dtype=np.float32).reshape(10, 10)
    counted = response < 50
    assert np.flatnonzero(brightest(response, 0.1)).tolist() == list(range(90, 100))
    assert np.flatnonzero(brightest(response, 0.1, counted)).tolist() == list(range(45, 50))


def test_brightest_finds_nothing_where_nothing_responds():
    assert not brightest(np.zeros((10, 10), np.float32), 0.1).any()


@pytest.mark.parametrize(("fraction", "counted"), [(0, True), (1, True), (6, True), (0.1, False)])
def test_brightest_refuses_to_keep_nothing_or_all(fraction, counted):
    with pytest.raises(InputError, match="can't be kept"):
        brightest(np.ones((4, 4), np.float32), fraction, np.full((4, 4), counted))


@pytest.mark.skipif(not DCA1.is_dir(), reason="the DCA1 frames aren't here; they may not be redistributed")
def test_sato_reaches_its_measured_dice_on_dca1():
    settings, dice = BaselineSettings(), []
    for image, mask in zip(image_paths(DCA1 / "images"), image_paths(DCA1 / "masks"), strict=True):
        frame = read_image(image).data / np.float32(255)
        response = vesselness("sato", frame, settings, coronary_field_of_view(frame))
        dice.append(score(brightest(response, settings.fraction), above_half(read_image(mask).data)).dice)
    assert len(dice) == 40
    assert np.mean(dice) == pytest.approx(0.702, abs=0.002)


def test_coronary_field_of_view_leaves_out_collimator_specks_and_margin() -> None:
    frame = np.full((60, 60), 0.02)
    frame[10:50, 10:50] = 0.5
    frame[3, 30] = 0.9
    expected = np.zeros((60, 60), bool)
    expected[16:44, 16:44] = True
    inside = coronary_field_of_view(frame)
    corners = [(16, 16), (16, 43), (43, 16), (43, 43)]
    assert (inside & ~expected).sum() == 0
    assert (expected & ~inside).sum() <= 3 * len(corners)  # opening with a cross rounds corners


def test_fundus_field_of_view_takes_off_the_rim() -> None:
    camera = np.zeros((40, 40), bool)
    camera[5:35, 5:35] = True
    rows, columns = np.nonzero(fundus_field_of_view(camera))
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (9, 30, 9, 30)
