"""How the bundled models are averaged and calibrated."""

from pathlib import Path

import numpy as np
import torch
from calibrate import cut_of_area, cut_of_outline, cut_of_touched
from make_models import mean_of
from scipy.ndimage import binary_dilation

from napari_darl import load_model
from napari_darl.darl.checkpoint import load_tensors
from napari_darl.models import model_path


def test_the_cut_lies_where_intensities_are_the_steepest() -> None:
    x = np.broadcast_to(np.linspace(-8, 8, 129, dtype=np.float32), (64, 129))
    frame = -np.tanh(x)  # Steepest at 0: left of it is background, right of it a dark vessel.
    probability = 1 / (1 + np.exp(-(x + 1)))  # 0.73 there.
    cuts = np.array([0.3, 0.5, 0.73, 0.9])
    assert cut_of_outline([probability, probability.T], [frame, frame.T], cuts) == 0.73


def test_the_cut_marks_as_many_pixels_as_the_teacher() -> None:
    probability = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 100)
    assert abs(cut_of_area([probability], [probability > 0.8]) - 0.8) < 0.01


def test_wider_vessels_give_small_copies_a_lower_cut() -> None:
    model = load_model("fundus", "cpu")
    model.network.config = model.network.config.updated(side=160)
    frame = np.full((160, 160), 200, np.uint8)
    for column in range(12, 160, 24):
        frame[:, column : column + 5] = 90
    vessels = frame < 100
    cuts = [cut_of_touched(model, [frame], [mask]) for mask in (vessels, binary_dilation(vessels, iterations=3))]
    assert cuts[1] < cuts[0]


def test_the_mean_of_models_has_the_mean_weights(tmp_path: Path) -> None:
    files = [model_path("default"), model_path("fundus")]  # The same networks.
    (one, _), (other, _), (mean, contents) = (
        load_tensors(path, "model") for path in (*files, mean_of(files, tmp_path / "mean.safetensors"))
    )
    assert contents["config"]["side"] == 300
    for name, value in mean.items():
        if value.is_floating_point():
            torch.testing.assert_close(value, (one[name].float() + other[name].float()) / 2)
