"""What noise does to path A."""

import numpy as np
import pytest

from napari_darl.errors import InputError
from napari_darl.evaluation.robustness import mean_robustness, robustness, robustness_table
from napari_darl.inference.loading import Model
from napari_darl.inference.noise import add_gaussian_noise, noisy_views
from napari_darl.inference.segment import segment_probability
from napari_darl.samples import sample_angiogram

FRAME = sample_angiogram()[128:320, 128:320]


def test_more_noise_leaves_less_of_a_real_mask() -> None:
    views = list(noisy_views(FRAME, "default", noise_levels=(50, 800), sigmas=(10, 50)))
    assert [view.noise for view in views] == ["none", "t=50", "t=800", "sigma=10", "sigma=50"]
    np.testing.assert_array_equal(views[0].probability, segment_probability(FRAME))
    _, faint, strong, light, heavy = robustness({view.noise: view.probability > 0.5 for view in views})
    assert 1 > faint.agreement > strong.agreement
    assert 1 > light.agreement > heavy.agreement
    assert np.std(views[-1].frame - FRAME.astype(float)) > 40


@pytest.mark.parametrize("scale", [1, 16, 1 / 255])
def test_gaussian_noise_is_a_part_of_the_range(scale: float) -> None:
    grey = np.tile(np.linspace(0, 255, 256), (64, 1))
    frame = {1: grey.astype(np.uint8), 16: (grey * 16).astype(np.uint16)}.get(scale, grey * scale)
    noisy = add_gaussian_noise(frame, 10, bits=12 if scale == 16 else None)
    assert noisy.dtype == frame.dtype
    assert noisy.shape == frame.shape
    middle = noisy[:, 64:192].astype(float) - frame[:, 64:192]
    assert np.std(middle) / scale == pytest.approx(10, rel=0.06)
    np.testing.assert_array_equal(noisy, add_gaussian_noise(frame, 10, bits=12 if scale == 16 else None))


@pytest.mark.parametrize("noise", [{"noise_levels": [2000]}, {"noise_levels": [-1]}, {"sigmas": [0]}])
def test_noise_that_cannot_be(untrained: Model, noise: dict[str, list[int]]) -> None:
    with pytest.raises(InputError, match="noise"):
        list(noisy_views(FRAME, untrained, **noise))


def test_the_table_is_a_mean_over_frames() -> None:
    full, half = np.zeros((8, 8), bool), np.zeros((8, 8), bool)
    full[:4], half[:2] = True, True
    rows = mean_robustness(
        [robustness({"none": full, "t=50": half}, full), robustness({"none": full, "t=50": full}, full)]
    )
    assert [row.vessel for row in rows] == [50, 37.5]
    assert [row.agreement for row in rows] == pytest.approx([1, (2 / 3 + 1) / 2])
    assert [row.dice for row in rows] == pytest.approx([1, (2 / 3 + 1) / 2])
    table = robustness_table(mean_robustness([robustness({"none": full})]))
    assert table.splitlines()[-1].endswith("1.000 |                - |")
