"""Refining a model with corrections: what comes out, what is refused, and what stays."""

from dataclasses import replace
from pathlib import Path
from threading import Event

import numpy as np
import pytest
import torch
from scipy.ndimage import binary_dilation

from napari_darl import (
    Cleaning,
    DarlError,
    InputError,
    Refinement,
    SegmentOptions,
    load_model,
    refine,
    segment,
    segment_probability,
)
from napari_darl.inference.loading import Model
from napari_darl.refining import refine as module
from napari_darl.refining.corrections import read_corrections
from napari_darl.refining.fitting import FitConfig, Fitting
from napari_darl.refining.guard import Candidate
from napari_darl.samples import sample_angiogram

AS_IT_IS = SegmentOptions(resize=1)


@pytest.fixture(scope="module")
def default() -> Model:
    return load_model("default", "cpu")


@pytest.fixture
def frames() -> list[np.ndarray]:
    """Four parts of a sample with vessels in them."""
    frame = sample_angiogram()
    return [frame[top : top + 128, left : left + 128] for top, left in ((60, 150), (180, 150), (180, 250), (300, 200))]


def thicker(frame: np.ndarray, model: Model) -> np.ndarray:
    """Corrections by someone who draws vessels wider than the model does."""
    return binary_dilation(segment(frame, model, resize=1), iterations=2).astype(np.int8)


