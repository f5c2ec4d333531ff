"""The label-free score, the uncertainty map, and segmenting under noise."""

import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.inference.loading import Model
from napari_darl.inference.segment import iter_probability
from napari_darl.inference.trust import assess, expected_dice, outline_agreement, quality, view_agreement
from napari_darl.samples import sample_angiogram


def test_quality_is_an_expected_dice() -> None:
    sure = np.zeros((8, 8), np.float32)
    sure[2:4] = 1
    mask = sure > 0
    assert expected_dice([sure], mask) == 1
    assert expected_dice([sure], ~mask & mask) == 0
    assert expected_dice([0.75 * sure], mask) == pytest.approx(2 * 0.75 / 1.75)
    assert expected_dice([sure, np.roll(sure, 4, axis=0)], mask) == pytest.approx(0.5)
    alone = 2 * 0.75 / 1.75 * 2 * 2 / (2 * 2 + 2)
    assert quality([0.75 * sure], [mask], 2.0) == pytest.approx(alone)
    moved = np.roll(mask, 1, axis=0)
    assert view_agreement([mask, mask, moved]) == 0.75
    assert quality([0.75 * sure], [mask, mask, moved], 2.0) == pytest.approx(0.75 * alone)
    assert quality([sure], [~mask & mask, mask], 2.0) == view_agreement([~mask & mask, mask]) == 0


@pytest.mark.parametrize("side", [4, 9, 16])
def test_outlines_a_pixel_further_out_cost_what_a_wider_mask_would(side: int) -> None:
    frame = np.zeros((40, 40), np.bool_)
    frame[10 : 10 + side] = True
    wider = np.zeros_like(frame)
    wider[9 : 11 + side] = True
    dice = 2 * frame.sum() / (frame.sum() + wider.sum())
    assert outline_agreement(frame, 1) == pytest.approx(dice)
    assert outline_agreement(frame, 0) == 1
    assert outline_agreement(np.ones((5, 5), np.bool_), 3) == 1


def test_a_real_frame_is_trusted_more_than_noise() -> None:
    frame = sample_angiogram()[128:320, 128:320]
    real = assess(frame)
    noise = assess(np.random.default_rng(0).normal(128, 20, frame.shape))
    assert real.probability.shape == real.uncertainty.shape == frame.shape
    assert real.uncertainty.dtype == np.float32
    assert 0 <= real.uncertainty.min() < real.uncertainty.max() <= 0.5
    assert 0 <= noise.score < real.score <= 1


def test_noise_levels(untrained: Model) -> None:
    frame = sample_angiogram()[:96, :96]

    def look(level: int) -> np.ndarray:
        return next(iter_probability(frame, untrained, noise_level=level))[1]

    np.testing.assert_array_equal(look(50), look(50))
    assert np.abs(look(50) - look(0)).mean() > np.abs(look(5) - look(0)).mean() > 0
    for level in (-1, 2000):
        with pytest.raises(InputError, match="noise level"):
            look(level)