def test_consistent_corrections_make_other_frames_better(
    default: Model, frames: list[np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    corrected = [(frame, thicker(frame, default)) for frame in frames[:2]]
    steps: list[tuple[int, int]] = []
    monkeypatch.setattr(module, "FIT", FitConfig(steps=20, crops=2, size=64, learning_rate=2e-3))
    done = refine(default, corrected, frames[2:], options=AS_IT_IS, progress=lambda *at: steps.append(at))
    assert done.choice != "original"
    assert set(done.report) == {"original", "threshold", "anchored", "free"}
    assert steps[-1][0] <= steps[-1][1]
    wanted = thicker(frames[3], default)

    def dice(mask: np.ndarray) -> float:
        return 2 * (mask & wanted).sum() / (mask.sum() + wanted.sum())

    before, after = (segment(frames[3], model, resize=1) for model in (default, done.model))
    assert dice(after) > dice(before) + 0.03


@pytest.mark.usefixtures("quick_refining")
@pytest.mark.parametrize("others", [0, 2])
def test_erased_vessels_leave_the_original(default: Model, frames: list[np.ndarray], others: int) -> None:
    corrected = [(frame, np.zeros(frame.shape, np.int8)) for frame in frames[:2]]
    done = refine(default, corrected, frames[2 : 2 + others], options=AS_IT_IS)
    assert done.choice == "original"
    assert done.model is default
    assert done.threshold == 0.5


@pytest.mark.usefixtures("quick_refining")
def test_nothing_is_fitted_where_the_original_is_right(default: Model, frames: list[np.ndarray]) -> None:
    right = segment(frames[0], default, resize=1).astype(np.int8)
    done = refine(default, [(frames[0], right)], options=AS_IT_IS)
    assert done.choice == "original"
    assert list(done.report) == ["original"]


def test_a_fit_is_the_same_for_the_same_key_and_leaves_the_original(default: Model, frames: list[np.ndarray]) -> None:
    before = {name: tensor.clone() for name, tensor in default.network.state_dict().items()}
    labelled = read_corrections([(frames[0], thicker(frames[0], default))], default, AS_IT_IS)

    def weights(seed: int) -> dict[str, torch.Tensor]:
        config = FitConfig(steps=2, crops=1, size=64)
        return Fitting(default.network, [], config, seed, lambda: None).fit(labelled, "anchored").state_dict()

    first, again, other = weights(0), weights(0), weights(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)
    statistics = [name for name in first if "running" in name]
    assert statistics
    assert all(torch.equal(first[name], before[name]) for name in statistics)
    assert all(torch.equal(before[name], tensor) for name, tensor in default.network.state_dict().items())


def test_a_fit_learns_the_probability_that_users_get(frames: list[np.ndarray]) -> None:
    fundus, enlarged = load_model("fundus", "cpu"), SegmentOptions(resize=2)
    mask = (segment_probability(frames[0], fundus, resize=2) > 0.5).astype(np.int8)
    (labelled,) = read_corrections([(frames[0], mask)], fundus, enlarged)
    assert labelled.odds == fundus.network.config.calibration.odds(2) > 1
    labels = torch.from_numpy(labelled.resized(labelled.labels)[None, None])
    with torch.inference_mode():
        losses = [
            float(Fitting._loss(fundus.network, (labelled.network_input, labels, torch.tensor(odds))))
            for odds in (labelled.odds, 1.0, labelled.odds**2)
        ]
    assert losses[0] < min(losses[1:])


@pytest.mark.parametrize("zoom", [1.0, 1.6])
def test_labels_stay_on_their_pixels_in_crops(default: Model, frames: list[np.ndarray], zoom: float) -> None:
    (labelled,) = read_corrections([(frames[0], np.zeros(frames[0].shape, np.int8))], default, AS_IT_IS)
    drawn = np.zeros(frames[0].shape, np.int8)
    drawn[30:70, 20:44] = drawn[90:100, 60:120] = 1
    drawn[:20] = -1
    # The network's input shows the labels themselves, so that each crop can be compared with its labels.
    shown = replace(labelled, labels=drawn, network_input=torch.from_numpy(drawn[None, None].astype(np.float32)))
    config = FitConfig(size=64, zoom=zoom, intensity=0.25, noise=0.0)
    crops, labels, _ = Fitting(default.network, [], config, 0, lambda: None)._crops([(shown, drawn)], 24, 64, 0, 0)
    assert crops.shape == labels.shape == (24, 1, 64, 64)
    assert set(labels.unique().tolist()) == {-1, 0, 1}
    assert (((crops > 0.3) == (labels == 1)).float().mean((1, 2, 3)) > 0.97).all()
    assert len({crop.std().item() for crop in crops}) > 20  # contrast, power and place differ


@pytest.mark.parametrize(
    ("labels", "facts"),
    [
        (np.zeros((64, 64), np.int8), ("(64, 64)", "(128, 128)")),
        (np.full((128, 128), 2), ("1 (vessel)",)),
        (np.full((128, 128), 0.5), ("1 (vessel)",)),
        (np.full((128, 128), -1), ("-1",)),
    ],
)
def test_labels_that_cannot_be_used_are_refused(
    default: Model, frames: list[np.ndarray], labels: np.ndarray, facts: tuple[str, ...]
) -> None:
    with pytest.raises(InputError) as caught:
        refine(default, [(frames[0], labels)], options=AS_IT_IS)
    assert all(fact in str(caught.value) for fact in facts)


def test_without_corrections_there_is_nothing_to_do(default: Model) -> None:
    with pytest.raises(InputError):
        refine(default, [])


@pytest.mark.usefixtures("quick_refining")
def test_a_refinement_can_be_stopped(default: Model, frames: list[np.ndarray]) -> None:
    stop = Event()
    stop.set()
    with pytest.raises(DarlError):
        refine(default, [(frames[0], thicker(frames[0], default))], options=AS_IT_IS, stop=stop)


def test_a_saved_refinement_carries_its_threshold(default: Model, frames: list[np.ndarray], tmp_path: Path) -> None:
    labelled = read_corrections([(frames[0], thicker(frames[0], default))], default, AS_IT_IS)
    original = replace(default, name="/home/someone/default.safetensors")
    model = module._derived(original, default.network, "threshold", 0.2, labelled, seed=0)
    done = Refinement(model, 0.2, "threshold", {"original": Candidate(0.5, 0.0)})
    done.save(tmp_path / "refined.safetensors")
    loaded = load_model(tmp_path / "refined.safetensors", "cpu")
    assert loaded.threshold == 0.2
    assert loaded.info["refined"]["label_free"] is False
    assert loaded.info["refined"]["from"] == "default.safetensors"  # without the folder, as files are passed on
    assert loaded.info["refined"]["from_sha256"] == default.sha256
    assert loaded.cleaning == Cleaning(threshold=0.2)
    by_file = segment(frames[1], loaded, resize=1)
    assert (by_file == (segment_probability(frames[1], default, resize=1) > 0.2)).all()
    assert by_file.sum() > segment(frames[1], default, resize=1).sum()
    for path in (tmp_path / "refined.safetensors", tmp_path / "refined.pt"):
        with pytest.raises(InputError, match=path.name):
            done.save(path)
